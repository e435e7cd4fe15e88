"""What every HTTP process answers alike, whatever its routes are."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response

from adapters.http.application import HotPath, build_application
from ingest.config import IngestSettings
from ingest.main import create_app as create_collector
from offline.main import create_app as create_receiver
from offline.publishing.external_models import ExternalModelOptions
from offline.publishing.upload_api import UploadApi


class NoLog:
    """A log that nobody uses."""

    def bounds(self, topic, partition):
        return 0, 0


def application(lacking=(), **options) -> FastAPI:
    router = APIRouter()

    @router.get("/fault")
    async def fault() -> Response:
        raise RuntimeError("nobody expected this")

    @router.get("/number")
    async def number(count: int) -> int:
        return count

    async def missing() -> list[str]:
        return list(lacking)

    return build_application("A process", [router], missing, **options)


def connect(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://here")


@pytest.fixture(params=["collector", "receiver of models"])
async def client(request) -> AsyncIterator[httpx.AsyncClient]:
    if request.param == "collector":
        app = create_collector(IngestSettings(), NoLog(), NoLog())
    else:
        upload_api = UploadApi("secret", None, ExternalModelOptions(user_list=10, item_list=10))
        app = create_receiver(upload_api)
    async with connect(app) as client:
        yield client


async def test_a_path_that_is_not_utf8_is_refused(client):
    response = await client.post("/v1/models/caf%E9")
    assert (response.status_code, response.json()["type"]) == (400, "urn:freshet:problem:not-utf8")


async def test_an_unknown_address_is_a_problem(client):
    response = await client.get("/v1/nowhere")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_wrong_method_names_the_right_one(client):
    response = await client.post("/health/live")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


async def test_every_process_says_that_it_lives_and_whether_it_is_ready(client):
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready", "missing": [], "warnings": []}
    assert "process_cpu_seconds_total" in (await client.get("/metrics")).text


async def test_what_is_missing_makes_a_process_not_ready():
    async with connect(application(lacking=["the log is away"])) as client:
        response = await client.get("/health/ready")
    assert (response.status_code, response.json()["missing"]) == (503, ["the log is away"])


async def test_an_unexpected_fault_is_a_problem_that_shows_nothing_of_the_code():
    async with connect(application()) as client:
        response = await client.get("/fault")
    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert "nobody expected" not in response.text


async def test_a_parameter_that_fastapi_refuses_is_a_problem_with_its_field():
    async with connect(application()) as client:
        response = await client.get("/number?count=many")
    assert (response.status_code, response.json()["field"]) == (400, "count")


async def test_a_hot_path_is_served_before_the_routes_but_after_the_check_of_the_address():
    async def endpoint(request):
        return Response("hot")

    hot_path = HotPath(lambda scope: scope["type"] == "http" and scope["path"].startswith("/number"), endpoint)
    async with connect(application(hot_paths=[hot_path])) as client:
        assert (await client.get("/number")).text == "hot"
        assert (await client.get("/number/%E9")).status_code == 400
