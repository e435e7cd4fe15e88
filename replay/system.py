"""The whole system in memory: the folds of nearline, the ranking of serving and the models of offline, without servers.

A stream goes through the very functions that the tiers run: ``signals`` folds, the population's merge, ``recommend``.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.source_weights import SourceWeights
from schemas.answers import RecommendationRequest
from schemas.events import LoggedEvent
from serving.ranking import pipeline
from serving.ranking.blend import CandidateSet, gather
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.config import RankingConfig
from serving.ranking.context import RankingContext, Signals
from serving.ranking.pipeline import RankedList, build_context, generate_candidates
from serving.state import model_bundle
from serving.state.aggregates import Aggregates, Merged
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle
from serving.state.online_state import OnlineState
from signals import aggregates, users
from signals.counters import transition
from signals.users import EMPTY, UserValue


class ReplaySystem:
    """One partition's signals, everybody's aggregates and a model; not for several threads."""

    def __init__(self, config: RankingConfig) -> None:
        self.config = config
        catalogue = Catalogue()
        self.state = OnlineState(catalogue, Aggregates(catalogue, 1, config.population_weights))
        self._values: dict[str, UserValue] = {}
        self._cells: dict[str, aggregates.Counters] = {}
        self._offset = 0

    def feed(self, event: LoggedEvent) -> None:
        """Folds one event, and merges the changed aggregates at once."""
        before = self._values.get(event.subject, EMPTY)
        after = users.fold(before, event, self._offset)
        self._values[event.subject] = after
        changed = aggregates.fold(self._cells, [transition(before, after, event, self._offset)])
        self._cells.update(changed)
        self._merge(changed)
        self._offset += 1

    def adopt(self, models: ModelBundle) -> None:
        """Uses this model from now on."""
        self.state.adopt(models)

    def weigh(self, weights: SourceWeights | None) -> None:
        """Blends by these weights from now on; None: by the configured ones."""
        self.state.models = model_bundle.with_source_weights(self.state.models, weights)

    def recommend(self, request: RecommendationRequest, subject: str) -> RankedList:
        """The list for this subject, a key of the ``users`` signal."""
        return pipeline.recommend(request, self._signals(subject), self.state.models, self.state.catalogue, self.config)

    def context(self, request: RecommendationRequest, subject: str) -> RankingContext:
        """The request as the sources see it."""
        return build_context(request, self._signals(subject), self.state.models, self.state.catalogue, self.config)

    def candidates(self, context: RankingContext) -> CandidateSet:
        """The candidates of every configured source, whatever its learned weight."""
        return gather(
            generate_candidates(
                context, [name for name in candidate_sources() if self.config.sources.get(name, 0.0) > 0]
            )
        )

    def value(self, subject: str) -> UserValue:
        """The value of the ``users`` signal for this subject."""
        return self._values.get(subject, EMPTY)

    def _signals(self, subject: str) -> Signals:
        return Signals(self.value(subject), self.state.aggregates)

    def _merge(self, changed: Mapping[str, aggregates.Counters]) -> None:
        merged = Merged.nothing()
        aggregates = self.state.aggregates
        for _ in aggregates.merge_counters(0, changed.items(), merged):
            pass
        for _ in aggregates.follow(merged):
            pass
        aggregates.adopt(merged)
