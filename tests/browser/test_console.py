"""The console on the real embedded stack, in a real browser: its pages, by keyboard, in two languages, and for axe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
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
from deploy.wiring.access import open_access
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.training import train_in
from ingest.access import append_access
from ingest.simulator import shop
from schemas.access.accounts import Role, account_entry, new_account
from schemas.errors import ModelRefused
from schemas.log import topics
from schemas.log.records import LogEntry
from serving.accounts.passwords import hash_password
from serving.config import Settings as ServingSettings
from tests.e2e.systems import eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Serve = Callable[[FastAPI], AbstractContextManager[str]]
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
PAGES = (
    *("overview", "events", "events/rejected", "letters", "users", "users/robin", "catalogue", "catalogue/portal-2"),
    *("models", "access", "definitions"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the site."""
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="module")
def site(folder: Path, serving_at: Serve) -> Iterator[str]:
    """The address of an embedded Freshet with a small sample store, whose visitor has clicked on a recommendation."""
    settings = ServingSettings(stack="embedded", data=folder)
    with nearline(CommandSettings(data=folder)) as running, serving_at(create_app(running, settings)) as url:
        _fill(url)
        yield url


def _fill(url: str) -> None:
    end = datetime.now(UTC)
    events = shop.events(7, 20, 5, end=end)
    # The first request of a fresh installation waits until the kernels are compiled.
    with httpx.Client(base_url=url, timeout=300) as client:
        assert client.post("/v1/items", json=list(shop.catalogue(end, 5))).status_code == 202
        while batch := list(islice(events, 500)):
            assert client.post("/v1/events", json=batch).status_code == 202
        view = {"type": "view", "user_id": "robin", "item_id": "portal-2"}
        first = client.post("/v1/events", json=view).json()["results"][0]["offset"]

        def listed() -> dict[str, Any] | None:
            answer = client.get("/v1/users/robin/recommendations", params={"after": first}).json()
            return answer if answer["items"] else None

        answer = eventually(listed, 120, "the counts of the sample store are read")
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


def _rows(browser: WebDriver) -> list[list[str]]:
    script = "return [...document.querySelectorAll('main tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    return browser.execute_script(script)


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
    _until(browser, lambda b: [row for row in _texts(b, "main tbody tr") if row.startswith("recommendations")])
    [routes] = [row for row in _rows(browser) if row[0] == "recommendations"]
    shown, clicked, share = int(routes[1]), int(routes[2]), float(routes[3].removesuffix("%"))
    assert clicked == 1, "one answer to robin was clicked, once"
    assert share == pytest.approx(100 * clicked / shown, abs=0.06)


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


def test_a_dead_letter_is_read_mended_and_replayed(site: str, folder: Path, browser: WebDriver) -> None:
    with open_dependencies(CommandSettings(data=folder)) as parts:
        parts.writer.append(topics.EVENTS, [LogEntry(b"mender", b'{"type": "view", "user_id": "mender"')]).result(30)
    _open(browser, site, "letters")
    _until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "tbody a")).pop().click()
    box = _until(browser, lambda b: b.find_element(By.ID, "mended"))
    assert box.get_attribute("value") == '{"type": "view", "user_id": "mender"'
    assert _faults(browser) == []
    box.send_keys(', "item_id": "portal-2"}')
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    _until(browser, lambda b: "It stands on events at" in b.find_element(By.ID, "main").text)
    _until(browser, lambda _: httpx.get(f"{site}/v1/users/mender/signals").json()["counters"] == {"view": 1})
    assert httpx.get(f"{site}/v1/dead-letters").json()["letters"] == []
    [replayed] = httpx.get(f"{site}/v1/dead-letters?resolved=true").json()["letters"]
    again = httpx.post(f"{site}/v1/dead-letters/{replayed['token']}/replay", json={}).json()
    assert again["again"]
    assert again["offset"] == replayed["replayed_to"]


def test_a_user_is_opened_with_signals_list_and_reasons(site: str, browser: WebDriver) -> None:
    _open(browser, site, "users")
    browser.find_element(By.ID, "user-id").send_keys("robin", Keys.ENTER)
    main = _until(browser, lambda b: "portal-2" in b.find_element(By.ID, "main").text and b.find_element(By.ID, "main"))
    recommended = httpx.get(f"{site}/v1/users/robin/recommendations").json()["items"]
    assert recommended[0]["item_id"] in main.text
    assert recommended[0]["reasons"][0]["source"] in main.text
    counters = httpx.get(f"{site}/v1/users/robin/signals").json()["counters"]
    assert counters == {"view": 1, "click": 1}
    assert all(f"{name} 1" in main.text for name in counters)


def test_an_item_is_made_hidden_and_deleted(site: str, browser: WebDriver) -> None:
    _open(browser, site, "catalogue/%20/new")
    browser.find_element(By.ID, "item-id").send_keys("console/new")
    fields = browser.find_element(By.ID, "fields")
    fields.clear()
    fields.send_keys('{"title": "Made in the console", "categories": ["Test"], "price": 5}')
    browser.find_element(By.CSS_SELECTOR, "main form button.main").click()
    address = f"{site}/v1/items/console%2Fnew"
    _until(browser, lambda _: httpx.get(address).status_code == 200)
    assert httpx.get(address).json()["title"] == "Made in the console"

    _open(browser, site, "catalogue/console%2Fnew")
    browser.find_element(By.ID, "hide").click()
    _until(browser, lambda _: httpx.get(address).json()["hidden"])
    browser.find_element(By.ID, "delete").click()
    _until(browser, lambda b: b.find_element(By.ID, "delete-yes").is_displayed())
    browser.find_element(By.ID, "delete-yes").click()
    _until(browser, lambda _: httpx.get(address).status_code == 404)


