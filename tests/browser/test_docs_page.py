"""The page of the API under ``/docs`` in a real browser: it shows the calls, and asks no other host for anything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from serving.config import Settings

pytestmark = pytest.mark.browser

Serve = Callable[[FastAPI], AbstractContextManager[str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, serving_at: Serve):
    folder: Path = tmp_path_factory.mktemp("docs")
    with (
        nearline(CommandSettings(data=folder)) as running,
        serving_at(create_app(running, Settings(data=folder, docs=True))) as url,
    ):
        yield url


def test_the_calls_are_shown_and_nothing_is_asked_of_another_host(site: str, browser: WebDriver) -> None:
    browser.get(f"{site}/docs")
    WebDriverWait(browser, 60).until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".opblock")) > 20)
    assert "recommend_for_user" in browser.page_source
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    fetched = [address for address in loaded if not address.startswith("data:")]
    assert {urlsplit(address).netloc for address in fetched} == {urlsplit(site).netloc}
    assert any(address.endswith("/openapi.json") for address in fetched)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_licences_are_served_and_other_files_are_not(site: str) -> None:
    assert "Apache License" in httpx.get(f"{site}/docs/static/LICENSE.txt").text
    assert "Copyright" in httpx.get(f"{site}/docs/static/NOTICE.txt").text
    assert httpx.get(f"{site}/docs/static/docs.html").status_code == 404
    assert httpx.get(f"{site}/docs/static/%2E%2E%2Fapplication.py").status_code == 404
