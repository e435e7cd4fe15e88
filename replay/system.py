"""The whole system in memory, without servers: the folds of nearline, the models of offline, the ranking of serving.

A stream goes through the same functions that the tiers call: the folds of ``signals``, the merge of aggregates, ``recommend``.
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
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.merged import Merged
from serving.state.model_bundle import ModelBundle
from serving.state.online_state import OnlineState
from signals import aggregates, users
from signals.counters import transition
from signals.users import EMPTY, UserValue


class ReplaySystem:
    """The signals of one partition that holds all users, the aggregates, and a model. For one thread."""

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
        """Ranks with these models from now on."""
        self.state.adopt(models)

    def weigh(self, weights: SourceWeights | None) -> None:
        """Blends with these source weights from now on; None means the configured ones."""
        self.state.models = model_bundle.with_source_weights(self.state.models, weights)

    def recommend(self, request: RecommendationRequest, subject: str) -> RankedList:
        """Returns the list for this subject. A subject is a key of the ``users`` signal."""
        return pipeline.recommend(request, self._signals(subject), self.state.models, self.state.catalogue, self.config)

    def context(self, request: RecommendationRequest, subject: str) -> RankingContext:
        """Returns the context that the candidate sources get for this request."""
        return build_context(request, self._signals(subject), self.state.models, self.state.catalogue, self.config)

    def candidates(self, context: RankingContext) -> CandidateSet:
        """Returns the candidates of every configured source. Learned weights are ignored."""
        return gather(
            generate_candidates(
                context, [name for name in candidate_sources() if self.config.sources.get(name, 0.0) > 0]
            )
        )

    def value(self, subject: str) -> UserValue:
        """Returns the value of the ``users`` signal for this subject."""
        return self._values.get(subject, EMPTY)

    def _signals(self, subject: str) -> Signals:
        return Signals(self.value(subject), self.state.aggregates)

    def _merge(self, changed: Mapping[str, aggregates.Counters]) -> None:
        merged = Merged.nothing()
        aggregates = self.state.aggregates
        for _ in aggregates.merge_counters(0, changed.items(), merged):
            pass
        for _ in aggregates.apply_tails(merged):
            pass
        aggregates.adopt(merged)
