"""The page's routes: the front page, its lists as a fragment, an item, a new name, and the static files."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from importlib.resources import files
from random import randrange
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from schemas.access.scopes import PAGE, PUBLIC, needs
from schemas.http.problems import ProblemError
from schemas.values.ids import ID_PATTERN, MAX_ID
from schemas.values.pseudonyms import Pseudonyms
from serving.service.service import ServingService
from serving.stores.statistics import StatisticsReader
from serving.web.card_lists import card_lists_for, similar_to
from serving.web.cards import face_of, facts_of, labels_of
from serving.web.figures import page_of
from serving.web.live import ServiceShop
from serving.web.names import invented
from serving.web.pseudonymous import PseudonymousShop
from serving.web.shop import Shop

_TYPES: Final = {"page.css": "text/css", "page.js": "text/javascript", "mark.svg": "image/svg+xml"}
_A_YEAR: Final = "public, max-age=31536000, immutable"
_ID: Final = re.compile(ID_PATTERN)
_QUERY: Final = 512


class _Site(NamedTuple):
    """The values that all pages share."""

    name: str
    events_url: str
    currency: str
    lists_users: bool


class _StaticFile(NamedTuple):
    content: bytes
    version: str


class _Pages:
    """Renders templates with their shared values, under one content security policy."""

    def __init__(self, shop: Shop, site: _Site, new_name: Callable[[], str]) -> None:
        self.shop = shop
        self.site = site
        self.new_name = new_name
        self.static = {name: _static_file(name) for name in _TYPES}
        self._headers = _headers(site.events_url)
        self._jinja = Environment(
            loader=PackageLoader("serving.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.globals.update(site=site, static=self._static_url)

    def render(self, template: str, user: str, status: int = 200, **values: Any) -> Response:
        """Renders a page or fragment for a shopper."""
        page = self._jinja.get_template(template)
        html = page.render(user=user, query=values.pop("query", ""), face=face_of(user), **self._people(), **values)
        return Response(html.encode("utf-8", "replace"), status, self._headers, "text/html; charset=utf-8")

    def sorry(self, status: int, headline: str, sentence: str, user: str) -> Response:
        """Renders a page that says what is wrong and what to do."""
        return self.render("sorry.html", user, status, headline=headline, sentence=sentence)

    def refuse(self, user: str) -> Response | None:
        """The response to an invalid shopper's name; None if the name is valid."""
        if len(user) <= MAX_ID and _ID.match(user):
            return None
        sentence = f"A shopper's name has 1 to {MAX_ID} characters, none of them control characters. Pick another one."
        return self.sorry(400, "That name cannot be used", sentence, self.new_name())

    def file(self, name: str) -> Response:
        """A static file; its address changes with its content."""
        static_file = self.static.get(name)
        if static_file is None:
            return Response("There is no such file.", 404, media_type="text/plain")
        return Response(
            static_file.content, headers={**self._headers, "Cache-Control": _A_YEAR}, media_type=_TYPES[name]
        )

    def _people(self) -> dict[str, Any]:
        return {"suggestions": list(self.shop.shoppers()) if self.site.lists_users else []}

    def _static_url(self, name: str) -> str:
        return f"/shop/static/{name}?v={self.static[name].version}"


def build_web_router(
    service: ServingService,
    *,
    chance: Callable[[int], int] = randrange,
    events_url: str = "",
    name: str = "Freshet",
    currency: str = "",
    lists_users: bool = False,
    pseudonyms: Pseudonyms | None = None,
) -> APIRouter:
    """The page at ``/`` and its parts under ``/shop``.

    The browser posts events to ``events_url``: the collector's origin, or the full address of its ``/v1/events``. The
    collector must then allow this origin by CORS. It is empty if this origin accepts events itself.
    ``chance(n)`` returns a number from 0 to n - 1, for invented names. ``currency`` stands before prices. ``lists_users``:
    whether the page offers some users by id. ``pseudonyms``: what the site keeps in place of ids.
    """
    shop = ServiceShop(service) if pseudonyms is None else PseudonymousShop(service, pseudonyms)
    return page_router(
        shop,
        chance=chance,
        events_url=events_url,
        name=name,
        currency=currency,
        lists_users=lists_users,
        published=service.statistics,
    )


