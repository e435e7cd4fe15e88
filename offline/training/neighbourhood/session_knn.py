"""Session kNN: an index of the newest sessions, in which those similar to the current session are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from models.session_knn import SessionKnn, Voting
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, FloatRange, IntegerRange
from offline.training.neighbourhood.sessions import recorded
from schemas.errors import ConfigurationInvalid


@dataclass(frozen=True, kw_only=True)
class SessionKnnParameters(Voting):
    """Parameters of session kNN. Raises ConfigurationInvalid for an invalid value."""

    newest: int = 2_000_000
    """Maximum number of sessions in the index."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.newest < 1:
            raise ConfigurationInvalid("newest of session neighbours must be above 0")

    @property
    def voting(self) -> Voting:
        """Returns the parameters that the index stores."""
        return Voting(**{name: getattr(self, name) for name in Voting.__dataclass_fields__})


def train(interactions: Interactions, parameters: SessionKnnParameters) -> SessionKnn:
    """Returns the index of the newest sessions. Raises ConfigurationInvalid if times are unknown."""
    sessions = recorded(interactions)
    first = max(0, sessions.times.size - parameters.newest)
    start = int(sessions.indptr[first])
    indptr, items, times = sessions.indptr[first:] - start, sessions.items[start:], sessions.times[first:]
    return SessionKnn.of(interactions.item_ids, indptr, items, times, parameters.voting)


def needs_mib(interactions: Interactions, _: SessionKnnParameters) -> float:
    """Returns the memory of sorting sessions, in MiB: about ten numbers of 8 bytes for each interaction."""
    return 80 * int(interactions.matrix.nnz) / 2**20


def _train(interactions: Interactions, parameters: SessionKnnParameters, _: Context) -> SessionKnn:
    return train(interactions, parameters)


ALGORITHM: Final = Algorithm(
    name="session-knn",
    about="what the recent sessions most like this one went on to (VMIS-kNN), weighted by position and distance",
    parameters=SessionKnnParameters,
    train=_train,
    space={
        "sample": IntegerRange(200, 5_000, log=True),
        "neighbours": IntegerRange(50, 1_000, log=True),
        "age": FloatRange(0.3, 10.0),
        "reach": FloatRange(0.5, 30.0),
        "before": FloatRange(0.0, 1.0, log=False),
        "same": FloatRange(0.1, 10.0),
        "rarity": FloatRange(0.0, 3.0, log=False),
        "lengths": FloatRange(0.0, 1.0, log=False),
    },
    needs_mib=needs_mib,
    kind=SessionKnn.kind,
)
