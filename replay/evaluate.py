"""Test, then learn: a recorded stream through the whole system, each event foreseen before it is known.

Before each event that counts, the system is asked for that person's list, and what then happened is scored; then the
event is folded. Gama, Sebastião, Rodrigues, "On evaluating stream learning algorithms", Machine Learning 2013.
Systems that are slower to know stand beside the live one: with signals of a minute ago, or of last night.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.source_weights import Revisits, SourceWeights
from models.structures.arrays import Floats
from offline.evaluation.intervals import intervals
from offline.evaluation.memory import peak_mib
from offline.evaluation.ranking_metrics import MISS, means, per_question, ranked
from offline.training.blending.source_weights import Expected, SourceChoice, learn
from replay.stream import StreamEvent
from replay.system import ReplaySystem
from replay.training import Trainer
from schemas.answers import RecommendationRequest
from serving.ranking.blend import CandidateSet, source_weights, weighted_scores
from serving.ranking.config import RankingConfig
from serving.ranking.context import RankingContext
from serving.ranking.pipeline import RankedList
from serving.state.model_bundle import ModelBundle
from signals.decay import DAY, HOUR
from signals.users import UserValue

ReportProgress = Callable[[str, int, int], None]

LIVE: Final = "live"
DELAYS: Final[Mapping[str, float]] = {"1 minute late": 60.0, "10 minutes late": 600.0, "1 hour late": HOUR}
BATCH: Final = "batch only"
_SHOWN: Final = 2
"""Lists are asked for this many times as long as the longest cutoff, so that ties at its end are seen."""
_TOP_CANDIDATES: Final = 20
"""Best candidates of each source that weights are learned among."""
_CHOICES: Final = 5_000
"""Newest choices that weights are learned from."""
_REVISITS: Final = 0.05
"""Share of a session's interactions that are of one kind of ``Revisits``, from which it is often."""


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """How a stream is replayed."""

    cutoffs: tuple[int, ...] = (10, 20)
    retrain_seconds: float = DAY
    """Models are trained anew when so much of the stream's time has passed,"""
    retrain_share: float = 0.02
    """and so much of the stream's events."""
    ask: float = 1.0
    """Of the events that count, those that the live system is asked."""
    sample: float = 0.2
    """Of the events that count, those that variants are asked too."""
    weigh: float = 0.3
    """Of the events that can be foreseen, those that every system learns its weights from; the sample is among them."""
    variants: tuple[str, ...] = ()
    """Systems beside the live one."""
    seed: int = 0


class ReplayRow(msgspec.Struct, frozen=True, kw_only=True):
    """One system's figures."""

    name: str
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    questions: int
    seconds: float
    peak_mib: float


class _Pending(NamedTuple):
    moment: StreamEvent
    number: int


class _Draw(NamedTuple):
    """What a moment was drawn for: to ask the live system, to ask all systems, to learn weights."""

    live: bool
    sample: bool
    weights: bool


@dataclass
class _RankLog:
    """Ranks of the right items of one row of the table."""

    ranks: list[float] = field(default_factory=list)
    people: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, rank: float, person: int) -> None:
        self.ranks.append(rank)
        self.people.append(person)


class WeightLearner:
    """Learns the blend's weights from the newest choices."""

    def __init__(self, config: RankingConfig) -> None:
        self._sources = tuple(name for name, weight in config.sources.items() if weight > 0)
        self._choices: deque[SourceChoice] = deque(maxlen=_CHOICES)
        self._back: deque[Revisits] = deque(maxlen=_CHOICES)

    def watch(self, candidates: CandidateSet, context: RankingContext, at: int | None, person: str) -> None:
        """Remember what was proposed and what was chosen, where it was among that."""
        if (choice := _choice(candidates, at, self._sources, context.profile.events, person)) is not None:
            self._choices.append(choice)

    def went(self, value: UserValue, item_id: str) -> None:
        """Remember whether a session went on to something new, back to an earlier item, or was at the same one again."""
        if item_id not in value.seen:
            self._back.append(Revisits.NONE)
        else:
            same = value.recent and value.recent[-1].item == item_id
            self._back.append(Revisits.ALL if same else Revisits.EARLIER)

    @property
    def revisits(self) -> Revisits:
        """What sessions often turned to once more."""
        often = [kind for kind in Revisits if self._back.count(kind) >= max(1.0, _REVISITS * len(self._back))]
        return max(often, default=Revisits.NONE)

    def learn(self, expected: Expected | None = None) -> SourceWeights | None:
        """The weights of the choices remembered, beside what was expected of the sources."""
        return learn(list(self._choices), self._sources, expected, revisits=self.revisits)


