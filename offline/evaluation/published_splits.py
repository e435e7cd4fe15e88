"""Published splits, read exactly as their authors published them, with the figures that papers print for them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse as sp

from offline.data.dataset import GUEST, Interactions
from offline.data.splits import held_out
from offline.evaluation.task import Goal, PublishedFigures, Questions, SealedTest, Task, TrainingPart, questions_of
from schemas.errors import DatasetUnknown
from schemas.offline.manifest import DataWindow


def load_ncf(folder: Path) -> Task:
    """MovieLens 1M as He et al. split it ("Neural Collaborative Filtering", WWW 2017).

    The last item of each user is ranked against 99 others. If a user's test item is among these by mistake, it is removed.
    """
    training = _matrix((line[0], line[1], 0.0) for line in _words(folder / "train.tsv.gz"))
    index = {item_id: column for column, item_id in enumerate(training.item_ids)}
    rows = {user_id: row for row, user_id in enumerate(training.user_ids)}
    users, targets, unknown, among = [], [], [], []
    for first, *others in _words(folder / "test.negative.gz"):
        user_id, item_id = first.strip("()").split(",")
        users.append(rows[user_id])
        targets.append(np.array([index[item_id]] if item_id in index else [], dtype=np.intp))
        unknown.append(int(item_id not in index))
        among.append(np.array([index.get(other, -1) for other in others if other != item_id], dtype=np.intp))
    questions = Questions(training, np.array(users, dtype=np.intp), targets, unknown, among)
    return _task(folder, "ncf", training, questions, Goal(("HR@10", "NDCG@10"), (10,), sampled=99), NCF, NCF_CHOSEN)


def load_lightgcn(folder: Path) -> Task:
    """Gowalla as He et al. split it ("LightGCN", SIGIR 2020). All items except the user's training items are ranked."""
    training, test = (_matrix(_per_user(_packed(folder, name))) for name in ("train.txt", "test.txt"))
    questions = questions_of(held_out(training, test), training)
    return _task(
        folder, "lightgcn", training, questions, Goal(("Recall@20", "NDCG@20"), (20,)), LIGHTGCN, LIGHTGCN_CHOSEN
    )


def load_sessions(folder: Path) -> Task:
    """RecSys Challenge 2015 as session-rec evaluates it: predict each next click of a test session among all items.

    Ludewig and Jannach, "Evaluation of Session-based Recommendation Algorithms", UMUAI 2018. Items that are not in
    training are removed from the test. An item may repeat.
    """
    clicks = [_sessions(_packed(folder, name)) for name in ("train.tsv", "test.tsv")]
    training = _matrix((GUEST + "s:" + session, item, time) for session, item, time in clicks[0])
    questions = _next_clicks(training, clicks[1])
    return _task(folder, "sessions", training, questions, Goal(("MRR@20", "HR@20"), (20,), repeats=True), ())


def _task(
    folder: Path,
    protocol: str,
    training: Interactions,
    questions: Questions,
    goal: Goal,
    published: Sequence[PublishedFigures],
    chosen: Chosen | None = None,
) -> Task:
    part, test = TrainingPart(training), SealedTest(questions)
    return Task(folder.name, protocol, part, test, goal, published, chosen=chosen or {})


class _Click(NamedTuple):
    session: str
    item: str
    time: float


def _next_clicks(training: Interactions, clicks: Iterable[_Click]) -> Questions:
    index = {item_id: column for column, item_id in enumerate(training.item_ids)}
    ids, targets, people, histories = [], [], [], []
    known = sorted((click for click in clicks if click.item in index), key=lambda click: (click.session, click.time))
    for person, (session, group) in enumerate(groupby(known, key=lambda click: click.session)):
        seen: dict[int, float] = {}
        for step, click in enumerate(group):
            if step:
                ids.append(f"{GUEST}s:{session}/{step:04}")
                targets.append(np.array([index[click.item]], dtype=np.intp))
                people.append(person)
                histories.append(dict(seen))
            seen[index[click.item]] = click.time
    interactions = _rows_of(ids, histories, training)
    rows = np.arange(len(ids))
    return Questions(interactions, rows, targets, [0] * len(ids), repeats=True, people=np.array(people, dtype=np.intp))


def _rows_of(ids: Sequence[str], histories: Sequence[dict[int, float]], training: Interactions) -> Interactions:
    """Returns interactions of weight 1 over the training items, from the columns and times of each row."""
    starts = np.concatenate(([0], np.cumsum([len(history) for history in histories]))).astype(np.int64)
    pairs = [pair for history in histories for pair in sorted(history.items())]
    columns, times = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    shape = len(ids), len(training.item_ids)
    matrix = sp.csr_matrix((np.ones(len(pairs), np.float32), columns.astype(np.int32), starts), shape=shape)
    window = DataWindow(interactions=len(pairs), users=shape[0], items=shape[1])
    return Interactions(tuple(ids), training.item_ids, matrix, window, {}, times)


