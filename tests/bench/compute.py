"""CPU time of the costly steps of an answer, in one thread: fold-in with exact scoring, and neighbours of a session.

``fold_in_and_scores`` is a half step over a user's interests and a score for each of 50,000 items. It is compared with
numpy's product of the item factors with a vector. ``session_knn`` queries an index of diginetica's first weeks with the
sessions of its last week, after each of their clicks. CPU time is measured because other processes disturb it little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from ingest.import_pipeline.base import RowFaults
from ingest.importers.recognise import recognise
from models.als import Als
from models.session_knn import SessionKnn, Voting, query_of, votes
from serving.arrays import kernels
from tests.bench.results import Figures, datasets

ITEMS: Final = 50_000
DIMENSIONS: Final = 64
INTERESTS: Final = 64
ROUNDS: Final = 300
SESSIONS: Final = 2_000
"""Number of sessions that query the index."""


def measure() -> Figures:
    with threadpool_limits(1, user_api="blas"):
        return Figures("one thread", {**_scoring(), **_sessions()})


def _scoring() -> dict[str, Any]:
    random = np.random.default_rng(1)
    ids = tuple(f"i{number}" for number in range(ITEMS))
    factors = random.normal(size=(ITEMS, DIMENSIONS)).astype(np.float32)
    als = Als((), ids, np.zeros((0, DIMENSIONS), np.float32), factors, regularization=1.0, alpha=10.0)
    weights = {ids[at]: 1.0 for at in random.choice(ITEMS, INTERESTS, replace=False).tolist()}
    vector = als.fold_in(weights)
    found = {
        "matvec": _microseconds(lambda: factors @ vector),
        "scores": _microseconds(lambda: als.score(vector)),
        "fold_in": _microseconds(lambda: als.fold_in(weights)),
        "fold_in_and_scores": _microseconds(lambda: als.score(als.fold_in(weights))),
    }
    figures: dict[str, Any] = {f"{name}_us": round(float(np.median(each)), 1) for name, each in found.items()}
    return {**figures, "of_matvec": round(figures["fold_in_and_scores_us"] / figures["matvec_us"], 2)}


def _sessions() -> dict[str, Any]:
    parts = _parts()
    codes: dict[str, int] = {}
    for item in (item for part in parts for _, items in part for item in items):
        codes.setdefault(item, len(codes))
    past = [(at, [codes[item] for item in items]) for part in parts[:-1] for at, items in part]
    past.sort(key=lambda each: each[0])
    distinct = [list(dict.fromkeys(reversed(items)))[::-1] for _, items in past]
    indptr = np.concatenate(([0], np.cumsum([len(each) for each in distinct])))
    items = np.array([item for each in distinct for item in each], np.int32)
    index = SessionKnn.of(tuple(codes), indptr, items, np.array([at for at, _ in past]), Voting())
    request = [
        np.array([codes[item] for item in own[:end]], np.int32)
        for _, own in parts[-1][:SESSIONS]
        for end in range(1, len(own))
    ]
    voted = partial(votes, [index], voting=index.voting, loops=kernels)
    voted(query_of(request[0], index.voting))
    taken = [_once(lambda each=each: voted(query_of(each, index.voting))) for each in request]
    p50, p99 = np.percentile(np.array(taken) * 1e3, (50, 99)).round(3).tolist()
    return {"sessions": len(past), "queries": len(request), "session_knn_p50_ms": p50, "session_knn_p99_ms": p99}


def _parts() -> list[list[tuple[float, list[str]]]]:
    """Returns diginetica's sessions by the number of their file: the start of each session, and its items."""
    parts: dict[str, dict[str, tuple[float, list[str]]]] = {}
    # Rows have no times, so their order in the files is the order of time.
    for at, event in enumerate(recognise(datasets() / "diginetica").events(RowFaults())):
        part = parts.setdefault(event.source_line.file, {})
        part.setdefault(event["session_id"], (float(at), []))[1].append(event["item_id"])
    return [list(part.values()) for part in parts.values()]


def _microseconds(work: Callable[[], Any]) -> list[float]:
    work()
    return [1e6 * _once(work) for _ in range(ROUNDS)]


def _once(work: Callable[[], Any]) -> float:
    begun = time.thread_time()
    work()
    return time.thread_time() - begun
