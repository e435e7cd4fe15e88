"""Reads what ranking needs for a request: the user's signals and, at the same time, the user's precomputed list."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from typing import Any, NamedTuple

import msgspec

from schemas.answers import Boost, RecommendationRequest
from schemas.log.records import OffsetToken
from serving.ranking.business_rules import attributes_of
from serving.service.filter_preparation import FilterPreparation
from serving.service.turnstile import LONG_LIST, Turnstile
from serving.state.model_bundle import ModelBundle, ScoredPositions
from serving.stores.breaker import ReadFailed
from serving.stores.precomputed_lists import PrecomputedLists
from serving.stores.profiles import ProfileReader
from serving.stores.user_state import UserState, UserStateReader


class PreparedRequest(NamedTuple):
    """A request with everything that was read for it, ready to be ranked."""

    route: str
    request: RecommendationRequest
    user_state: UserState
    models: ModelBundle
    precomputed: ScoredPositions | None = None
    """The user's precomputed list in the active model version."""


class RequestPreparation:
    """Reads within deadlines; ``user_state.degraded`` names each read that failed."""

    def __init__(
        self,
        users: UserStateReader,
        lists: PrecomputedLists,
        profiles: ProfileReader,
        filters: FilterPreparation,
        boosts: Sequence[Boost],
    ) -> None:
        """``boosts`` are those of the configuration; their filters may read attributes of the user."""
        self._users, self._lists, self._profiles = users, lists, profiles
        self._filters, self._boosts = filters, boosts
        self.turnstile = Turnstile()
        """For requests that are costly to answer."""

    async def for_user(
        self, route: str, request: RecommendationRequest, models: ModelBundle, after: OffsetToken | None = None
    ) -> PreparedRequest:
        """Read the signals, waiting for ``after``, and the precomputed list of ``request.user_id``."""
        assert request.user_id is not None
        wanted = attributes_of(request, self._boosts)
        reading = self._users.read(request.user_id, request.anonymous_id, after)
        user_state, precomputed = await self._with_list(reading, request.user_id, models)
        if wanted:
            request = await self._with_attributes(request, wanted, user_state)
        await self._filters.prepare(request)
        if request.count >= LONG_LIST:
            await self.turnstile.wait()
        return PreparedRequest(route, request, user_state, models, precomputed)

    async def for_item(self, route: str, request: RecommendationRequest, models: ModelBundle) -> PreparedRequest:
        """Read the signals of ``request.user_id``, where there is one."""
        user_state = await self._users.read(request.user_id) if request.user_id else UserState()
        request = await self._with_attributes(request, attributes_of(request, self._boosts), user_state)
        return await self.for_state(route, request, user_state, models)

    async def for_state(
        self, route: str, request: RecommendationRequest, user_state: UserState, models: ModelBundle
    ) -> PreparedRequest:
        """Read nothing further; ``user_state`` is known."""
        await self._filters.prepare(request)
        if request.count >= LONG_LIST:
            await self.turnstile.wait()
        return PreparedRequest(route, request, user_state, models)

    async def by_models(
        self, route: str, request: RecommendationRequest, versions: Sequence[ModelBundle]
    ) -> list[PreparedRequest]:
        """The same request under several model versions, with the same signals."""
        assert request.user_id is not None
        user_state, prepared = await self._users.read(request.user_id), []
        await self._filters.prepare(request)
        for models in versions:
            _, precomputed = await self._with_list(_known(user_state), request.user_id, models)
            prepared.append(PreparedRequest(route, request, user_state, models, precomputed))
        return prepared

    async def _with_attributes(
        self, request: RecommendationRequest, wanted: Collection[str], user_state: UserState
    ) -> RecommendationRequest:
        """The request with the ``wanted`` attributes of the user, which its filters read."""
        if not wanted or request.user_id is None:
            return request
        attributes = await self._profiles.attributes(request.user_id, user_state.degraded) or {}
        return msgspec.structs.replace(
            request, attributes={name: attributes[name] for name in wanted if name in attributes}
        )

    async def _with_list(
        self, reading: Coroutine[Any, Any, UserState], user_id: str, models: ModelBundle
    ) -> tuple[UserState, ScoredPositions | None]:
        """The user's state and, read at the same time, the user's precomputed list."""
        if models.version is None or not models.has_lists:
            return await reading, None
        cached, precomputed = self._lists.cached(models.version, user_id)
        if cached:
            return await reading, precomputed
        stored_list, user_state = await asyncio.gather(
            self._lists.read(models.version, user_id), reading, return_exceptions=True
        )
        if isinstance(user_state, BaseException):
            raise user_state
        if isinstance(stored_list, ReadFailed):
            user_state.degraded.append("lists")
            return user_state, None
        if isinstance(stored_list, BaseException):
            raise stored_list
        return user_state, stored_list


async def _known(user_state: UserState) -> UserState:
    return user_state