def _matrix(triples: Iterable[tuple[str, str, float]]) -> Interactions:
    """Returns interactions of weight 1 with sorted ids. A repeated pair counts once, at its latest time."""
    users, items, seconds = zip(*triples, strict=True)
    user_ids, rows = np.unique(np.array(users), return_inverse=True)
    item_ids, columns = np.unique(np.array(items), return_inverse=True)
    moments = np.array(seconds, dtype=np.float64)
    order = np.lexsort((moments, columns, rows))
    rows, columns, moments = rows[order], columns[order], moments[order]
    last = np.r_[(rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1]), True]
    rows, columns, moments = rows[last], columns[last], moments[last]
    starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=user_ids.size))))
    data = np.ones(rows.size, dtype=np.float32)
    matrix = sp.csr_matrix((data, columns.astype(np.int32), starts), shape=(user_ids.size, item_ids.size))
    window = DataWindow(interactions=rows.size, users=user_ids.size, items=item_ids.size)
    times = moments if moments.any() else None
    return Interactions(tuple(user_ids.tolist()), tuple(item_ids.tolist()), matrix, window, {}, times)


def _per_user(path: Path) -> Iterator[tuple[str, str, float]]:
    """Yields the pairs of a file with one line for each user: the user, then the items."""
    for user_id, *item_ids in _words(path):
        for item_id in item_ids:
            yield user_id, item_id, 0.0


def _sessions(path: Path) -> Iterator[_Click]:
    rows = csv.DictReader(_lines(path), delimiter="\t")
    try:
        for row in rows:
            yield _Click(row["SessionId"], row["ItemId"], float(row["Time"]))
    except (KeyError, ValueError, TypeError) as error:
        raise DatasetUnknown(f"{path} has no columns SessionId, ItemId and Time in seconds: {error}") from error


def _words(path: Path) -> Iterator[list[str]]:
    return (line.split() for line in _lines(path))


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            yield from lines
    except (FileNotFoundError, gzip.BadGzipFile) as error:
        raise DatasetUnknown(f"{path.parent} is not a data set of this protocol: {error}") from error


def _packed(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.exists() else folder / name


def _sampled(name: str, hits: float, ndcg: float) -> PublishedFigures:
    return PublishedFigures(name, {"HR@10": hits, "NDCG@10": ndcg})


def _fully(name: str, recall: float, ndcg: float) -> PublishedFigures:
    return PublishedFigures(name, {"Recall@20": recall, "NDCG@20": ndcg})


NCF: Final = (
    _sampled("popularity", 0.4538, 0.2536),
    _sampled("ItemKNN", 0.6596, 0.3900),
    _sampled("NeuMF", 0.6725, 0.4011),
    _sampled("PureSVD", 0.6896, 0.4294),
    _sampled("iALS d=192 (Rendle 2020)", 0.7294, 0.4523),
)
"""Ferrari Dacrema et al., "A Troubling Analysis of Reproducibility", TOIS 2021; Rendle et al., RecSys 2020."""

LIGHTGCN: Final = (
    _fully("popularity", 0.0416, 0.0317),
    _fully("ItemCF", 0.157, 0.1214),
    _fully("MF-BPR", 0.1627, 0.1378),
    _fully("EASE", 0.1765, 0.1467),
    _fully("LightGCN", 0.182, 0.1547),
    _fully("UltraGCN", 0.1862, 0.158),
    _fully("SimpleX", 0.1872, 0.1557),
)
"""He et al., "LightGCN", SIGIR 2020; Mao et al., "UltraGCN" and "SimpleX", CIKM 2021; Zhu et al., "BARS", SIGIR 2022."""

Chosen = Mapping[str, Mapping[str, Any]]

_RENDLE: Final = {"unobserved": 6.75, "strength": 0.007}
"""α₀ = 0.3 and λ = 0.007 on this split."""

NCF_CHOSEN: Final[Chosen] = {
    "popularity": {},
    "neighbours": {},
    "als": {},
    "ials": {"factors": 192, **_RENDLE},
    "ease": {},
    "blend": {"components": ("ease", "ials", "als"), "settings": {"ials": {"factors": 192, **_RENDLE}}, "sampled": 99},
}
"""iALS as Rendle et al. print it for this split (RecSys 2020 and 2022); ``docs/tuning.md`` names the validation slice."""

LIGHTGCN_CHOSEN: Final[Chosen] = {
    "popularity": {},
    "neighbours": {},
    "ials": {"factors": 256},
    "ease-sparse": {},
    "blend": {"components": ("ease-sparse", "ials"), "settings": {"ials": {"factors": 256}}, "share": 0.2},
}
