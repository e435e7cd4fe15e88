"""Trains algorithms on a public data set by its published protocol, and sets their figures beside published ones."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import scipy.sparse as sp

from models.recommender import Recommender
from offline.archive import Progress, quiet
from offline.dataset import Interactions
from offline.evaluation import Ranks, rank_among, ranks, summary
from offline.memory import peak_mib, reset_peak
from offline.splits import HoldOut, held_out
from offline.training.algorithm import Context
from offline.training.registry import algorithm, algorithms
from schemas.errors import ConfigurationInvalid, DatasetUnknown
from schemas.manifest import DataWindow


class Row(msgspec.Struct, frozen=True):
    """One algorithm's figures; ``seconds`` are of training alone, ``peak_mib`` is the process's largest memory in it."""

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


Asked = Callable[[Recommender, Progress], Iterator[Ranks]]
"""Asks a model all of a protocol's questions: the ranks of each one's right items."""


@dataclass(frozen=True)
class Task:
    """A data set's training part, its questions and the metrics that are published for them."""

    dataset: str
    training: Interactions
    ask: Asked
    cutoffs: tuple[int, ...] = (10,)
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
    training = _binary((line[0], line[1]) for line in _read(folder / "train.tsv.gz"))
    questions = []
    for line in _read(folder / "test.negative.gz"):
        user_id, item_id = line[0].strip("()").split(",")
        questions.append(Question(user_id, item_id, tuple(other for other in line[1:] if other != item_id)))
    return Task(folder.name, training, partial(_ask_sampled, training, questions), published=NCF_PUBLISHED)


def load_lightgcn(folder: Path) -> Task:
    """Gowalla as He et al. split it ("LightGCN", SIGIR 2020): all items but a user's training items are ranked."""
    training, test = _binary(_lines(folder, "train.txt")), _binary(_lines(folder, "test.txt"))
    ask = partial(_ask_fully, training, held_out(training, test))
    return Task(folder.name, training, ask, (20,), LIGHTGCN_PUBLISHED)


def _row(name: str, task: Task, progress: Progress) -> Row:
    progress(f"training {name}", 0, 1)
    reset_peak()
    begun = time.perf_counter()
    using = algorithm(name)
    model = using.train(task.training, using.parameters(), Context(progress=progress))
    seconds, peak = time.perf_counter() - begun, peak_mib()
    progress(f"training {name}", 1, 1)

    def asking(_: str, done: int, total: int) -> None:
        progress(f"asking {name}", done, total)

    return Row(name, summary(task.ask(model, asking), task.cutoffs), seconds, peak)


def _ask_sampled(
    training: Interactions, questions: Sequence[Question], model: Recommender, progress: Progress
) -> Iterator[Ranks]:
    index = {item_id: i for i, item_id in enumerate(training.item_ids)}
    rows = {user_id: row for row, user_id in enumerate(training.user_ids)}
    for done, question in enumerate(questions, start=1):
        history = training.histories(np.array([rows[question.user_id]]))
        # One place more than there are items: unknown ones are below all.
        scores = np.append(model.score_histories(history)[0], np.float32(-np.inf))
        others = np.array([index.get(other, -1) for other in question.others], dtype=np.intp)
        yield np.array([rank_among(float(scores[index.get(question.item_id, -1)]), scores[others])])
        progress("", done, len(questions))


def _ask_fully(training: Interactions, held: HoldOut, model: Recommender, progress: Progress) -> Iterator[Ranks]:
    for done, found in enumerate(ranks(held, lambda rows: model.score_histories(training.histories(rows))), start=1):
        yield found
        progress("", done, held.rows.size)


def _lines(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """Pairs of a file of one line a user: the user, then the items."""
    packed = folder / f"{name}.gz"
    for user_id, *item_ids in _read(packed if packed.exists() else folder / name):
        for item_id in item_ids:
            yield user_id, item_id


def _read(path: Path) -> Iterator[list[str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield line.split()
    except (FileNotFoundError, gzip.BadGzipFile) as error:
        raise DatasetUnknown(f"{path.parent} is not a data set of this protocol: {error}") from error


def _binary(pairs: Iterator[tuple[str, str]]) -> Interactions:
    """Interactions of weight 1, ids sorted; a pair that is there twice counts once."""
    users, items = zip(*pairs, strict=True)
    user_ids, rows = np.unique(np.array(users), return_inverse=True)
    item_ids, columns = np.unique(np.array(items), return_inverse=True)
    matrix = sp.csr_matrix(
        (np.ones(rows.size, dtype=np.float32), (rows, columns)), shape=(user_ids.size, item_ids.size)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    window = DataWindow(interactions=int(matrix.nnz), users=int(user_ids.size), items=int(item_ids.size))
    return Interactions(tuple(user_ids.tolist()), tuple(item_ids.tolist()), matrix, window, {})


def _require(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        raise ConfigurationInvalid(f"'{name}' is not {what}; choose from {', '.join(known)}")


PROTOCOLS: Final[Mapping[str, Callable[[Path], Task]]] = {"ncf": load_ncf, "lightgcn": load_lightgcn}


def _published(name: str, hits: float, ndcg: float) -> Published:
    return Published(name, {"HR@10": hits, "NDCG@10": ndcg})


def _published_fully(name: str, recall: float, ndcg: float) -> Published:
    return Published(name, {"Recall@20": recall, "NDCG@20": ndcg})


NCF_PUBLISHED: Final = (
    _published("popularity", 0.4538, 0.2536),
    _published("ItemKNN", 0.6596, 0.3900),
    _published("NeuMF", 0.6725, 0.4011),
    _published("PureSVD", 0.6896, 0.4294),
    _published("iALS d=192 (Rendle 2020)", 0.7294, 0.4523),
)
"""Ferrari Dacrema et al., "A Troubling Analysis of Reproducibility", TOIS 2021; Rendle et al., RecSys 2020."""

LIGHTGCN_PUBLISHED: Final = (
    _published_fully("popularity", 0.0416, 0.0317),
    _published_fully("ItemCF", 0.157, 0.1214),
    _published_fully("MF-BPR", 0.1627, 0.1378),
    _published_fully("EASE", 0.1765, 0.1467),
    _published_fully("LightGCN", 0.182, 0.1547),
    _published_fully("UltraGCN", 0.1862, 0.158),
    _published_fully("SimpleX", 0.1872, 0.1557),
)
"""He et al., "LightGCN", SIGIR 2020; Mao et al., "UltraGCN" and "SimpleX", CIKM 2021; Zhu et al., "BARS", SIGIR 2022."""
