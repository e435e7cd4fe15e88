"""Parts of a test by who asks and by what was right: a mean over everybody hides those whom a model serves badly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from offline.data.dataset import Interactions
from offline.data.metadata import Metadata, category_matrix
from offline.evaluation.ranking_metrics import RankedAnswers, means, per_question
from offline.evaluation.task import QuestionSummary

Mask = NDArray[np.bool_]

OCCASIONAL: Final = 10
"""Items in the history from which a person is no longer new."""
LONG_TERM: Final = 50
"""Items from which a person is long-term."""
NEW_SHARE: Final = 0.1
"""An item is new where its first interaction lies in this last part of training's time."""
ATTRIBUTES: Final = {"age_group": "age", "gender": "gender", "country": "country", "region": "region"}
"""Users' attributes that make segments, and what they are called."""
AREAS: Final = "postcode_area"
"""An attribute whose first character is taken for a region where there is none."""
MOST: Final = 12
"""Categories, or values of an attribute, that are shown: those with the most right items."""
LEAST: Final = 10
"""Questions that a segment needs."""


class Segment(msgspec.Struct, frozen=True):
    """One part's figures and how many questions are in it."""

    questions: int
    metrics: dict[str, float]


def by_history(counts: NDArray[Any]) -> dict[str, Mask]:
    """People by how many items their history has: ``new``, ``occasional`` and ``long-term``."""
    return {
        "new": counts < OCCASIONAL,
        "occasional": (counts >= OCCASIONAL) & (counts < LONG_TERM),
        "long-term": counts >= LONG_TERM,
    }


def segments(
    described: QuestionSummary, ranked: RankedAnswers, training: Interactions, metadata: Metadata
) -> dict[str, Mask]:
    """Which right items (T,) belong to which part of the test; parts of fewer than LEAST questions are left out."""
    masks = {name: mask[ranked.question] for name, mask in _of_people(described, metadata)}
    masks |= dict(_of_items(described.columns, training, metadata))
    return {name: mask for name, mask in masks.items() if np.unique(ranked.question[mask]).size >= LEAST}


def measured(ranked: RankedAnswers, masks: Mapping[str, Mask], cutoffs: Sequence[int]) -> dict[str, Segment]:
    """Each segment's own figures: of its right items alone, averaged over the questions that have any."""
    found = {}
    for name, mask in masks.items():
        part = ranked.only(mask)
        found[name] = Segment(part.questions, means(per_question(part, cutoffs)))
    return found


def _of_people(described: QuestionSummary, metadata: Metadata) -> Iterator[tuple[str, Mask]]:
    for name, mask in by_history(described.histories).items():
        yield f"users: {name}", mask
    said = [metadata.users[u].attributes if u in metadata.users else {} for u in described.user_ids]
    for attribute, name in ATTRIBUTES.items():
        yield from _by_value(name, [_text(each.get(attribute)) for each in said])
    if not any(each.get("region") for each in said):
        yield from _by_value("region", [_text(each.get(AREAS))[:1] for each in said])


def _of_items(columns: NDArray[np.intp], training: Interactions, metadata: Metadata) -> Iterator[tuple[str, Mask]]:
    known = columns >= 0
    yield "items: never met in training", ~known
    popular = _popular(training)
    yield "items: popular", known & popular[columns]
    yield "items: long tail", known & ~popular[columns]
    if training.times is not None:
        new = _new(training, training.times)
        yield "items: new", known & new[columns]
        yield "items: old", known & ~new[columns]
    categories = category_matrix(metadata, training.item_ids)
    if categories is not None:
        names = sorted(
            {name for each in training.item_ids if each in metadata.items for name in metadata.items[each].categories}
        )
        has = categories.toarray() > 0
        counts = has[columns[known]].sum(axis=0)
        for number in np.argsort(-counts, kind="stable")[:MOST].tolist():
            yield f"category: {names[number]}", known & has[columns, number]


def _by_value(name: str, values: Sequence[str]) -> Iterator[tuple[str, Mask]]:
    each = np.array(values, dtype=object)
    found, counts = np.unique(each[each != ""].astype(str), return_counts=True)
    for value in sorted(found[np.argsort(-counts, kind="stable")[:MOST]].tolist()):
        yield f"{name}: {value}", each == value


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) else ""


def _popular(training: Interactions) -> Mask:
    """The most popular items that make up half of all interactions."""
    counts = np.bincount(training.matrix.indices, minlength=len(training.item_ids))
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    popular = np.zeros(counts.size, dtype=bool)
    popular[order[before < counts.sum() / 2]] = True
    return popular


def _new(training: Interactions, times: NDArray[np.float64]) -> Mask:
    """Items first met in the last part of the time that training covers."""
    first = np.full(len(training.item_ids), np.inf)
    np.minimum.at(first, training.matrix.indices, times)
    return np.asarray(first > times.max() - NEW_SHARE * (times.max() - times.min()))
