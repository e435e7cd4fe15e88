"""Trains algorithms on a public data set by its published protocol, and sets their figures beside published ones."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import scipy.sparse as sp

from models.recommender import Recommender
from offline.archive import Progress, quiet
from offline.dataset import Interactions
from offline.evaluation import rank_among, summary
from offline.memory import peak_mib, reset_peak
from offline.training.algorithm import Context
from offline.training.registry import algorithm, algorithms
from schemas.errors import ConfigurationInvalid, DatasetUnknown
from schemas.manifest import DataWindow

CUTOFFS: Final = (10,)


class Row(msgspec.Struct, frozen=True):
    """One algorithm's figures; ``seconds`` are of training alone, ``peak_mib`` is the process's largest memory."""

    name: str
    metrics: dict[str, float]
    seconds: float
    peak_mib: float


class Published(msgspec.Struct, frozen=True):
    """Figures that others have printed for the same split."""

    name: str
    metrics: dict[str, float]


class CompareReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``freshet evaluate compare`` writes."""

    dataset: str
    protocol: str
    config_id: str
    commit: str
    rows: list[Row]
    published: list[Published]
    """Printed elsewhere, not measured here."""


class Question(NamedTuple):
    """Which of these items did the user come to? One is right, the others are not."""

    user_id: str
    item_id: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A data set's training part and its questions."""

    dataset: str
    training: Interactions
    questions: Sequence[Question]
    published: Sequence[Published] = field(default=())


def compare(
    path: Path,
    protocol: str,
    names: Sequence[str] = (),
    progress: Progress = quiet,
    *,
    config_id: str = "default",
    commit: str = "unknown",
) -> CompareReport:
    """Trains each algorithm (all there are by default) with its default parameters and asks the protocol's questions.

    Raises ConfigurationInvalid for an unknown protocol or algorithm, DatasetUnknown where files are missing.
    """
    chosen = names or tuple(algorithms())
    _require(protocol, PROTOCOLS, "a protocol")
    for name in chosen:
        algorithm(name)
    task = PROTOCOLS[protocol](path)
    rows = [_row(name, task, progress) for name in chosen]
    return CompareReport(
        dataset=task.dataset,
        protocol=protocol,
        config_id=config_id,
        commit=commit,
        rows=rows,
        published=list(task.published),
    )


def load_ncf(folder: Path) -> Task:
    """MovieLens 1M as He et al. split it ("Neural Collaborative Filtering", WWW 2017): the last item against 99 others.

    A user's own test item is left out of the others, where it stands among them by mistake.
    """
    training = _binary(_read(folder / "train.tsv.gz"))
    questions = []
    for line in _read(folder / "test.negative.gz"):
        user_id, item_id = line[0].strip("()").split(",")
        questions.append(Question(user_id, item_id, tuple(other for other in line[1:] if other != item_id)))
    return Task(folder.name, training, questions, NCF_PUBLISHED)


def _row(name: str, task: Task, progress: Progress) -> Row:
    progress(f"training {name}", 0, 1)
    reset_peak()
    begun = time.perf_counter()
    using = algorithm(name)
    model = using.train(task.training, using.parameters(), Context(progress=progress))
    seconds = time.perf_counter() - begun
    metrics = summary(_ranks(task, model), CUTOFFS)
    progress(f"training {name}", 1, 1)
    return Row(name, metrics, seconds, peak_mib())


def _ranks(task: Task, model: Recommender) -> Iterator[np.ndarray[Any, np.dtype[np.float64]]]:
    index = {item_id: i for i, item_id in enumerate(task.training.item_ids)}
    rows = {user_id: row for row, user_id in enumerate(task.training.user_ids)}
    for question in task.questions:
        history = task.training.histories(np.array([rows[question.user_id]]))
        # One place more than there are items: unknown ones are below all.
        scores = np.append(model.score_histories(history)[0], np.float32(-np.inf))
        others = np.array([index.get(other, -1) for other in question.others], dtype=np.intp)
        yield np.array([rank_among(float(scores[index.get(question.item_id, -1)]), scores[others])])


def _read(path: Path) -> Iterator[list[str]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield line.split()
    except (FileNotFoundError, gzip.BadGzipFile) as error:
        raise DatasetUnknown(f"{path.parent} is not a data set of this protocol: {error}") from error


def _binary(pairs: Iterator[list[str]]) -> Interactions:
    """Interactions of weight 1, ids sorted."""
    users, items = zip(*((user, item) for user, item, *_ in pairs), strict=True)
    user_ids, rows = np.unique(np.array(users), return_inverse=True)
    item_ids, columns = np.unique(np.array(items), return_inverse=True)
    matrix = sp.csr_matrix(
        (np.ones(rows.size, dtype=np.float32), (rows, columns)), shape=(user_ids.size, item_ids.size)
    )
    matrix.sort_indices()
    window = DataWindow(interactions=int(matrix.nnz), users=int(user_ids.size), items=int(item_ids.size))
    return Interactions(tuple(user_ids.tolist()), tuple(item_ids.tolist()), matrix, window, {})


def _require(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        raise ConfigurationInvalid(f"'{name}' is not {what}; choose from {', '.join(known)}")


PROTOCOLS: Final[Mapping[str, Callable[[Path], Task]]] = {"ncf": load_ncf}


def _published(name: str, hits: float, ndcg: float) -> Published:
    return Published(name, {"HR@10": hits, "NDCG@10": ndcg})


NCF_PUBLISHED: Final = (
    _published("popularity", 0.4538, 0.2536),
    _published("ItemKNN", 0.6596, 0.3900),
    _published("NeuMF", 0.6725, 0.4011),
    _published("PureSVD", 0.6896, 0.4294),
    _published("iALS d=192 (Rendle 2020)", 0.7294, 0.4523),
)
"""Ferrari Dacrema et al., "A Troubling Analysis of Reproducibility", TOIS 2021; Rendle et al., RecSys 2020."""
