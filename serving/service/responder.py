"""Answers a prepared request from the result cache, or ranks a new list; records each answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import structlog

from schemas.answers import Answer, Encoded
from schemas.http.problems import ProblemError
from serving.ranking.config import RankingConfig
from serving.ranking.context import Signals
from serving.ranking.pipeline import RankedList, call_source
from serving.ranking.routes import FALLBACK, USER_ROUTES, rank_route
from serving.service import response
from serving.service.decision_log import DecisionLog
from serving.service.preparation import PreparedRequest
from serving.service.response import Versions
from serving.service.result_cache import CachedResult, ResultCache, key_of
from serving.service.time_and_ids import TimeAndIds
from serving.service.timing import Timing
from serving.state.online_state import OnlineState
from serving.state.signal_sync import SignalSync
from serving.stores.user_state import UserState

_RANKING: Final = "ranking"
"""The entry of ``degraded`` where ranking failed."""

_log = structlog.get_logger(__name__)


class Syncs(NamedTuple):
    """The two followers that keep the shared state up to date; each knows its version."""

    items: SignalSync
    aggregates: SignalSync


class Responder:
    """Ranks, answers and records; used from one event loop."""

    def __init__(
        self,
        state: OnlineState,
        syncs: Syncs,
        config: RankingConfig,
        cache: ResultCache,
        decisions: DecisionLog | None,
        time_and_ids: TimeAndIds,
        missing: Callable[[], list[str]],
    ) -> None:
        """``missing`` names what this process lacks of the shared state."""
        self._missing = missing
        self._state, self._syncs, self._config, self._cache, self._decisions = state, syncs, config, cache, decisions
        self._config_id = config.config_id
        self._steady, self._new_id = time_and_ids.steady, time_and_ids.new_id
        self._timing = Timing(time_and_ids.steady)

    def respond(self, prepared: PreparedRequest) -> Answer:
        """Returns the answer. Where a read failed, the cache is neither read nor filled."""
        degraded = prepared.user_state.degraded
        degraded += self._missing()
        versions = Versions(self._syncs.aggregates.version, self._syncs.items.version, self._config_id)
        if degraded:
            return self._new_result(prepared, versions).answer
        key = key_of(prepared, versions)
        if (cached := self._cache.find(key, prepared.request.now, self._steady())) is not None:
            return self._repeat(cached, prepared.request.now)
        result = self._new_result(prepared, versions)
        if not degraded:
            self._cache.keep(key, result, self._steady())
        return result.answer

    def rank(self, prepared: PreparedRequest) -> RankedList:
        """Returns the ranked list; raises FieldNotReady. Where ranking raises, it returns the popular list, and ``degraded`` says so: never a 5xx."""
        try:
            return self._rank(prepared)
        except ProblemError:
            raise  # a filter that cannot be evaluated now must not be left out
        except Exception:  # noqa: BLE001 - the last rung of the ladder
            # A defect in one source must not empty a page; the traceback in the log says where it is.
            _log.exception("ranking_failed")
            prepared.user_state.degraded.append(_RANKING)
            return self._rank(prepared._replace(route=FALLBACK, user_state=UserState(), precomputed=None))

    def _rank(self, prepared: PreparedRequest) -> RankedList:
        ranked = rank_route(
            prepared.route,
            prepared.request,
            Signals(prepared.user_state.value, self._state.aggregates, prepared.precomputed),
            prepared.models,
            self._state.catalogue,
            self._config,
            self._timing.next() if prepared.route in USER_ROUTES else call_source,
        )
        assert ranked is not None, f"no ranking for {prepared.route}"
        return ranked

    def _new_result(self, prepared: PreparedRequest, versions: Versions) -> CachedResult:
        """Rank now, and queue the record."""
        ranked = self.rank(prepared)
        answer = response.answer(prepared, ranked, versions, self._state.catalogue, self._new_id())
        answer = msgspec.structs.replace(answer, items=Encoded(answer.items))
        result = CachedResult(ranked._replace(items=Encoded(ranked.items)), answer)
        response.count(answer, ranked)
        if self._decisions:
            result.decision = response.decision(prepared, answer, result.ranked)
            result.receipt = self._decisions.record(result.decision)
        return result

    def _repeat(self, cached: CachedResult, now: float) -> Answer:
        """Repeat a cached answer with its own id and record."""
        answer = response.repeated_answer(cached.answer, self._new_id(), now)
        response.count(answer, cached.ranked)
        if self._decisions and cached.repeated_decision is not None:
            self._decisions.record(response.decision_of(cached.repeated_decision, answer))
        return answer
