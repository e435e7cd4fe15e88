"""Calls about a person and items, or other people, that are no list of recommendations and leave no record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from models.ratings import Ratings
from schemas.http.problems import ProblemError
from serving.ranking import explanations, scoring
from serving.ranking.context import RankingContext
from serving.stores.user_state import UserState


class Explanations:
    """Answers from a person's scene.

    ``read`` gives it, with the person, by the user's id; ``ratings`` the model of predicted ratings.
    """

    def __init__(
        self,
        read: Callable[[str], Awaitable[tuple[RankingContext, UserState]]],
        ratings: Callable[[], Awaitable[Ratings | None]],
        *,
        similar_users: bool,
    ) -> None:
        self._read, self._ratings, self._similar_users = read, ratings, similar_users

    async def scores(self, user_id: str, item_ids: list[str]) -> dict[str, Any]:
        """A score for each of these items, comparable within the answer."""
        context, user_state = await self._read(user_id)
        found = scoring.scores(context, item_ids)
        scores: list[dict[str, Any]] = [
            {"item_id": each, "score": score} for each, score in zip(item_ids, found, strict=True)
        ]
        for each, stars in zip(scores, await self._stars(context, item_ids), strict=False):
            each["predicted_rating"] = stars
        return {"user_id": user_id, "scores": scores, **_made_of(context, user_state)}

    async def because(self, user_id: str, item_id: str) -> dict[str, Any]:
        """Which of the person's items led to this one; raises ProblemError for one that was never heard of."""
        context, user_state = await self._read(user_id)
        led = [each._asdict() for each in explanations.contributions(context, _position(context, item_id))]
        return {"user_id": user_id, "item_id": item_id, "because": led, **_made_of(context, user_state)}

    async def compatibility(self, user_id: str, item_id: str) -> dict[str, Any]:
        """How well this item suits the person, and why; raises ProblemError for one that was never heard of."""
        context, user_state = await self._read(user_id)
        suits = explanations.compatibility(context, _position(context, item_id))
        for stars in await self._stars(context, [item_id]):
            suits["predicted_rating"] = stars
        return {"user_id": user_id, "item_id": item_id, **suits, **_made_of(context, user_state)}

    async def similar_users(self, user_id: str, count: int) -> dict[str, Any]:
        """Who is most like this user, by id; raises ProblemError where the site does not tell."""
        if not self._similar_users:
            detail = "This site does not tell who is like whom; FRESHET_SIMILAR_USERS=true lets it."
            raise ProblemError(404, "switched-off", detail)
        context, user_state = await self._read(user_id)
        # A product over all users' factors: other requests need not wait for it.
        found = await asyncio.to_thread(explanations.similar_users, context, count)
        return {"user_id": user_id, "users": found, **_made_of(context, user_state)}

    async def _stars(self, context: RankingContext, item_ids: list[str]) -> list[float]:
        """A predicted rating for each of these items; none where nobody has rated anything."""
        ratings = await self._ratings()
        return explanations.predicted_ratings(context, ratings, item_ids) if ratings else []


def _made_of(context: RankingContext, user_state: UserState) -> dict[str, Any]:
    return {
        "model_version": context.models.version,
        "signals_offset": str(user_state.offset) if user_state.offset else None,
        "degraded": user_state.degraded,
        "generated_at": datetime.fromtimestamp(context.request.now, UTC),
    }


def _position(context: RankingContext, item_id: str) -> int:
    at = context.catalogue.position(item_id)
    if at is None:
        raise ProblemError(404, "unknown-item", f"There is no item '{item_id}'.", field="item_id")
    return at
