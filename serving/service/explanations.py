"""Calls about a user and items, or other users. They are no list of recommendations and leave no record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, UnsetType

from models.ratings import Ratings
from schemas.http.problems import ProblemError
from schemas.http.read_answers import Because, Compatibility, ItemScore, Scores, SimilarUsers
from serving.ranking import explanations, scoring
from serving.ranking.context import RankingContext
from serving.stores.user_state import UserState


class Explanations:
    """Answers from a user's ranking context.

    ``read`` returns it, with the user's state, by the user's id; ``ratings`` returns the model of predicted ratings.
    """

    def __init__(
        self,
        read: Callable[[str], Awaitable[tuple[RankingContext, UserState]]],
        ratings: Callable[[], Awaitable[Ratings | None]],
        *,
        similar_users: bool,
    ) -> None:
        self._read, self._ratings, self._similar_users = read, ratings, similar_users

    async def scores(self, user_id: str, item_ids: list[str]) -> Scores:
        """A score for each of these items, comparable within the answer."""
        context, user_state = await self._read(user_id)
        scores, ratings = scoring.scores(context, item_ids), await self._stars(context, item_ids)
        rows = [
            ItemScore(item_id=item_id, score=score, predicted_rating=rating)
            for item_id, score, rating in zip(item_ids, scores, ratings, strict=True)
        ]
        return Scores(scores=rows, **_made_of(user_id, context, user_state))

    async def because(self, user_id: str, item_id: str) -> Because:
        """The user's items that led to this one; raises ProblemError for an unknown item."""
        context, user_state = await self._read(user_id)
        because = explanations.contributions(context, _position(context, item_id))
        return Because(item_id=item_id, because=because, **_made_of(user_id, context, user_state))

    async def compatibility(self, user_id: str, item_id: str) -> Compatibility:
        """How well this item suits the user, and why; raises ProblemError for an unknown item."""
        context, user_state = await self._read(user_id)
        suitability = explanations.compatibility(context, _position(context, item_id))
        [rating] = await self._stars(context, [item_id])
        return Compatibility(
            item_id=item_id,
            predicted_rating=rating,
            **suitability._asdict(),
            **_made_of(user_id, context, user_state),
        )

    async def similar_users(self, user_id: str, count: int) -> SimilarUsers:
        """The users who are most like this one, by id; raises ProblemError if the site has switched this off."""
        if not self._similar_users:
            detail = "This site does not tell who is like whom; FRESHET_SIMILAR_USERS=true lets it."
            raise ProblemError(404, "switched-off", detail)
        context, user_state = await self._read(user_id)
        # A product over all users' factors: other requests need not wait for it.
        users = await asyncio.to_thread(explanations.similar_users, context, count)
        return SimilarUsers(users=users, **_made_of(user_id, context, user_state))

    async def _stars(self, context: RankingContext, item_ids: list[str]) -> Sequence[float | UnsetType]:
        """A predicted rating for each of these items; UNSET where nobody has rated anything."""
        ratings = await self._ratings()
        return explanations.predicted_ratings(context, ratings, item_ids) if ratings else [UNSET] * len(item_ids)


def _made_of(user_id: str, context: RankingContext, user_state: UserState) -> dict[str, Any]:
    """The fields of ``AboutUser``."""
    return {
        "user_id": user_id,
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
