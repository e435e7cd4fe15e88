"""Validation of a version: the same training on less data, evaluated on the held-out newest items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.structures.recommender import Recommender
from offline.data.archive import Progress
from offline.data.dataset import Interactions
from offline.data.splits import HoldOut, last_of_each, newest_of_each
from offline.evaluation.metric_names import BASELINE, EVALUATED_USERS, LEARNED
from offline.evaluation.ranking_metrics import Scores, full_ranking, means, per_question
from offline.evaluation.segments import LEAST, by_history
from offline.evaluation.task import Questions, answer, questions_of
from offline.training import popularity

_K: Final = 10
_OF_SEGMENTS: Final = ("NDCG@10", "HR@10")


Learn = Callable[[Interactions], Recommender]
"""Trains a model on interactions."""


def measure(table: pa.Table, learn: Learn, held_out_users: int, progress: Progress) -> dict[str, float]:
    """Evaluates the model that ``learn`` returns, on the held-out newest item of each sampled user, by full ranking.

    Returns HR, NDCG, Recall, MRR and MAP at 10 and ``coverage@10``, metrics by segment (``NDCG@10[new]``, ``[occasional]``,
    ``[long-term]``), those of the popularity baseline (``popularity HR@10``), and ``training NDCG@10``. Empty if nobody has
    enough items.
    """
    split = newest_of_each(table, held_out_users) if held_out_users else None
    if split is None:
        return {}
    training, held = split
    questions = questions_of(held, training)
    model = learn(training)
    progress("evaluation", 0, 2)
    metrics = metrics_of(questions, model)
    metrics |= {f"{LEARNED}NDCG@{_K}": learned(training, held.rows, model)}
    progress("evaluation", 1, 2)
    baseline = metrics_of(questions, popularity.train(training))
    progress("evaluation", 2, 2)
    return metrics | {
        f"{BASELINE}{name}": value for name, value in baseline.items() if not name.startswith(EVALUATED_USERS)
    }


def metrics_of(questions: Questions, model: Recommender) -> dict[str, float]:
    """Returns the metrics at 10, overall and for each segment with enough people, and the item coverage."""
    answers = answer(questions, model, _K)
    metrics = means(per_question(answers.ranked)) | {EVALUATED_USERS: float(answers.ranked.questions)}
    histories = np.diff(questions.interactions.matrix.indptr)[questions.rows]
    for name, mask in by_history(histories).items():
        part = answers.ranked.only(mask[answers.ranked.question])
        if part.questions >= LEAST:
            by_metric = means(per_question(part))
            metrics |= {f"{metric}[{name}]": by_metric[metric] for metric in _OF_SEGMENTS}
            metrics[f"{EVALUATED_USERS}[{name}]"] = float(part.questions)
    if answers.tops is not None:
        shown = np.unique(answers.tops[answers.tops >= 0]).size
        metrics[f"coverage@{_K}"] = shown / len(model.item_ids)
    return metrics


def learned(training: Interactions, rows: NDArray[np.intp], model: Recommender) -> float:
    """Returns NDCG@10 on the newest training item of each of these people.

    ``offline.data.drift.gap`` compares it with the figure on held-out items.
    """
    newest = last_of_each(training, 1, needed=1)
    person = np.repeat(np.arange(training.matrix.shape[0]), np.diff(training.matrix.indptr))
    columns = np.empty(training.matrix.shape[0], dtype=np.intp)
    columns[person[newest]] = training.matrix.indices[newest]
    others = training.matrix.copy()
    others.data[newest] = 0
    others.eliminate_zeros()
    held = HoldOut(others, rows, {row: columns[row : row + 1] for row in rows.tolist()}, {})

    def scores(block: NDArray[np.intp]) -> Scores:
        return model.score_histories(training.histories(block))

    return full_ranking(held, scores, (_K,))[f"NDCG@{_K}"]