def test_the_catalogue_is_searched_and_paged(site: str, browser: WebDriver) -> None:
    _open(browser, site, "catalogue")
    first = _until(browser, lambda b: _texts(b, "tbody th"))
    later = browser.find_element(By.XPATH, "//button[text()='Next']")
    later.click()
    _until(browser, lambda b: set(_texts(b, "tbody th")).isdisjoint(first))
    browser.find_element(By.XPATH, "//button[text()='Earlier']").click()
    _until(browser, lambda b: _texts(b, "tbody th") == first)
    browser.find_element(By.ID, "query").send_keys("portal", Keys.ENTER)
    _until(browser, lambda b: "portal-2" in _texts(b, "tbody th") and len(_texts(b, "tbody th")) < len(first))


def test_a_training_is_started_and_its_version_promoted(site: str, folder: Path, browser: WebDriver) -> None:
    _open(browser, site, "models")
    browser.find_element(By.ID, "train").click()
    _until(browser, lambda _: [run["outcome"] for run in httpx.get(f"{site}/v1/jobs").json()["runs"]] == ["done"], 150)
    first = httpx.get(f"{site}/v1/models").json()["active"]
    assert first in _until(browser, lambda b: [text for text in _texts(b, "tbody th") if text == first], 30)
    # So small a model is no better than popularity. The gate refuses it, and it stays in the store, where a person can choose it.
    with open_dependencies(CommandSettings(data=folder)) as parts, suppress(ModelRefused):
        train_in(parts, "single", force=True, progress=lambda *_: None)
    models = httpx.get(f"{site}/v1/models").json()
    before = models["active"]
    [other] = [version["version"] for version in models["versions"] if version["version"] != before]
    _until(browser, lambda b: b.find_elements(By.ID, f"p-{other}")).pop().click()
    _until(browser, lambda _: httpx.get(f"{site}/v1/models").json()["active"] == other)
    assert _faults(browser) == []
    refused = httpx.put(f"{site}/v1/models/active", json={"version": "none such"})
    assert refused.status_code == 404
    assert "none such" in refused.json()["detail"]


PASSWORD = "a long enough pass phrase 7"


@pytest.fixture(scope="module")
def guarded_site(tmp_path_factory: pytest.TempPathFactory, serving_at: Serve) -> Iterator[str]:
    """The address of a site with an admin and a viewer."""
    data = tmp_path_factory.mktemp("guarded")
    settings, now = ServingSettings(stack="embedded", data=data), time.time()
    people = {"anna": Role.ADMIN, "vic": Role.VIEWER}
    with nearline(CommandSettings(data=data)) as running:
        made = [new_account(name, role, now, password_hash=hash_password(PASSWORD)) for name, role in people.items()]
        append_access(running.writer, [account_entry(account) for account in made])
        with (
            open_access(settings, "127.0.0.1") as access,
            serving_at(create_app(running, settings, access)) as url,
        ):
            yield url


def _sign_in(browser: WebDriver, url: str, name: str) -> None:
    browser.get(f"{url}/console")
    browser.delete_all_cookies()
    browser.get(f"{url}/console")
    browser.find_element(By.NAME, "name").send_keys(name)
    browser.find_element(By.NAME, "password").send_keys(PASSWORD, Keys.ENTER)
    _until(browser, lambda b: b.current_url.partition("#")[0] == f"{url}/console")
    _until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#nav a"))


def test_an_admin_signs_in_and_makes_and_revokes_a_key(guarded_site: str, browser: WebDriver) -> None:
    _sign_in(browser, guarded_site, "anna")
    assert browser.find_element(By.ID, "account").text == "anna (admin)"
    browser.get(f"{guarded_site}/console#/access")
    Select(_until(browser, lambda b: b.find_element(By.ID, "key-scope"))).select_by_value("recommendations:read")
    browser.find_element(By.ID, "key-name").send_keys("app", Keys.ENTER)
    key = _until(browser, lambda b: b.find_elements(By.ID, "key-text"))[0].text
    headers = {"Authorization": f"Bearer {key}"}
    _until(browser, lambda _: httpx.get(f"{guarded_site}/v1/popular", headers=headers).status_code == 200)
    assert httpx.get(f"{guarded_site}/v1/keys", headers=headers).status_code == 403
    assert _faults(browser) == []

    _until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "button[id^='d-frk_']"))[0].click()
    _until(browser, lambda _: httpx.get(f"{guarded_site}/v1/popular", headers=headers).status_code == 401)
    audit = _until(browser, lambda b: [row for row in _texts(b, "tbody tr") if "DELETE /v1/keys/{key_id}" in row])
    assert "person anna" in audit[0]
    assert key not in browser.page_source.replace(f'id="key-text">{key}', "")


def test_the_last_admin_stays(guarded_site: str, browser: WebDriver) -> None:
    _sign_in(browser, guarded_site, "anna")
    browser.get(f"{guarded_site}/console#/access")
    _until(browser, lambda b: b.find_elements(By.ID, "on-anna"))[0].click()
    fault = _until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".fault"))[0]
    assert "last admin" in fault.text
    assert "person anna" not in "".join(row for row in _texts(browser, "tbody tr") if "PATCH /v1/accounts" in row)


def test_a_viewer_sees_what_a_viewer_may_and_changes_nothing(guarded_site: str, browser: WebDriver) -> None:
    _sign_in(browser, guarded_site, "vic")
    pages = _texts(browser, "#nav a")
    assert "Overview" in pages
    assert "Access" not in pages
    assert "Dead letters" not in pages
    refused = browser.execute_async_script(
        "const done = arguments[0]; fetch('/v1/models/rollback', {method: 'POST'}).then((answer) => done(answer.status))"
    )
    assert refused == 403
