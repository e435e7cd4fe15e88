"""The demo page is served where it is asked for, and nowhere else."""

import httpx
import pytest

from adapters.sqlite.log import SqliteLogWriter
from adapters.sqlite.models import SqliteListReader, SqliteModelStore
from adapters.sqlite.signals import SqliteSignalReader
from serving.config import Settings
from serving.main import create_app
from serving.service.service import Stores


@pytest.fixture
def answer(tmp_path):
    """Answers a path of an online API on an empty folder."""

    async def answer(path, **settings):
        SqliteLogWriter(tmp_path).close()
        stores = Stores(SqliteSignalReader(tmp_path), SqliteListReader(tmp_path), SqliteModelStore(tmp_path))
        app = create_app(Settings(data=tmp_path, decisions=False, **settings), stores)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as client,
        ):
            return await client.get(path)

    return answer


async def test_the_page_is_off_unless_asked_for_and_says_how_to_switch_it_on(answer):
    response = await answer("/")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert "FRESHET_PAGE=true" in response.json()["detail"]


async def test_the_page_is_served_where_the_setting_asks_for_it(answer):
    response = await answer("/", page=True)
    assert response.status_code == 200
    assert "<html" in response.text


async def test_the_api_answers_without_the_page(answer):
    assert (await answer("/v1/popular")).status_code == 200
