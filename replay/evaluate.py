"""Prequential evaluation (test, then learn) of the whole system on a recorded stream.

Before each target event, the system returns the list of its user, and the rank of the event's item in the list is scored.
Then the event is folded. Gama, Sebastião, Rodrigues, "On evaluating stream learning algorithms", Machine Learning 2013.
Variants of the system receive events later than the live one: some minutes late, or only when models are trained.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import numpy as np

from offline.evaluation.intervals import intervals
from offline.evaluation.memory import peak_mib
from offline.evaluation.ranking_metrics import MISS, means, per_question, ranked
from replay.ranks import candidate_index, rank_among, rank_in_list
from replay.source_weight_learner import SourceWeightLearner
from replay.stream import StreamEvent
from replay.system import ReplaySystem
from replay.training import Trainer
from schemas.answers import RecommendationRequest
from serving.ranking.blend import CandidateSet, source_weights, weighted_scores
from serving.ranking.config import RankingConfig
from serving.ranking.context import RankingContext
from serving.state.model_bundle import ModelBundle
from signals.decay import DAY, HOUR

ReportProgress = Callable[[str, int, int], None]
"""Called with the name of the step, the number of events so far, and the number of all events."""

LIVE: Final = "live"
DELAYS: Final[Mapping[str, float]] = {"1 minute late": 60.0, "10 minutes late": 600.0, "1 hour late": HOUR}
"""Variants by name, with the seconds by which they fold each event late."""
BATCH: Final = "batch only"
"""The variant that folds events only when models are trained."""
_LIST_FACTOR: Final = 2
"""Lists are this many times as long as the greatest cutoff. So a list also shows the ties at the cutoff."""


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Options of a replay."""

    cutoffs: tuple[int, ...] = (10, 20)
    retrain_seconds: float = DAY
    """Models are trained again after this time of the stream, once ``retrain_share`` has passed too."""
    retrain_share: float = 0.02
    """Models are trained again after this share of the stream's events, once ``retrain_seconds`` have passed too."""
    live_share: float = 1.0
    """Share of the targets that the live system predicts."""
    sample_share: float = 0.2
    """Share of the targets that the variants predict as well."""
    weights_share: float = 0.3
    """Share of the possible targets from which every system learns source weights. It includes the sample."""
    variants: tuple[str, ...] = ()
    """Systems beside the live one: names of DELAYS, or BATCH."""
    seed: int = 0


