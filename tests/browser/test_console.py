"""The console on the real embedded stack, in a real browser: its pages, by keyboard, in two languages, and for axe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from ingest.simulator import shop
from serving.config import Settings as ServingSettings

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Serve = Callable[[FastAPI], AbstractContextManager[str]]
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
PAGES = ("overview", "events", "events/rejected", "definitions")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, serving_at: Serve) -> Iterator[str]:
    """The address of an embedded Freshet with a small sample store, whose visitor has clicked on a recommendation."""
    folder = tmp_path_factory.mktemp("console")
    settings = ServingSettings(stack="embedded", data=folder)
    with nearline(CommandSettings(data=folder)) as running, serving_at(create_app(running, settings)) as url:
        _fill(url)
        yield url


def _fill(url: str) -> None:
    end = datetime.now(UTC)
    events = shop.events(7, 20, 5, end=end)
    with httpx.Client(base_url=url, timeout=60) as client:
        assert client.post("/v1/items", json=list(shop.catalogue(end, 5))).status_code == 202
        while batch := list(islice(events, 500)):
            assert client.post("/v1/events", json=batch).status_code == 202
        view = {"type": "view", "user_id": "robin", "item_id": "portal-2"}
        first = client.post("/v1/events", json=view).json()["results"][0]["offset"]
        answer = client.get("/v1/users/robin/recommendations", params={"after": first}).json()
        click = view | {
            "type": "click",
            "item_id": answer["items"][0]["item_id"],
            "recommendation_id": answer["recommendation_id"],
        }
        second = client.post("/v1/events", json=click).json()["results"][0]["offset"]
        client.get("/v1/users/robin/recommendations", params={"after": second})
        assert client.post("/v1/events", json={"type": "view", "user_id": "robin"}).status_code == 400


def _until(browser: WebDriver, condition: Callable[[WebDriver], Any], seconds: float = 30) -> Any:
    return WebDriverWait(browser, seconds).until(condition)


def _open(browser: WebDriver, url: str, page: str) -> None:
    browser.get("about:blank")
    browser.get(f"{url}/console#/{page}")
    _until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "main h1"))
    _until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "main table, main dl, main form"))


def _texts(browser: WebDriver, selector: str) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)", selector
    )


def _faults(browser: WebDriver) -> list[str]:
    browser.execute_script(AXE)
    result = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    return [f"{fault['id']}: {node['html'][:200]}" for fault in result["violations"] for node in fault["nodes"]]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_the_browser_reports_no_error(
    site: str, browser: WebDriver, page: str, theme: str
) -> None:
    _open(browser, site, page)
    Select(browser.find_element(By.ID, "theme")).select_by_value(theme)
    assert _faults(browser) == []
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    # A site that is open has no accounts, and says so.
    assert [message for message in severe if "/account" not in message] == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [360, 1440])
def test_no_page_is_wider_than_the_window(site: str, browser: WebDriver, page: str, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    _open(browser, site, page)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_the_overview_shows_figures_that_the_site_measured(site: str, browser: WebDriver) -> None:
    _open(browser, site, "overview")
    _until(browser, lambda b: _texts(b, "[data-figure=active_visitors]") not in (["–"], ["0"], []))
    _until(browser, lambda b: _texts(b, "[data-figure=lag]") == ["0"], 60)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".chart canvas")) == 6
    [routes] = [row for row in _texts(browser, "main tbody tr") if row.startswith("recommendations")]
    # Of the two answers to robin, one was clicked.
    assert "50%" in routes


def test_each_number_leads_to_its_definition_by_keyboard(site: str, browser: WebDriver) -> None:
    _open(browser, site, "overview")
    link = browser.find_element(By.CSS_SELECTOR, ".number a[href='#/definitions/freshness_p99']")
    browser.execute_script("arguments[0].focus()", link)
    link.send_keys(Keys.ENTER)
    focused = "return document.activeElement.id"
    _until(browser, lambda b: b.execute_script(focused) == "d-freshness_p99")
    assert "99 of 100 events" in browser.find_element(By.CSS_SELECTOR, "#d-freshness_p99 + dd").text


def test_the_navigation_is_reached_by_keyboard_and_moves_the_focus_to_the_page(site: str, browser: WebDriver) -> None:
    _open(browser, site, "overview")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("id") == "skip"
    for _ in range(3):
        browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Live events"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    _until(browser, lambda b: b.execute_script("return document.activeElement.textContent") == "Live events")
    assert browser.execute_script("return document.activeElement.tagName") == "H1"


def test_the_choice_of_language_and_colours_stays(site: str, browser: WebDriver) -> None:
    _open(browser, site, "overview")
    Select(browser.find_element(By.ID, "language")).select_by_value("de")
    _until(browser, lambda b: _texts(b, "h1") == ["Überblick"])
    Select(browser.find_element(By.ID, "theme")).select_by_value("dark")
    _open(browser, site, "events")
    assert _texts(browser, "h1") == ["Ereignisse"]
    assert (
        browser.execute_script("return document.documentElement.lang + document.documentElement.dataset.theme")
        == "dedark"
    )
    Select(browser.find_element(By.ID, "language")).select_by_value("en")
    Select(browser.find_element(By.ID, "theme")).select_by_value("auto")


def test_an_event_appears_live_and_tells_where_it_went(site: str, browser: WebDriver) -> None:
    _open(browser, site, "events")
    event = {"type": "like", "user_id": "live-one", "item_id": "portal-2", "properties": {"list": "home"}}
    sent = httpx.post(f"{site}/v1/events", json=event).json()["results"][0]
    token = sent["offset"]
    _until(browser, lambda b: b.find_elements(By.ID, f"e-{token}"))
    answer = httpx.get(f"{site}/v1/users/live-one/recommendations", params={"after": token}).json()
    time.sleep(1.5)  # the answer's record is written behind the answer
    _open(browser, site, f"events/{token.replace(':', '%3A')}")
    main = _until(browser, lambda b: b.find_element(By.ID, "main")).text
    assert f'"event_id":"{sent["event_id"]}"' in main.replace(" ", "")
    assert token in main
    assert "The user's memory counted" in main
    assert answer["recommendation_id"] in main
    assert len(_texts(browser, ".hops li")) == 3


def test_events_are_filtered_by_type_and_user(site: str, browser: WebDriver) -> None:
    _open(browser, site, "events")
    browser.find_element(By.ID, "filter-type").send_keys("click")
    browser.find_element(By.ID, "filter-user_id").send_keys("robin", Keys.ENTER)
    _until(browser, lambda b: set(_texts(b, "tbody tr td:nth-child(2)")) == {"click"})
    assert set(_texts(browser, "tbody tr td:nth-child(3)")) == {"robin"}


def test_a_refused_event_is_shown_with_its_field_and_reason(site: str, browser: WebDriver) -> None:
    httpx.post(f"{site}/v1/events", json=[{"type": "view", "user_id": "u", "item_id": 7}, {"type": "like"}])
    _open(browser, site, "events/rejected")
    rows = _texts(browser, "tbody tr")
    assert any("item_id" in row and "'item_id': 7" in row for row in rows)
