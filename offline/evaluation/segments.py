"""Segments of a test, by user and by relevant item. A mean over all users hides those that a model serves badly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from offline.data.dataset import Interactions
from offline.data.metadata import Metadata, category_matrix
from offline.data.splits import Mask
from offline.evaluation.ranking_metrics import RankedAnswers, means, per_question
from offline.evaluation.task import QuestionSummary

OCCASIONAL: Final = 10
"""Number of items in the history at which a user is no longer new."""
LONG_TERM: Final = 50
"""Number of items in the history at which a user is long-term."""
NEW_SHARE: Final = 0.1
"""An item is new if its first interaction is in this last share of the training time."""
ATTRIBUTES: Final = {"age_group": "age", "gender": "gender", "country": "country", "region": "region"}
"""User attributes that define segments, with the segment names."""
AREAS: Final = "postcode_area"
"""Attribute whose first character is used as the region, if users have no region."""
MOST: Final = 12
"""Maximum number of categories, or values of an attribute: those with the most relevant items."""
LEAST: Final = 10
"""Minimum number of questions of a segment."""


class Segment(msgspec.Struct, frozen=True):
    """The metrics of one segment and its number of questions."""

    questions: int
    metrics: dict[str, float]


def by_history(counts: NDArray[Any]) -> dict[str, Mask]:
    """Returns masks of people by history length: ``new``, ``occasional`` and ``long-term``."""
    return {
        "new": counts < OCCASIONAL,
        "occasional": (counts >= OCCASIONAL) & (counts < LONG_TERM),
        "long-term": counts >= LONG_TERM,
    }


def segments(
    described: QuestionSummary, ranked: RankedAnswers, training: Interactions, metadata: Metadata
) -> dict[str, Mask]:
    """Returns for each segment the mask of its relevant items (T,). Segments of fewer than LEAST questions are dropped."""
    masks = {name: mask[ranked.question] for name, mask in _of_people(described, metadata)}
    masks |= dict(_of_items(described.columns, training, metadata))
    return {name: mask for name, mask in masks.items() if np.unique(ranked.question[mask]).size >= LEAST}


def segment_metrics(ranked: RankedAnswers, masks: Mapping[str, Mask], cutoffs: Sequence[int]) -> dict[str, Segment]:
    """Returns the metrics of each segment. They count its own relevant items, in the questions that have one."""
    by_segment = {}
    for name, mask in masks.items():
        part = ranked.only(mask)
        by_segment[name] = Segment(part.questions, means(per_question(part, cutoffs)))
    return by_segment


def _of_people(described: QuestionSummary, metadata: Metadata) -> Iterator[tuple[str, Mask]]:
    for name, mask in by_history(described.histories).items():
        yield f"users: {name}", mask
    attributes = [metadata.users[u].attributes if u in metadata.users else {} for u in described.user_ids]
    for attribute, name in ATTRIBUTES.items():
        yield from _by_value(name, [_text(user.get(attribute)) for user in attributes])
    if not any(user.get("region") for user in attributes):
        yield from _by_value("region", [_text(user.get(AREAS))[:1] for user in attributes])


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
            {
                name
                for item_id in training.item_ids
                if item_id in metadata.items
                for name in metadata.items[item_id].categories
            }
        )
        has = categories.toarray() > 0
        counts = has[columns[known]].sum(axis=0)
        for number in np.argsort(-counts, kind="stable")[:MOST].tolist():
            yield f"category: {names[number]}", known & has[columns, number]


def _by_value(name: str, values: Sequence[str]) -> Iterator[tuple[str, Mask]]:
    by_question = np.array(values, dtype=object)
    distinct, counts = np.unique(by_question[by_question != ""].astype(str), return_counts=True)
    for value in sorted(distinct[np.argsort(-counts, kind="stable")[:MOST]].tolist()):
        yield f"{name}: {value}", by_question == value


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) else ""


def _popular(training: Interactions) -> Mask:
    """Returns the mask of the most popular items, which together have half of all interactions."""
    counts = np.bincount(training.matrix.indices, minlength=len(training.item_ids))
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    popular = np.zeros(counts.size, dtype=bool)
    popular[order[before < counts.sum() / 2]] = True
    return popular


def _new(training: Interactions, times: NDArray[np.float64]) -> Mask:
    """Returns the mask of items whose first interaction is in the last share of the training time."""
    first = np.full(len(training.item_ids), np.inf)
    np.minimum.at(first, training.matrix.indices, times)
    return np.asarray(first > times.max() - NEW_SHARE * (times.max() - times.min()))
