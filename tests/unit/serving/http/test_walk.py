"""The walk of a recommendation through the modules, from the route to the answer."""

import sys
from itertools import groupby

import pytest
from starlette.requests import Request

from models.structures.lists import ScoredList
from serving.http.routes import recommendations_endpoint

ROOMS = ("serving.http.", "serving.service.", "serving.stores.")
RANKING = ("serving.ranking.pipeline", "recommend")
MOST_RETURNS = 8
PATH = "/v1/users/ann/recommendations"


class Walk:
    """The functions that are entered, in order; a coroutine that goes on is not entered again.

    Ranking and shared state are places where one looks something up: only the step into the pipeline counts.
    """

    def __init__(self):
        self._frames, self.modules = {}, []

    def __call__(self, frame, event, _):
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        generated = frame.f_code.co_filename.startswith("<")
        if event != "call" or frame in self._frames or generated:
            return
        if module.startswith(ROOMS) or (module, function) == RANKING:
            self._frames[frame] = None
            self.modules.append(module.removeprefix("serving."))

    @property
    def steps(self):
        """The modules, without stays."""
        return [module for module, _ in groupby(self.modules)]

    @property
    def returns(self):
        """The number of steps to a module that was left before."""
        return len(self.steps) - len({*self.steps})


@pytest.fixture
async def endpoint(shop, say):
    shop.models.publish(lists={"ann": ScoredList(("item-4",), (1.0,))})
    shop.know("ann", say("view", 3), say("like", 7))
    async with shop.running() as service:
        yield recommendations_endpoint(service)


async def walk_of(endpoint):
    scope = {"type": "http", "method": "GET", "path": PATH, "raw_path": PATH.encode(), "headers": []}
    walk = Walk()
    sys.setprofile(walk)
    try:
        response = await endpoint(Request(scope | {"query_string": b"count=5&context.device=phone"}))
    finally:
        sys.setprofile(None)
    assert response.status_code == 200
    return walk


async def test_a_recommendation_is_read_ranked_kept_and_recorded_with_few_returns(endpoint):
    walk = await walk_of(endpoint)
    passed = {"http.parsing", "stores.user_state", "stores.precomputed_lists", "ranking.pipeline"}
    assert passed | {"service.result_cache", "service.response", "service.decision_log"} <= {*walk.steps}
    assert walk.returns <= MOST_RETURNS, " -> ".join(walk.steps)


async def test_a_cached_list_is_given_again_without_ranking(endpoint):
    await walk_of(endpoint)
    walk = await walk_of(endpoint)
    assert "ranking.pipeline" not in walk.steps
    assert walk.returns <= MOST_RETURNS, " -> ".join(walk.steps)
