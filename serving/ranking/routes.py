"""The ranking of each route: which pure function makes its list."""

from __future__ import annotations

from typing import Final, get_args

from schemas.answers import RecommendationRequest
from serving.ranking import item_lists
from serving.ranking.config import RankingConfig
from serving.ranking.context import Signals
from serving.ranking.pipeline import CallSource, RankedList, build_context, call_source, recommend
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle

FALLBACK: Final = "popular"
"""The route whose list takes the place of one that could not be ranked."""
USER_ROUTES: Final = ("recommendations", "rank", "session")
_ITEM_LISTS: Final = get_args(item_lists.ItemList)


def rank_route(
    route: str,
    request: RecommendationRequest,
    signals: Signals,
    models: ModelBundle,
    catalogue: Catalogue,
    config: RankingConfig,
    call: CallSource = call_source,
) -> RankedList | None:
    """Returns the list of a route; None for an unknown route, and for an item that the catalogue does not know."""
    if route in USER_ROUTES:
        return recommend(request, signals, models, catalogue, config, call)
    context = build_context(request, signals, models, catalogue, config)
    if route in item_lists.NEAR:
        position = catalogue.position(request.item_id or "")
        return None if position is None else item_lists.NEAR[route](context, position)
    for name in _ITEM_LISTS:
        if name == route:
            return item_lists.item_list(context, name)
    return None
