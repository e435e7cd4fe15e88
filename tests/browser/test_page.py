"""What a visitor meets in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from schemas.catalogue import Item

pytestmark = pytest.mark.browser

T = TypeVar("T")
FOR_YOU = "[data-shelf=for-you] [data-item]"


def ids(browser: WebDriver, selector: str = FOR_YOU) -> list[str]:
    """Item ids in their order, read in one step: a swap may come at any time."""
    script = "return [...document.querySelectorAll(arguments[0])].map((card) => card.dataset.item)"
    return browser.execute_script(script, selector)


def one(browser: WebDriver, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def until(browser: WebDriver, condition: Callable[[], T]) -> T:
    return WebDriverWait(browser, 15, poll_frequency=0.05).until(lambda _: condition())


def newest_line(browser: WebDriver) -> str:
    lines = browser.find_elements(By.CSS_SELECTOR, "#happened li")
    return lines[0].text if lines else ""


def milliseconds(browser: WebDriver) -> float:
    """The time that the newest line shows, once it does."""
    ms = until(browser, lambda: one(browser, "#happened li:first-child .ms[data-ms]"))
    assert re.fullmatch(r"\d+ ms", ms.text)
    return float(ms.get_attribute("data-ms"))


def like_first(browser: WebDriver) -> str:
    card = one(browser, FOR_YOU)
    title = card.get_attribute("data-title")
    card.find_element(By.CSS_SELECTOR, ".like").click()
    return title


def test_a_like_changes_the_shelf_says_how_long_that_took_and_names_what_was_liked(page, browser):
    browser.get(f"{page.url}/?user=robin")
    before = ids(browser)
    title = like_first(browser)
    took = milliseconds(browser)

    after = ids(browser)
    assert before[0] not in after
    assert after != before[1:] + after[-1:]
    assert 0 < took < 15_000
    # A card that has just been swapped in is faded in: its text is there a moment later.
    until(browser, lambda: f"because you liked {title}".lower() in one(browser, f"{FOR_YOU} .why").text.lower())
    assert "Liked" in newest_line(browser)
    assert "moved up" in newest_line(browser) or "came in" in newest_line(browser)
    assert browser.find_elements(By.CSS_SELECTOR, f"{FOR_YOU}.moved")
    assert before[0] in ids(browser, "[data-shelf=liked] [data-item]")


def test_the_event_carries_the_answer_it_came_from_and_where_it_stood(page, browser):
    browser.get(f"{page.url}/?user=robin")
    browser.find_elements(By.CSS_SELECTOR, f"{FOR_YOU} .like")[2].click()
    milliseconds(browser)
    event = page.shop.received[0]
    assert (event["type"], event["user_id"], event["recommendation_id"], event["position"]) == (
        "like",
        "robin",
        "r-1",
        2,
    )
    assert len(event["event_id"]) == 32


def test_a_like_can_be_taken_back_in_the_strip_and_by_the_heart(page, browser):
    browser.get(f"{page.url}/?user=robin")
    before = ids(browser)
    like_first(browser)
    until(browser, lambda: ids(browser) != before)
    until(browser, lambda: one(browser, "#happened .undo")).click()
    until(browser, lambda: ids(browser) == before)

    like_first(browser)
    until(browser, lambda: ids(browser, "[data-shelf=liked] [data-item]"))
    one(browser, "[data-shelf=liked] .like[aria-pressed=true]").click()
    until(browser, lambda: ids(browser) == before)
    assert [event["type"] for event in page.shop.received] == ["like", "retract", "like", "unlike"]


def test_what_is_not_wanted_leaves_every_shelf(page, browser):
    browser.get(f"{page.url}/?user=robin")
    unwanted = ids(browser, "[data-shelf=trending] [data-item]")[0]
    one(browser, "[data-shelf=trending] .dismiss").click()
    milliseconds(browser)
    assert unwanted not in ids(browser, "#shelves [data-item]")
    assert page.shop.received[0]["type"] == "dismiss"


def test_a_search_sends_an_event_and_shows_what_matches(page, browser):
    browser.get(f"{page.url}/?user=robin")
    one(browser, "#q").send_keys("roguelike", Keys.ENTER)
    milliseconds(browser)
    assert "Results for “roguelike”" in one(browser, "[data-shelf=results] h2").text
    assert "rogue-legacy" in ids(browser, "[data-shelf=results] [data-item]")
    assert "matches your search “roguelike”" in one(browser, "[data-shelf=results] .why").text.lower()
    assert page.shop.received[0] | {"type": "search", "query": "roguelike"} == page.shop.received[0]
    assert "q=roguelike" in browser.current_url


def test_an_item_opens_with_its_description_and_what_is_like_it_and_counts_as_click_and_view(page, browser):
    browser.get(f"{page.url}/?user=robin&q=hades")
    one(browser, "[data-shelf=results] [data-item=hades] a").click()
    dialog = until(browser, lambda: one(browser, "dialog[open]"))
    assert page.shop.items["hades"].description in dialog.text
    assert dialog.find_elements(By.CSS_SELECTOR, "[data-shelf=similar] [data-item]")
    milliseconds(browser)
    assert [event["type"] for event in page.shop.received] == ["click", "view"]
    dialog.send_keys(Keys.ESCAPE)
    until(browser, lambda: not browser.find_elements(By.CSS_SELECTOR, "dialog[open]"))


def test_markup_in_a_title_a_name_and_a_search_is_only_text(page, browser):
    hostile = '"><script>window.bitten=1</script>'
    browser.get(f"{page.url}/?user={quote(hostile)}&q=script")
    one(browser, "[data-shelf=results] .like").click()
    milliseconds(browser)
    one(browser, "[data-shelf=liked] a[data-open]").click()
    dialog = until(browser, lambda: one(browser, "dialog[open]"))
    assert "<script>window.bitten=1</script>" in dialog.text
    assert "<script>" in newest_line(browser)
    browser.get(f"{page.url}/?user=robin&q={quote(hostile)}")
    assert hostile in one(browser, "[data-shelf=results] h2").text
    assert browser.execute_script("return window.bitten") is None


def test_the_policy_stops_a_script_that_got_into_the_page_all_the_same(page, browser):
    browser.get(f"{page.url}/?user=robin")
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.bitten=1'; document.body.append(s)"
    )
    assert browser.execute_script("return window.bitten") is None


def test_a_refused_event_is_told_in_a_sentence_and_the_heart_goes_back(page, browser):
    page.shop.refuse_events = True
    browser.get(f"{page.url}/?user=robin")
    before = ids(browser)
    like_first(browser)
    until(browser, lambda: "Try again in a second" in newest_line(browser))
    assert ids(browser) == before
    assert one(browser, f"{FOR_YOU} .like").get_attribute("aria-pressed") == "false"


def test_the_keyboard_is_enough_and_focus_stays_where_the_card_was(page, browser):
    browser.get(f"{page.url}/?user=robin")
    button = browser.find_elements(By.CSS_SELECTOR, f"{FOR_YOU} .like")[1]
    browser.execute_script("arguments[0].focus()", button)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    milliseconds(browser)
    focused = browser.switch_to.active_element
    assert focused.get_attribute("data-do") == "like"
    assert focused.find_element(By.XPATH, "./ancestor::li").get_attribute("data-position") == "1"


def test_no_request_leaves_the_page_s_own_origin_and_nothing_is_refused(page, browser):
    browser.get(f"{page.url}/?user=robin")
    like_first(browser)
    milliseconds(browser)
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded
    assert all(name.startswith(page.url) for name in loaded)
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_nothing_sticks_out_sideways(page, browser, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(f"{page.url}/?user=a-rather-long-name-for-a-shopper-{'x' * 60}&q=script")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_a_name_is_invented_for_whoever_has_none_and_stays_in_the_address(page, browser):
    browser.get(page.url)
    name = one(browser, "body").get_attribute("data-user")
    assert re.fullmatch(r"[a-z]+-[a-z]+-\d{4}", name)
    assert f"user={name}" in browser.current_url


def test_events_may_go_to_a_collector_on_another_origin(page_with_a_collector_elsewhere, browser):
    page = page_with_a_collector_elsewhere
    browser.get(f"{page.url}/?user=robin")
    like_first(browser)
    milliseconds(browser)
    assert [event["type"] for event in page.shop.received] == ["like"]
    assert browser.get_log("browser") == []


def test_the_drawn_cover_stands_in_for_an_image_that_cannot_be_loaded(page, browser):
    lamp = Item(item_id="lamp", title="Lamp", image_url=f"{page.url}/no-such-image.jpg")
    page.shop.items["lamp"] = lamp
    browser.get(f"{page.url}/shop/item?user=robin&id=lamp")
    until(browser, lambda: not browser.find_elements(By.CSS_SELECTOR, "img.image"))
    assert one(browser, ".item .cover .name").get_attribute("textContent") == "Lamp"