class _Runner:
    """A system that knows of events ``delay`` seconds late, or only when models are trained."""

    def __init__(self, name: str, config: RankingConfig, delay: float | None) -> None:
        self.name, self.delay = name, delay
        self.system = ReplaySystem(config)
        self.tally = _RankLog()
        self.weigher = WeightLearner(config)
        self._waiting: deque[StreamEvent] = deque()

    def happened(self, moment: StreamEvent) -> None:
        self._waiting.append(moment)

    def catch_up(self, now: float) -> None:
        """Fold what is known by now."""
        if self.delay is not None:
            while self._waiting and self._waiting[0].at <= now - self.delay:
                self.system.feed(self._waiting.popleft().event)

    def adopt(self, models: ModelBundle) -> None:
        while self.delay is None and self._waiting:
            self.system.feed(self._waiting.popleft().event)
        self.system.adopt(models)
        self.system.weigh(self.weigher.learn())


def replay(
    moments: Sequence[StreamEvent],
    config: RankingConfig,
    trainer: Trainer,
    options: ReplayOptions,
    progress: ReportProgress,
) -> list[ReplayRow]:
    """The figures of the live system on all that counts, and of the variants on a seeded sample of it."""
    return _Replay(moments, config, trainer, options, progress).run()


class _Replay:
    def __init__(
        self,
        moments: Sequence[StreamEvent],
        config: RankingConfig,
        trainer: Trainer,
        options: ReplayOptions,
        progress: ReportProgress,
    ) -> None:
        self._moments, self._trainer, self._options = moments, trainer, options
        self._progress = progress
        self._live = _Runner(LIVE, config, 0.0)
        others = [_Runner(name, config, DELAYS.get(name)) for name in options.variants if name in {*DELAYS, BATCH}]
        self._runners = [self._live, *others]
        self._alone: dict[str, _RankLog] = {}
        self._sampled_live = _RankLog()
        self._people: dict[str, int] = {}
        self._trained_at, self._trained_number = moments[0].at, 0
        self._random = np.random.default_rng(options.seed)

    def run(self) -> list[ReplayRow]:
        begun = time.perf_counter()
        for number, moment in enumerate(self._moments):
            self._train_if_due(number, moment)
            drawn = self._draw(moment)
            for runner in self._runners:
                runner.catch_up(moment.at)
            if any(drawn):
                self._ask(moment, drawn)
            for runner in self._runners:
                runner.happened(moment)
            self._live.catch_up(moment.at)
            self._trainer.add(moment.event, moment.at)
            if number % 500 == 0:
                self._progress("replaying", number, len(self._moments))
        self._live.tally.seconds = time.perf_counter() - begun
        return self._rows()

    def _draw(self, moment: StreamEvent) -> _Draw:
        at, options = self._random.random(), self._options
        return _Draw(
            moment.counts and at < options.ask,
            moment.counts and at < options.sample,
            moment.request and at < max(options.sample, options.weigh),
        )

    def _train_if_due(self, number: int, moment: StreamEvent) -> None:
        due_number = self._trained_number + self._options.retrain_share * len(self._moments)
        if number < due_number or moment.at < self._trained_at + self._options.retrain_seconds:
            return
        self._progress("training", number, len(self._moments))
        models = self._trainer.train(f"r{number}", moment.at)
        for runner in self._runners:
            runner.adopt(models)
        self._trained_at, self._trained_number = moment.at, number

    def _ask(self, moment: StreamEvent, drawn: _Draw) -> None:
        event, k = moment.event, max(self._options.cutoffs)
        request = RecommendationRequest(
            now=moment.at,
            count=_SHOWN * k,
            user_id=event.user_id,
            anonymous_id=event.anonymous_id,
            session_id=event.session_id,
        )
        person = self._people.setdefault(event.subject, len(self._people))
        for runner in self._runners:
            if drawn.live if runner is self._live else drawn.sample:
                rank = _rank(runner.system.ask(request, event.subject), event.item_id or "")
                runner.tally.add(rank, person)
                if drawn.sample and runner is self._live:
                    self._sampled_live.add(rank, person)
            if drawn.weights:
                self._learn(runner, request, moment, person if drawn.sample else None)

    def _learn(self, runner: _Runner, request: RecommendationRequest, moment: StreamEvent, scored: int | None) -> None:
        """Remember a choice; where a person is named, the live system's sources are scored one by one as well."""
        context = runner.system.context(request, moment.event.subject)
        candidates = runner.system.candidates(context)
        at = context.catalogue.position(moment.event.item_id or "")
        runner.weigher.watch(candidates, context, at, moment.event.subject)
        if moment.event.user_id is None:
            runner.weigher.went(context.signals.user, moment.event.item_id or "")
        if runner is self._live and scored is not None:
            self._alone_and_without(context, candidates, at, scored)

    def _alone_and_without(
        self, context: RankingContext, candidates: CandidateSet, at: int | None, person: int
    ) -> None:
        column = _column(candidates, at)
        scores, _ = candidates.table(candidates.scores)
        totals, _ = candidates.table(weighted_scores(candidates, source_weights(context)))
        whole = totals.sum(axis=0)
        for name in self._live.system.config.sources:
            row: int | None = candidates.names.index(name) if name in candidates.names else None
            alone = MISS if row is None or column is None else _among(scores[row], column)
            self._alone.setdefault(f"{name} alone", _RankLog()).add(alone, person)
            left = whole if row is None else whole - totals[row]
            self._alone.setdefault(f"without {name}", _RankLog()).add(
                MISS if column is None else _among(left, column), person
            )

    def _rows(self) -> list[ReplayRow]:
        rows = [self._row(runner.name, runner.tally) for runner in self._runners]
        rows.append(self._row("live, on the sample", self._sampled_live))
        return rows + [self._row(name, tally) for name, tally in sorted(self._alone.items())]

    def _row(self, name: str, tally: _RankLog) -> ReplayRow:
        found = ranked(np.array([rank]) for rank in tally.ranks)
        values = {key: each for key, each in per_question(found, self._options.cutoffs).items() if key[:3] != "MAP"}
        people = np.unique(np.array(tally.people, dtype=np.intp), return_inverse=True)[1]
        return ReplayRow(
            name=name,
            metrics=means(values),
            intervals=intervals(values, people) if people.size else {},
            questions=len(tally.ranks),
            seconds=tally.seconds,
            peak_mib=peak_mib(),
        )


