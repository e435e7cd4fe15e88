"""A page over a shop of plain dictionaries, served on a free port, and a real browser to look at it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from ingest.simulator import shop as simulator
from schemas.answers import Answer, AnswerItem, Reason
from schemas.catalogue import Item
from serving.http import parsing
from serving.web.router import page_router
from serving.web.shop import Visitor

HOSTILE = '<script>window.bitten=1</script><img src=x onerror="window.bitten=1">\'"&amp;'


Serve = Callable[[FastAPI], AbstractContextManager[str]]


class DictShop:
    """A shop whose shelves follow likes and searches by shared labels; no model, no log, nothing kept."""

    def __init__(self) -> None:
        told = [{**row, "published_at": datetime.fromisoformat(row["published_at"])} for row in simulator.catalogue()]
        items = [Item(**{**row, "categories": tuple(row["categories"]), "tags": tuple(row["tags"])}) for row in told]
        hostile = Item(
            item_id="hostile/<b>&", title=HOSTILE, description=HOSTILE, categories=(HOSTILE[:60],), tags=("rogue",)
        )
        self.items = {item.item_id: item for item in [hostile, *items]}
        self.likes: dict[str, list[str]] = {}
        self.unwanted: dict[str, set[str]] = {}
        self.touched: dict[str, int] = {}
        self.received: list[dict[str, Any]] = []
        self.degraded: list[str] = []
        self.model: str | None = "v1"
        self.refuse_events = False

    def take(self, event: dict[str, Any]) -> str:
        self.received.append(event)
        user, item, offset = event["user_id"], event.get("item_id"), len(self.received) - 1
        likes = self.likes.setdefault(user, [])
        if event["type"] == "like":
            likes.insert(0, item)
        if event["type"] == "unlike":
            likes.remove(item)
        if event["type"] == "dismiss":
            self.unwanted.setdefault(user, set()).add(item)
        if event["type"] == "retract":
            back = next(e for e in self.received if e["event_id"] == event["event_id"])
            likes[:] = [each for each in likes if each != back["item_id"]]
            self.unwanted.get(user, set()).discard(back["item_id"])
        self.touched[user] = offset
        return f"0:{offset}"

    async def recommendations(self, user_id: str, count: int, after: str | None) -> Answer:
        if after:
            parsing.token(after, 1)
        likes = self.likes.get(user_id, [])
        gone = {*likes, *self.unwanted.get(user_id, ())}
        scored = sorted(
            (self._score(item, likes), item.item_id) for item in self.items.values() if item.item_id not in gone
        )
        items = [self._recommended(likes, -score, item_id) for score, item_id in scored[:count]]
        return self._answer(items, self.touched.get(user_id))

    def _score(self, item: Item, likes: list[str]) -> float:
        mine = {*item.categories, *item.tags}
        return -sum(len(mine & {*self.items[each].categories, *self.items[each].tags}) for each in likes)

    def _recommended(self, likes: list[str], score: float, item_id: str) -> AnswerItem:
        reason = Reason("fold_in", 0.9, likes[0]) if likes else Reason("popular", 1.0)
        return AnswerItem(item_id, float(score), [reason])

    def _answer(self, items: list[AnswerItem], offset: int | None = None) -> Answer:
        return Answer(
            recommendation_id="r-1",
            items=items,
            model_version=self.model,
            signals_offset=None if offset is None else f"0:{offset}",
            aggregates_version="-",
            catalogue_version="-",
            config_id="c",
            variant="live",
            degraded=self.degraded,
            generated_at=datetime.now(UTC),
            next_cursor=None,
        )

    async def trending(self, count: int) -> Answer:
        chosen = list(self.items)[30 : 30 + count]
        return self._answer([AnswerItem(each, 1.0, [Reason("trending", 1.0)]) for each in chosen])

    async def latest(self, count: int) -> Answer:
        chosen = list(self.items)[::-1][:count]
        return self._answer([AnswerItem(each, 1.0, [Reason("new", 1.0)]) for each in chosen])

    async def similar(self, item_id: str, user_id: str, count: int) -> Answer:
        ranked = sorted(self.items.values(), key=lambda item: self._score(item, [item_id]))
        return self._answer([AnswerItem(each.item_id, 1.0, []) for each in ranked if each.item_id != item_id][:count])

    async def visitor(self, user_id: str) -> Visitor:
        liked = tuple(self.likes.get(user_id, ()))
        return Visitor(
            liked, frozenset(self.unwanted.get(user_id, ())), dict.fromkeys(liked, "liked"), user_id in self.touched
        )

    def search(self, query: str, count: int) -> list[Item]:
        wanted = query.casefold()
        text = {each: " ".join([item.title or "", *item.categories, *item.tags]) for each, item in self.items.items()}
        return [self.items[each] for each, words in text.items() if wanted in words.casefold()][:count]

    def item(self, item_id: str) -> Item | None:
        return self.items.get(item_id)

    def is_empty(self) -> bool:
        return not self.items

    def shoppers(self) -> list[str]:
        return ["shopper-12", "shopper-108", "shopper-512", "shopper-1900"]


class Page(NamedTuple):
    """A running page: its address and the shop behind it."""

    url: str
    shop: DictShop


def _app(shop: DictShop, events_url: str = "") -> FastAPI:
    app = _collector(shop)
    app.include_router(
        page_router(shop, chance=lambda n: n // 2, currency="$", events_url=events_url, lists_users=True)
    )
    return app


def _collector(shop: DictShop) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/events")
    async def events(request: Request) -> JSONResponse:
        sent = await request.json()
        if shop.refuse_events:
            return JSONResponse({"title": "Busy", "detail": "The log is busy. Try again in a second."}, 503)
        results = [{"event_id": e["event_id"], "status": "accepted", "offset": shop.take(e)} for e in sent]
        return JSONResponse({"results": results}, 202)

    return app


@contextmanager
def _running(app: FastAPI) -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        # As ``adapters.http.server`` does: requests wait while the app starts.
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def serving_at() -> Serve:
    """Serves an app on a free loopback port, while its context lasts, and gives its address."""
    return _running


@pytest.fixture
def page(serving_at: Serve) -> Iterator[Page]:
    """The page over a shop of real games."""
    shop = DictShop()
    with serving_at(_app(shop)) as url:
        yield Page(url, shop)


@pytest.fixture
def page_with_a_collector_elsewhere(serving_at: Serve) -> Iterator[Page]:
    """As in a cluster: events go to another origin, which allows the page's."""
    shop = DictShop()
    collector = _collector(shop)
    collector.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    with serving_at(collector) as events, serving_at(_app(shop, f"{events}/v1/events")) as url:
        yield Page(url, shop)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless Chromium with a new, empty profile."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        _cannot_run("chromium and chromedriver are not installed; apt-get install chromium chromium-driver")
    chrome = webdriver.Chrome(options=_options(program, tmp_path_factory.mktemp("profile")), service=Service(driver))
    chrome.set_page_load_timeout(60)
    yield chrome
    chrome.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> webdriver.Chrome:
    """The browser on an empty page, at its usual size, with nothing in its log; every page has an origin of its own."""
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.get_log("browser")
    return chromium


def _options(program: str, profile: Path) -> Options:
    options = Options()
    options.binary_location = program
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    for flag in ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", *quiet]:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--window-size=1440,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return options


def _cannot_run(reason: str) -> None:
    if os.environ.get("FRESHET_REQUIRE_STACK") == "1":
        pytest.fail(f"FRESHET_REQUIRE_STACK=1, but {reason}")
    pytest.skip(reason)
