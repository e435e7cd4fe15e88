"""How good a version can be expected to be: the same training on less, asked for what came next."""

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
from offline.evaluation.metric_names import BASELINE, LEARNED, PEOPLE
from offline.evaluation.ranking_metrics import Scores, full_ranking, means, per_question
from offline.evaluation.segments import LEAST, by_history
from offline.evaluation.task import Questions, answer, questions_of
from offline.training import popularity

_K: Final = 10
_OF_SEGMENTS: Final = ("NDCG@10", "HR@10")


Learn = Callable[[Interactions], Recommender]


def measure(table: pa.Table, learn: Learn, held_out_users: int, progress: Progress) -> dict[str, float]:
    """HR, NDCG, Recall, MRR and MAP at 10, by full ranking, of what ``learn`` makes, and ``coverage@10``.

    Also by segment (``NDCG@10[new]``, ``[occasional]``, ``[long-term]``), popularity's (``popularity HR@10``) and
    ``training NDCG@10``. The newest item of each of a sample of people is held out; nothing where nobody has enough.
    """
    split = newest_of_each(table, held_out_users) if held_out_users else None
    if split is None:
        return {}
    training, held = split
    questions = questions_of(held, training)
    model = learn(training)
    progress("evaluation", 0, 2)
    found = measured(questions, model)
    found |= {f"{LEARNED}NDCG@{_K}": learned(training, held.rows, model)}
    progress("evaluation", 1, 2)
    baseline = measured(questions, popularity.train(training))
    progress("evaluation", 2, 2)
    return found | {f"{BASELINE}{name}": value for name, value in baseline.items() if not name.startswith(PEOPLE)}


def measured(questions: Questions, model: Recommender) -> dict[str, float]:
    """The metrics at 10, those of each segment with enough people, and the share of items that are recommended at all."""
    answers = answer(questions, model, _K)
    found = means(per_question(answers.ranked)) | {PEOPLE: float(answers.ranked.questions)}
    histories = np.diff(questions.asked.matrix.indptr)[questions.rows]
    for name, mask in by_history(histories).items():
        part = answers.ranked.only(mask[answers.ranked.question])
        if part.questions >= LEAST:
            by_metric = means(per_question(part))
            found |= {f"{metric}[{name}]": by_metric[metric] for metric in _OF_SEGMENTS}
            found[f"{PEOPLE}[{name}]"] = float(part.questions)
    if answers.tops is not None:
        shown = np.unique(answers.tops[answers.tops >= 0]).size
        found[f"coverage@{_K}"] = shown / len(model.item_ids)
    return found


def learned(training: Interactions, rows: NDArray[np.intp], model: Recommender) -> float:
    """NDCG@10 where the newest item that was learned of each of these people is asked for.

    ``offline.data.drift.gap`` sets it beside the figure on what was held out.
    """
    newest = last_of_each(training, 1, needed=1)
    person = np.repeat(np.arange(training.matrix.shape[0]), np.diff(training.matrix.indptr))
    columns = np.empty(training.matrix.shape[0], dtype=np.intp)
    columns[person[newest]] = training.matrix.indices[newest]
    others = training.matrix.copy()
    others.data[newest] = 0
    others.eliminate_zeros()
    held = HoldOut(others, rows, {row: columns[row : row + 1] for row in rows.tolist()}, {})

    def scores(some: NDArray[np.intp]) -> Scores:
        return model.score_histories(training.histories(some))

    return full_ranking(held, scores, (_K,))[f"NDCG@{_K}"]
