"""Session neighbours: an index of the newest sessions, to be asked for those that are like the evolving one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from models.session_knn import SessionKnn, Voting
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, Floats, Integers
from offline.training.neighbourhood.sessions import recorded
from schemas.errors import ConfigurationInvalid


@dataclass(frozen=True, kw_only=True)
class SessionKnnParameters(Voting):
    """Of session neighbours; raises ConfigurationInvalid where a value cannot work."""

    newest: int = 2_000_000
    """At most so many sessions are kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.newest < 1:
            raise ConfigurationInvalid("newest of session neighbours must be above 0")

    @property
    def voting(self) -> Voting:
        """What of it the index keeps."""
        return Voting(**{name: getattr(self, name) for name in Voting.__dataclass_fields__})


def train(interactions: Interactions, parameters: SessionKnnParameters) -> SessionKnn:
    """The index of the newest sessions; raises ConfigurationInvalid where times are not known."""
    found = recorded(interactions)
    first = max(0, found.times.size - parameters.newest)
    start = int(found.indptr[first])
    indptr, items, times = found.indptr[first:] - start, found.items[start:], found.times[first:]
    return SessionKnn.of(interactions.item_ids, indptr, items, times, parameters.voting)


def needs_mib(interactions: Interactions, _: SessionKnnParameters) -> float:
    """What it takes to put sessions in order, in MiB: some ten numbers of 8 bytes an interaction."""
    return 80 * int(interactions.matrix.nnz) / 2**20


def _train(interactions: Interactions, parameters: SessionKnnParameters, _: Context) -> SessionKnn:
    return train(interactions, parameters)


ALGORITHM: Final = Algorithm(
    name="session-knn",
    about="what the recent sessions most like this one went on to (VMIS-kNN), weighted by place and distance",
    parameters=SessionKnnParameters,
    train=_train,
    space={
        "sample": Integers(200, 5_000, log=True),
        "neighbours": Integers(50, 1_000, log=True),
        "age": Floats(0.3, 10.0),
        "reach": Floats(0.5, 30.0),
        "before": Floats(0.0, 1.0, log=False),
        "same": Floats(0.1, 10.0),
        "rarity": Floats(0.0, 3.0, log=False),
        "lengths": Floats(0.0, 1.0, log=False),
    },
    needs_mib=needs_mib,
    kind=SessionKnn.kind,
)
