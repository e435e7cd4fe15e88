"""The page as it leaves the server: what it says when there is little to say, and what it never lets through."""

from __future__ import annotations

import httpx
import pytest

from schemas.catalogue import Item
from serving.web.router import _endpoint, _headers


@pytest.fixture
def get(page):
    with httpx.Client(base_url=page.url) as client:
        yield client.get


def test_the_first_paint_is_whole_without_a_script(get):
    html = get("/", params={"user": "robin"}).text
    assert "Hades" in get("/", params={"user": "robin", "q": "hades"}).text
    assert all(f'data-shelf="{key}"' in html for key in ("for-you", "trending", "new"))
    assert "switch JavaScript on" in html


def test_markup_is_escaped(get):
    for path in ("/?user=robin&q=script", "/shop/item?user=robin&id=hostile/%3Cb%3E%26", "/?user=%3Cscript%3E"):
        html = get(path).text
        assert "<script>" not in html.replace('<script src="/shop/static/page.js', "")
        assert "<img" not in html


def test_only_this_origin_is_allowed_by_the_policy(get):
    policy = get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    # Images of items stand wherever a site keeps them.
    assert "img-src 'self' https: http:; " in policy
    assert "http" not in policy.replace("img-src 'self' https: http:; ", "")


def test_a_collector_elsewhere_is_the_one_more_origin_that_is_allowed():
    policy = _headers("https://events.example.org:8001/v1/events")["Content-Security-Policy"]
    assert policy.endswith("connect-src 'self' https://events.example.org:8001")


@pytest.mark.parametrize(
    ("given", "posted_to"),
    [
        ("", "/v1/events"),
        ("http://collector:8001", "http://collector:8001/v1/events"),
        ("http://collector:8001/", "http://collector:8001/v1/events"),
        ("https://shop.example.org/in/events", "https://shop.example.org/in/events"),
    ],
)
def test_the_collector_s_origin_is_enough_to_know_where_events_go(given, posted_to):
    assert _endpoint(given) == posted_to


def test_there_is_no_inline_script_or_style(get):
    html = get("/", params={"user": "robin"}).text
    assert "<style" not in html
    assert " style=" not in html
    assert " onclick" not in html
    assert html.count("<script") == 1


def test_an_empty_shop_says_how_to_fill_it(page, get):
    page.shop.items.clear()
    assert "freshet import" in get("/", params={"user": "robin"}).text


def test_without_a_model_the_page_says_so(page, get):
    page.shop.model = None
    assert "freshet train" in get("/", params={"user": "robin"}).text


def test_someone_new_is_told_what_to_do(get):
    assert "You are new here" in get("/", params={"user": "nobody-ever"}).text


def test_a_degraded_answer_is_told_calmly(page, get):
    page.shop.degraded = ["signals", "source:fold_in"]
    html = get("/", params={"user": "robin"}).text
    assert "may be a little behind" in html
    assert "source:fold in) is resting" in html or "(source:fold in)" in html


def test_a_name_that_cannot_be_one_is_refused_with_a_sentence(get):
    answer = get("/", params={"user": "x" * 129})
    assert answer.status_code == 400
    assert "Pick another one" in answer.text


def test_an_offset_token_that_is_none_is_refused(get):
    assert get("/shop/shelves", params={"user": "robin", "after": "soon"}).status_code == 400


def test_an_item_shows_its_image_and_leads_to_its_page_on_the_site(page, get):
    lamp = Item(
        item_id="lamp", title="Lamp", url="https://shop.example/lamp", image_url="https://shop.example/lamp.jpg"
    )
    page.shop.items["lamp"] = lamp
    html = get("/shop/item", params={"id": "lamp", "user": "robin"}).text
    assert 'src="https://shop.example/lamp.jpg" alt=""' in html
    assert 'href="https://shop.example/lamp"' in html


def test_an_unknown_item_is_404_with_a_way_back(get):
    answer = get("/shop/item", params={"id": "no such thing", "user": "robin"})
    assert answer.status_code == 404
    assert "Back to the shelves" in answer.text


def test_inventing_a_shopper_leads_to_the_page_of_a_new_name(get):
    answer = get("/shop/new-shopper")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/?user=")


def test_static_files_are_kept_by_the_browser_and_change_their_address_with_their_content(get):
    html = get("/").text
    address = html.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = get(address)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert get("/shop/static/router.py").status_code == 404