class ReplayRow(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one system."""

    name: str
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    questions: int
    """Number of targets that the system predicted."""
    seconds: float
    peak_mib: float


class _Draw(NamedTuple):
    """Uses of one event: a target of the live system, a target of all systems, a choice to learn source weights from."""

    live: bool
    sample: bool
    weights: bool


@dataclass
class _RankLog:
    """The ranks that one row of the table is computed from, and the user of each target."""

    ranks: list[float] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, rank: float, user: int) -> None:
        self.ranks.append(rank)
        self.users.append(user)


class _Variant:
    """A system that folds events ``delay`` seconds late; None: only when models are trained."""

    def __init__(self, name: str, config: RankingConfig, delay: float | None) -> None:
        self.name, self.delay = name, delay
        self.system = ReplaySystem(config)
        self.rank_log = _RankLog()
        self.learner = SourceWeightLearner(config)
        self._waiting: deque[StreamEvent] = deque()

    def add(self, event: StreamEvent) -> None:
        self._waiting.append(event)

    def catch_up(self, now: float) -> None:
        """Folds the events that this variant has received by ``now``."""
        if self.delay is not None:
            while self._waiting and self._waiting[0].at <= now - self.delay:
                self.system.feed(self._waiting.popleft().event)

    def adopt(self, models: ModelBundle) -> None:
        while self.delay is None and self._waiting:
            self.system.feed(self._waiting.popleft().event)
        self.system.adopt(models)
        self.system.weigh(self.learner.learn())


def replay(
    events: Sequence[StreamEvent],
    config: RankingConfig,
    trainer: Trainer,
    options: ReplayOptions,
    progress: ReportProgress,
) -> list[ReplayRow]:
    """Returns the figures of the live system on its targets, and of the variants on a seeded sample of them."""
    return _Replay(events, config, trainer, options, progress).run()


class _Replay:
    def __init__(
        self,
        events: Sequence[StreamEvent],
        config: RankingConfig,
        trainer: Trainer,
        options: ReplayOptions,
        progress: ReportProgress,
    ) -> None:
        self._events, self._trainer, self._options = events, trainer, options
        self._progress = progress
        self._live = _Variant(LIVE, config, 0.0)
        others = [_Variant(name, config, DELAYS.get(name)) for name in options.variants if name in {*DELAYS, BATCH}]
        self._variants = [self._live, *others]
        self._source_logs: dict[str, _RankLog] = {}
        self._sampled_live = _RankLog()
        self._users: dict[str, int] = {}
        self._trained_at, self._trained_number = events[0].at, 0
        self._random = np.random.default_rng(options.seed)

    def run(self) -> list[ReplayRow]:
        started = time.perf_counter()
        for number, event in enumerate(self._events):
            self._train_if_due(number, event)
            draw = self._draw(event)
            for variant in self._variants:
                variant.catch_up(event.at)
            if any(draw):
                self._predict(event, draw)
            for variant in self._variants:
                variant.add(event)
            self._live.catch_up(event.at)
            self._trainer.add(event.event, event.at)
            if number % 500 == 0:
                self._progress("replaying", number, len(self._events))
        self._live.rank_log.seconds = time.perf_counter() - started
        return self._rows()

    def _draw(self, event: StreamEvent) -> _Draw:
        number, options = self._random.random(), self._options
        return _Draw(
            event.is_target and number < options.live_share,
            event.is_target and number < options.sample_share,
            event.may_be_target and number < max(options.sample_share, options.weights_share),
        )

    def _train_if_due(self, number: int, event: StreamEvent) -> None:
        due_number = self._trained_number + self._options.retrain_share * len(self._events)
        if number < due_number or event.at < self._trained_at + self._options.retrain_seconds:
            return
        self._progress("training", number, len(self._events))
        models = self._trainer.train(f"r{number}", event.at)
        for variant in self._variants:
            variant.adopt(models)
        self._trained_at, self._trained_number = event.at, number

    def _predict(self, target: StreamEvent, draw: _Draw) -> None:
        event = target.event
        request = RecommendationRequest(
            now=target.at,
            count=_LIST_FACTOR * max(self._options.cutoffs),
            user_id=event.user_id,
            anonymous_id=event.anonymous_id,
            session_id=event.session_id,
        )
        user = self._users.setdefault(event.subject, len(self._users))
        for variant in self._variants:
            if draw.live if variant is self._live else draw.sample:
                rank = rank_in_list(variant.system.recommend(request, event.subject), event.item_id or "")
                variant.rank_log.add(rank, user)
                if draw.sample and variant is self._live:
                    self._sampled_live.add(rank, user)
            if draw.weights:
                self._learn_weights(variant, request, target, user if draw.sample else None)

    def _learn_weights(
        self, variant: _Variant, request: RecommendationRequest, target: StreamEvent, user: int | None
    ) -> None:
        """Adds the choice of the target among the candidates. With a ``user``, also scores each source of the live system.

        Each source is scored twice: by itself, and by the blend without it.
        """
        event = target.event
        context = variant.system.context(request, event.subject)
        candidates = variant.system.candidates(context)
        position = context.catalogue.position(event.item_id or "")
        variant.learner.add_choice(candidates, context, position, event.subject)
        if event.user_id is None:
            variant.learner.add_revisit(context.signals.user, event.item_id or "")
        if variant is self._live and user is not None:
            self._rank_by_source(context, candidates, position, user)

    def _rank_by_source(
        self, context: RankingContext, candidates: CandidateSet, position: int | None, user: int
    ) -> None:
        target_index = candidate_index(candidates, position)
        scores, _ = candidates.table(candidates.scores)
        weighted, _ = candidates.table(weighted_scores(candidates, source_weights(context)))
        total = weighted.sum(axis=0)
        for name in self._live.system.config.sources:
            row: int | None = candidates.names.index(name) if name in candidates.names else None
            alone = MISS if row is None else rank_among(scores[row], target_index)
            without = rank_among(total if row is None else total - weighted[row], target_index)
            self._source_logs.setdefault(f"{name} alone", _RankLog()).add(alone, user)
            self._source_logs.setdefault(f"without {name}", _RankLog()).add(without, user)

    def _rows(self) -> list[ReplayRow]:
        rows = [self._row(variant.name, variant.rank_log) for variant in self._variants]
        rows.append(self._row("live, on the sample", self._sampled_live))
        return rows + [self._row(name, rank_log) for name, rank_log in sorted(self._source_logs.items())]

    def _row(self, name: str, rank_log: _RankLog) -> ReplayRow:
        target_ranks = ranked(np.array([rank]) for rank in rank_log.ranks)
        values = per_question(target_ranks, self._options.cutoffs)
        values = {metric: value for metric, value in values.items() if metric[:3] != "MAP"}
        users = np.unique(np.array(rank_log.users, dtype=np.intp), return_inverse=True)[1]
        return ReplayRow(
            name=name,
            metrics=means(values),
            intervals=intervals(values, users) if users.size else {},
            questions=len(rank_log.ranks),
            seconds=rank_log.seconds,
            peak_mib=peak_mib(),
        )
