"""The page on the real embedded stack: collector, log, nearline, a trained model and the online API behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.training import train_in
from ingest.simulator import shop
from schemas.offline.manifest import Manifest
from serving.config import Settings as ServingSettings

pytestmark = pytest.mark.browser

Serve = Callable[[FastAPI], AbstractContextManager[str]]
SHOPPERS, DAYS, BATCH = 300, 20, 2_000


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, serving_at: Serve) -> Iterator[str]:
    """The address of an embedded Freshet that serves a small sample store, trained."""
    folder = tmp_path_factory.mktemp("embedded")
    with (
        nearline(CommandSettings(data=folder)) as running,
        serving_at(
            create_app(running, ServingSettings(stack="embedded", data=folder, page=True, page_users=True))
        ) as url,
    ):
        _fill(url)
        with open_dependencies(CommandSettings(data=folder)) as parts:
            trained = train_in(parts, "single", force=True, progress=lambda *_: None)
        assert isinstance(trained, Manifest), trained
        _wait(lambda: _answer(url)["model_version"] == trained.version and httpx.get(f"{url}/health/ready").is_success)
        yield url


def _fill(url: str) -> None:
    end = datetime.now(UTC)
    events = shop.events(7, SHOPPERS, DAYS, end=end)
    with httpx.Client(base_url=url, timeout=60) as client:
        assert client.post("/v1/items", json=list(shop.catalogue(end, DAYS))).status_code == 202
        while batch := list(islice(events, BATCH)):
            assert client.post("/v1/events", json=batch).status_code == 202


def _answer(url: str) -> dict:
    return httpx.get(f"{url}/v1/popular").json()


def _wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _shown(browser: WebDriver) -> list[str]:
    script = (
        "return [...document.querySelectorAll('[data-shelf=for-you] [data-item]')].map((card) => card.dataset.item)"
    )
    return browser.execute_script(script)


def test_a_like_reaches_the_log_and_the_next_shelf_names_it(embedded: str, browser: WebDriver) -> None:
    browser.get(f"{embedded}/?user=robin")
    before = _shown(browser)
    assert before
    browser.find_elements(By.CSS_SELECTOR, "[data-shelf=for-you] .like")[1].click()
    shown = WebDriverWait(browser, 20).until(lambda b: b.find_element(By.CSS_SELECTOR, "#happened .ms[data-ms]"))
    took = float(shown.get_attribute("data-ms"))
    title = browser.find_element(By.CSS_SELECTOR, "#happened b").text

    assert 0 < took < 20_000
    assert before[1] not in _shown(browser)
    assert browser.find_elements(By.CSS_SELECTOR, "[data-shelf=for-you] .moved")
    reasons = [why.text.lower() for why in browser.find_elements(By.CSS_SELECTOR, "[data-shelf=for-you] .why")]
    assert any(reason.startswith(f"because you liked {title.lower()}") for reason in reasons)

    browser.refresh()
    liked = browser.find_elements(By.CSS_SELECTOR, "[data-shelf=liked] [data-item]")
    assert [card.get_attribute("data-item") for card in liked] == [before[1]]


def test_a_search_finds_and_the_picker_offers_shoppers_with_a_history(embedded: str, browser: WebDriver) -> None:
    browser.get(f"{embedded}/?user=robin")
    box = browser.find_element(By.ID, "q")
    box.send_keys("roguelike")
    box.submit()
    WebDriverWait(browser, 20).until(lambda b: b.find_element(By.CSS_SELECTOR, "[data-shelf=results] [data-item]"))
    assert "matches your search" in browser.find_element(By.CSS_SELECTOR, "[data-shelf=results] .why").text.lower()
    browser.find_element(By.CSS_SELECTOR, ".who summary").click()
    browser.find_element(By.CSS_SELECTOR, ".who .chip").click()
    WebDriverWait(browser, 20).until(lambda b: "Follows what you do" in b.page_source)


def test_an_empty_store_is_friendly(tmp_path: Path, serving_at: Serve, browser: WebDriver) -> None:
    with (
        nearline(CommandSettings(data=tmp_path)) as running,
        serving_at(create_app(running, ServingSettings(stack="embedded", data=tmp_path, page=True))) as url,
    ):
        browser.get(url)
        assert "freshet import" in browser.find_element(By.CSS_SELECTOR, "[data-shelf=for-you]").text