def _rank(found: RankedList, item_id: str) -> float:
    """The right item's place in the list, from 1; half of those that score the same stand before it."""
    at = next((place for place, item in enumerate(found.items) if item.item_id == item_id), None)
    if at is None:
        return MISS
    score = found.items[at].score
    same = [place for place, item in enumerate(found.items) if abs(item.score - score) < 1e-6]
    return 1.0 + (same[0] + same[-1]) / 2


def _column(candidates: CandidateSet, at: int | None) -> int | None:
    """Where a position stands among the candidates."""
    if at is None:
        return None
    found = np.flatnonzero(candidates.items == at)
    return int(found[0]) if found.size else None


def _among(scores: NDArray[Any], column: int) -> float:
    """The rank of one candidate; MISS where it has no score."""
    wanted = scores[column]
    if wanted <= 0:
        return MISS
    return 1.0 + float((scores > wanted).sum()) + float((scores == wanted).sum() - 1) / 2


def _choice(
    candidates: CandidateSet, at: int | None, sources: tuple[str, ...], interactions: int, person: str
) -> SourceChoice | None:
    """The best candidates of each source, and which was chosen; None where it was none of them.

    Taking in the chosen one regardless would teach that what little is said of is often chosen; taking those that most
    is said of by all together, that only what everybody likes can be.
    """
    column = _column(candidates, at)
    if column is None:
        return None
    table, _ = candidates.table(candidates.scores)
    kept = _top_candidates(table)
    if column not in kept:
        return None
    scores = np.zeros((kept.size, len(sources)), np.float32)
    for row, name in enumerate(candidates.names):
        scores[:, sources.index(name)] = table[row, kept]
    return SourceChoice(scores, int(np.flatnonzero(kept == column)[0]), interactions, person)


def _top_candidates(table: Floats) -> NDArray[np.intp]:
    """Which candidates are among the best of any source, given scores (S, C)."""
    best = np.argsort(-table, axis=1, kind="stable")[:, :_TOP_CANDIDATES]
    return np.unique(best[np.take_along_axis(table, best, axis=1) > 0])
