"""Split protocols: a published split, or a split by time, by each person's last items, or by people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from offline.data import splits
from offline.data.dataset import Interactions, from_arrow
from offline.data.metadata import Metadata
from offline.evaluation import published_splits
from offline.evaluation.task import Questions, SealedTest, Task, TrainingPart, questions_of
from schemas.errors import ConfigurationInvalid, NothingToTrain

SplitProtocol = Literal["ncf", "lightgcn", "sessions", "time", "leave-last", "users"]

PUBLISHED: Final[Mapping[str, tuple[Callable[[Path], Task], tuple[str, ...]]]] = {
    "ncf": (published_splits.load_ncf, ("train.tsv", "test.negative")),
    "lightgcn": (published_splits.load_lightgcn, ("train.txt", "test.txt")),
    "sessions": (published_splits.load_sessions, ("train.tsv", "test.tsv")),
}
"""Published splits by protocol: the reader, and the files that identify a folder (compressed or not)."""
OWN: Final = ("time", "leave-last", "users")
"""Protocols that split any data set."""


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """Options of the protocols of OWN. Raises ConfigurationInvalid for an invalid value."""

    share: float = 0.2
    """Share of the interactions (``time``) or of the people (``users``) in the test."""
    last: int = 1
    """Number of held-out items of each person (``leave-last``)."""
    needed: int = splits.NEEDED
    """Minimum number of items of a test person (``leave-last``, ``users``)."""
    shown: float = 0.8
    """Share of a held-out person's items that is folded in. The others are the relevant items (``users``)."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.share < 1 and 0 < self.shown < 1 and 1 <= self.last < self.needed):
            raise ConfigurationInvalid(
                "a split's shares must lie between 0 and 1, and fewer items must be held out than a person needs"
            )


@dataclass(frozen=True)
class Gathered:
    """A data set's events as interactions."""

    dataset: str
    table: pa.Table
    """In the format of ``from_arrow``."""
    metadata: Metadata
    until: Callable[[float], pa.Table]
    """Returns the interactions of events up to a time (seconds since 1970)."""
    timed: bool = True
    """True if events have their own times."""


def recognised(path: Path) -> str | None:
    """Returns the published protocol whose files are in the folder, or None."""
    for name, (_, files) in PUBLISHED.items():
        if all((path / file).exists() or (path / f"{file}.gz").exists() for file in files):
            return name
    return None


def load(path: Path, protocol: str) -> Task:
    """Reads a published split. Raises ConfigurationInvalid for another protocol, DatasetUnknown if files are missing."""
    if protocol not in PUBLISHED:
        raise ConfigurationInvalid(f"'{protocol}' is not a protocol; choose from {', '.join((*PUBLISHED, *OWN))}")
    return PUBLISHED[protocol][0](path)


def split(gathered: Gathered, protocol: str, options: SplitOptions | None = None) -> Task:
    """Splits a data set by a protocol of OWN.

    Raises ConfigurationInvalid if the protocol cannot split it, NothingToTrain if there is too little data.
    """
    how = options or SplitOptions()
    if protocol == "time":
        return _by_time(gathered, how)
    if protocol == "leave-last":
        return _leave_last(gathered, how)
    if protocol == "users":
        return _by_people(gathered, how)
    raise ConfigurationInvalid(f"'{protocol}' is not a protocol of any data set; choose from {', '.join(OWN)}")


def _by_time(gathered: Gathered, options: SplitOptions) -> Task:
    """Trains on all events up to a moment. The relevant items are those that a user had no event on before."""
    if not gathered.timed:
        raise ConfigurationInvalid(
            f"the events of {gathered.dataset} have no times, so they cannot be split by time;"
            " use --protocol leave-last or users"
        )
    first = gathered.table["first_at"].to_numpy()
    moment = float(np.quantile(first, 1 - options.share, method="lower"))
    later = gathered.table.filter(pa.array(first > moment))
    if not later.num_rows:
        raise NothingToTrain(f"nothing happened in {gathered.dataset} after the moment of the split: it is too small")
    training, after = from_arrow(gathered.until(moment), {}), from_arrow(later, {})
    held = splits.held_out(training, after)
    unknown = len(after.user_ids) - held.rows.size
    notes = {"split at": training.window.last_at.isoformat() if training.window.last_at else ""}
    notes["left out"] = f"{unknown} of {len(after.user_ids)} people, of whom nothing was known at that time"
    return _task(gathered, "time", training, questions_of(held, training), notes)


def _leave_last(gathered: Gathered, options: SplitOptions) -> Task:
    """Holds out the last items of each person who has enough. They are drawn at random if there are no times."""
    interactions = _interactions(gathered)
    held = splits.last_of_each(interactions, options.last, options.needed, options.seed)
    training, apart = splits.apart(interactions, held)
    how = "the newest" if gathered.timed else "at random: there are no times"
    notes = {"held out": f"{options.last} of each person with {options.needed} items or more, {how}"}
    return _task(gathered, "leave-last", training, questions_of(apart, training), notes)


def _by_people(gathered: Gathered, options: SplitOptions) -> Task:
    """Strong generalisation: test people are not in training. A part of their items is folded in, the others are relevant.

    Marlin, "Collaborative Filtering: A Machine Learning Perspective", 2004; Liang et al., WWW 2018.
    """
    interactions = _interactions(gathered)
    people = splits.people(interactions, options.share, options.needed, options.seed)
    training, shown, held = splits.by_people(interactions, people, options.shown, options.seed)
    questions = questions_of(held, shown)
    notes = {"held out": f"{people.size} people; of each, {options.shown:.0%} of the items are folded in first"}
    return _task(gathered, "users", training, questions, notes)


def _interactions(gathered: Gathered) -> Interactions:
    interactions = from_arrow(gathered.table, {})
    if gathered.timed:
        return interactions
    return Interactions(
        interactions.user_ids, interactions.item_ids, interactions.matrix, interactions.window, interactions.offsets
    )


def _task(
    gathered: Gathered, protocol: str, training: Interactions, questions: Questions, notes: Mapping[str, str]
) -> Task:
    if not questions.rows.size:
        raise NothingToTrain(
            f"nobody can be asked in {gathered.dataset} by protocol {protocol}: there is too little data"
        )
    part = TrainingPart(training, gathered.metadata)
    return Task(gathered.dataset, protocol, part, SealedTest(questions), notes=notes)
