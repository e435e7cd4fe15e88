"""Sessions out of interactions: what one person did without a long break."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Ints
from models.structures.recommender import Histories
from offline.data.dataset import GUEST, Interactions
from schemas.errors import ConfigurationInvalid

GAP_SECONDS: Final = 1_800.0
"""A longer break ends a session, as web analytics has it."""
_SESSION: Final = GUEST + "s:"
"""Before a guest of one session in ``user_ids``."""


class Recorded(NamedTuple):
    """S sessions, the one that ended first at the front; session s has ``items[indptr[s]:indptr[s + 1]]``."""

    indptr: NDArray[np.int64]
    """(S + 1,)."""
    items: Ints
    """Positions, each once a session, oldest first; of an item that came again the latest place counts."""
    times: NDArray[np.float64]
    """(S,) seconds since 1970 of their ends."""

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Which session each of ``items`` is of."""
        return np.repeat(np.arange(self.times.size), np.diff(self.indptr))


def recorded(interactions: Interactions) -> Recorded:
    """Everyone's interactions cut at breaks of GAP_SECONDS; a guest of one session is not cut.

    Raises ConfigurationInvalid where times are not known.
    """
    if interactions.times is None:
        raise ConfigurationInvalid("sessions can only be learned from interactions with times; this data has none")
    histories = interactions.histories(np.arange(len(interactions.user_ids)))
    begins = np.flatnonzero(_begins(histories))
    counts = np.diff(np.append(begins, histories.items.size))
    ends = histories.times[begins + counts - 1]
    order = np.argsort(ends, kind="stable")
    counts = counts[order]
    indptr = np.concatenate(([0], np.cumsum(counts)))
    places = np.repeat(begins[order] - indptr[:-1], counts) + np.arange(histories.items.size)
    return Recorded(indptr, histories.items[places], ends[order])


def _begins(histories: Histories) -> NDArray[np.bool_]:
    """Whether each interaction is a session's first."""
    counts = np.diff(histories.indptr)
    cut = np.array([not each.startswith(_SESSION) for each in histories.user_ids], dtype=bool)
    begins = np.diff(histories.times, prepend=-np.inf) > GAP_SECONDS
    begins &= np.repeat(cut, counts)
    begins[histories.indptr[:-1][counts > 0]] = True
    return begins
