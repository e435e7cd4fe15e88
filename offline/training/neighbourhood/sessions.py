"""Sessions from interactions: the actions of one person without a long break."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import Ints
from models.structures.recommender import Histories
from offline.data.dataset import GUEST, Interactions
from schemas.errors import ConfigurationInvalid

GAP_SECONDS: Final = 1_800.0
"""A longer break ends a session, as in web analytics."""
_SESSION: Final = GUEST + "s:"
"""Prefix in ``user_ids`` of an anonymous user of one session."""


class Recorded(NamedTuple):
    """S sessions in the order of their ends. Session s has ``items[indptr[s]:indptr[s + 1]]``."""

    indptr: NDArray[np.int64]
    """(S + 1,)."""
    items: Ints
    """Item positions, each once in a session, oldest first. A repeated item stands at its latest position."""
    times: NDArray[np.float64]
    """(S,) end times in seconds since 1970."""

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Returns the session number of each of ``items``."""
        return np.repeat(np.arange(self.times.size), np.diff(self.indptr))


def recorded(interactions: Interactions) -> Recorded:
    """Cuts the interactions of each person at breaks of GAP_SECONDS. A session of an anonymous user is not cut.

    Raises ConfigurationInvalid if times are unknown.
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
    positions = np.repeat(begins[order] - indptr[:-1], counts) + np.arange(histories.items.size)
    return Recorded(indptr, histories.items[positions], ends[order])


def _begins(histories: Histories) -> NDArray[np.bool_]:
    """Returns the mask of interactions that start a session."""
    counts = np.diff(histories.indptr)
    cut = np.array([not user_id.startswith(_SESSION) for user_id in histories.user_ids], dtype=bool)
    begins = np.diff(histories.times, prepend=-np.inf) > GAP_SECONDS
    begins &= np.repeat(cut, counts)
    begins[histories.indptr[:-1][counts > 0]] = True
    return begins