def page_router(
    shop: Shop,
    *,
    chance: Callable[[int], int],
    events_url: str = "",
    name: str = "Freshet",
    currency: str = "",
    lists_users: bool = False,
    published: StatisticsReader | None = None,
) -> APIRouter:
    """The routes of ``build_web_router`` over any shop; with ``published`` also the page of statistics."""
    pages = _Pages(shop, _Site(name, _endpoint(events_url), currency, lists_users), lambda: invented(chance))
    router = APIRouter(include_in_schema=False)
    _add_window(router, pages)
    _add_item(router, pages)

    if published is not None:
        _add_statistics(router, pages, published)

    @router.get("/shop/new-shopper")
    @needs(PAGE)
    async def new_shopper() -> Response:
        return RedirectResponse("/?" + urlencode({"user": pages.new_name()}), 303, {"Cache-Control": "no-store"})

    @router.get("/shop/static/{name}")
    @needs(PUBLIC)
    async def static(name: str) -> Response:
        return pages.file(name)

    return router


def _add_window(router: APIRouter, pages: _Pages) -> None:
    @router.get("/")
    @needs(PAGE)
    async def window(user: str = "", q: str = "") -> Response:
        shopper, query = user.strip() or pages.new_name(), _query(q)
        refused = pages.refuse(shopper)
        if refused:
            return refused
        groups = await card_lists_for(pages.shop, shopper, query, pages.site.currency)
        return pages.render("page.html", shopper, query=query, groups=groups)

    @router.get("/shop/shelves")
    @needs(PAGE)
    async def fragment(user: str, q: str = "", after: str | None = None, everyone: bool = True) -> Response:
        refused = pages.refuse(user)
        if refused:
            return refused
        try:
            groups = await card_lists_for(pages.shop, user, _query(q), pages.site.currency, after, everyone=everyone)
        except ProblemError as error:
            return pages.sorry(error.status, "These shelves cannot be shown", str(error), user)
        return pages.render("card_lists.html", user, groups=groups)


def _add_statistics(router: APIRouter, pages: _Pages, published: StatisticsReader) -> None:
    @router.get("/statistics")
    @needs(PAGE)
    async def statistics(user: str = "", period: str = "month", category: str = "") -> Response:
        shopper = user.strip() or pages.new_name()
        refused = pages.refuse(shopper)
        if refused:
            return refused
        return pages.render("statistics.html", shopper, **await page_of(published, period, category))


def _add_item(router: APIRouter, pages: _Pages) -> None:
    @router.get("/shop/item")
    @needs(PAGE)
    async def item(item_id: Annotated[str, Query(alias="id")], user: str = "", fragment: bool = False) -> Response:
        shopper = user.strip() or pages.new_name()
        refused = pages.refuse(shopper)
        if refused:
            return refused
        catalogue_item = pages.shop.item(item_id)
        if catalogue_item is None:
            sentence = "Nothing is known of it, or it is no longer on sale. The shelves hold what is."
            return pages.sorry(404, "This is not in the shop", sentence, shopper)
        currency = pages.site.currency
        card, similar = await similar_to(pages.shop, catalogue_item, shopper, currency)
        return pages.render(
            "item.html" if fragment else "item_page.html",
            shopper,
            card=card,
            similar=similar,
            address=catalogue_item.url or "",
            description=catalogue_item.description or "",
            labels=labels_of(catalogue_item),
            facts=facts_of(catalogue_item, currency),
        )


def _endpoint(events_url: str) -> str:
    """The address to which events are posted. A collector's bare origin is enough."""
    path = urlsplit(events_url).path.strip("/")
    return events_url if path else events_url.rstrip("/") + "/v1/events"


def _query(text: str) -> str:
    return " ".join(text.split())[:_QUERY]


def _static_file(name: str) -> _StaticFile:
    content = (files("serving.web") / "static" / name).read_bytes()
    return _StaticFile(content, blake2b(content, digest_size=6).hexdigest())


def _headers(events_url: str) -> dict[str, str]:
    address = urlsplit(events_url)
    collector = f" {address.scheme}://{address.netloc}" if address.netloc else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: http:; form-action 'self'; "
        f"base-uri 'none'; frame-ancestors 'none'; connect-src 'self'{collector}"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
