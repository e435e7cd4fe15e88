"""The asynchronous client. ``client`` is made from this module by ``generate.py``: change this one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, Self, TypeVar, cast
from urllib.parse import quote

import httpx

from freshet_client import models
from freshet_client.async_sender import AsyncEventSender
from freshet_client.auth import KeyAuth
from freshet_client.backoff import RETRIED, backoff
from freshet_client.errors import Problem, Unreachable, problem_of
from freshet_client.sender import Reply, SenderOptions, with_id_and_time

T = TypeVar("T")
_JSON: Final = {"Content-Type": "application/json"}
_PATCH: Final = {"Content-Type": "application/merge-patch+json"}


class AsyncClient:
    """All calls of a site. Each answer is the JSON of the API, typed by ``freshet_client.models``.

    A call raises Problem if the site refuses it, and Unreachable if no answer comes. Before, it is tried again where that may
    help: calls may be repeated, and nothing counts twice.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        auth: httpx.Auth | None = None,
        collector_url: str | None = None,
        timeout: float = 5.0,
        retries: int = 3,
        events: SenderOptions | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``url`` is the online API's, and ``collector_url`` the collector's, where that is another one.

        ``key`` is a key of the site; ``auth`` another way to say who calls, such as SignatureAuth.
        """
        auth = KeyAuth(key) if key is not None and auth is None else auth
        self._http = httpx.AsyncClient(auth=auth, timeout=timeout, transport=transport)
        self._url, self._collector_url = url.rstrip("/"), (collector_url or url).rstrip("/")
        self._retries, self._random = retries, Random()  # noqa: S311 - jitter is no secret
        self.events = AsyncEventSender(self._post_events, events or SenderOptions())
        """The queue of events: ``track`` takes one, and sends it with others in the background."""

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""
        await self.aclose()

    async def aclose(self) -> None:
        """Sends what waits in the queue of events, and closes the connections."""
        await self.events.close()
        await self._http.aclose()

    async def send_events(self, events: Iterable[models.Event]) -> models.EventsAnswer:
        """Sends events now, at most 2,000, and returns the outcome of each. Raises Problem if none was accepted."""
        body = [with_id_and_time(event) for event in events]
        return await self._write("POST", "/v1/events", models.EventsAnswer, body)

    async def put_items(self, items: Iterable[models.ItemUpsert]) -> models.ItemsAnswer:
        """Puts items, at most 2,000, and returns the outcome of each. Raises Problem if none was accepted."""
        return await self._write("POST", "/v1/items", models.ItemsAnswer, list(items))

    async def put_item(self, item_id: str, item: models.ItemFields) -> models.ItemReceipt:
        """Puts an item: all its fields are replaced."""
        return await self._write("PUT", f"/v1/items/{_id(item_id)}", models.ItemReceipt, item)

    async def patch_item(self, item_id: str, changes: models.ItemFields) -> models.ItemReceipt:
        """Changes fields of an item; None removes one."""
        return await self._write("PATCH", f"/v1/items/{_id(item_id)}", models.ItemReceipt, changes)

    async def delete_item(self, item_id: str) -> models.ItemReceipt:
        """Deletes an item."""
        return await self._write("DELETE", f"/v1/items/{_id(item_id)}", models.ItemReceipt)

    async def put_user(self, user_id: str, user: models.UserFields) -> models.UserReceipt:
        """Puts a user's attributes: all are replaced."""
        return await self._write("PUT", f"/v1/users/{_id(user_id)}", models.UserReceipt, user)

    async def patch_user(self, user_id: str, changes: models.UserFields) -> models.UserReceipt:
        """Changes attributes of a user; None removes one."""
        return await self._write("PATCH", f"/v1/users/{_id(user_id)}", models.UserReceipt, changes)

    async def erase_user(self, user_id: str) -> models.ErasureAnswer:
        """Erases everything that is kept about a user, a guest or a session, and returns the receipt."""
        return await self._write("DELETE", f"/v1/users/{_id(user_id)}", models.ErasureAnswer)

    async def get_erasure(self, erasure_id: str) -> models.ErasureState:
        """Returns what has become of an erasure."""
        return await self._write("GET", f"/v1/erasures/{_id(erasure_id)}", models.ErasureState)

    async def export_user(self, user_id: str, to: Path | str, seconds: float = 600.0) -> None:
        """Writes all that is held on a user to a zip file. On any error there is no file; it is not tried again."""
        part = Path(f"{to}.part")
        try:
            async with self._http.stream(
                "GET", f"{self._url}/v1/users/{_id(user_id)}/export", timeout=seconds
            ) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise _problem(response)
                with part.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
            part.replace(to)
        except httpx.TransportError as error:
            raise Unreachable(f"the export broke off: {error or type(error).__name__}") from error
        finally:
            part.unlink(missing_ok=True)

    async def publish_model(
        self, kind: Literal["neighbours", "lists", "factors"], rows: Sequence[Mapping[str, Any]], token: str
    ) -> models.Published:
        """Publishes an external model. ``token`` is the site's FRESHET_MODELS_TOKEN; a key does not count here."""
        return await self._call("POST", f"{self._url}/v1/models/{kind}", models.Published, rows, auth=KeyAuth(token))

    async def get_item(self, item_id: str) -> models.ItemView:
        """Returns the current view of an item. Raises NotFound."""
        return await self._read(f"/v1/items/{_id(item_id)}", models.ItemView)

    async def list_items(
        self, *, query: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> models.ItemPage:
        """Returns a page of the catalogue, or of what matches a query; ``cursor`` is the ``next_cursor`` of the page before."""
        return await self._read("/v1/items", models.ItemPage, query=query, limit=limit, cursor=cursor)

    async def get_user(self, user_id: str) -> models.UserView:
        """Returns the current view of a user. Raises NotFound."""
        return await self._read(f"/v1/users/{_id(user_id)}", models.UserView)

    async def recommend_for_user(
        self,
        user_id: str,
        *,
        count: int | None = None,
        after: str | None = None,
        context: Mapping[str, str] | None = None,
        user_token: str | None = None,
        **parameters: Any,
    ) -> models.Answer:
        """Returns what a user may like next. ``after`` is the offset of an event that must count.

        Other parameters (``exclude``, ``category``, ``filter``, ``diversity``, …) are named as in docs/serving.md.
        """
        named = {f"context.{name}": value for name, value in (context or {}).items()}
        path = f"/v1/users/{_id(user_id)}/recommendations"
        return await self._read(path, models.Answer, user_token, count=count, after=after, **parameters, **named)

    async def recommend_for_session(
        self, events: Sequence[models.SessionEvent], *, count: int | None = None, **parameters: Any
    ) -> models.Answer:
        """Returns what a guest may like next, whose events are not on the log."""
        body = {"events": list(events), "count": count, **parameters}
        return await self._ask("/v1/sessions/recommendations", models.Answer, body)

    async def score_items(
        self, user_id: str, item_ids: Sequence[str], *, user_token: str | None = None
    ) -> models.Scores:
        """Returns a score for each item of a list, in its order."""
        body = {"item_ids": list(item_ids)}
        return await self._ask(f"/v1/users/{_id(user_id)}/scores", models.Scores, body, user_token)

    async def rank_items(
        self, user_id: str, item_ids: Sequence[str], *, user_token: str | None = None, **parameters: Any
    ) -> models.Answer:
        """Returns a list that you bring, best first."""
        body = {"item_ids": list(item_ids), **parameters}
        return await self._ask(f"/v1/users/{_id(user_id)}/rank", models.Answer, body, user_token)

    async def explain_item(self, user_id: str, item_id: str, *, user_token: str | None = None) -> models.Because:
        """Returns which of a user's items led to this one."""
        return await self._read(f"/v1/users/{_id(user_id)}/because", models.Because, user_token, item_id=item_id)

    async def get_compatibility(
        self, user_id: str, item_id: str, *, user_token: str | None = None
    ) -> models.Compatibility:
        """Returns how well an item suits a user, and why."""
        path = f"/v1/users/{_id(user_id)}/compatibility"
        return await self._read(path, models.Compatibility, user_token, item_id=item_id)

    async def list_similar_users(self, user_id: str, *, count: int | None = None) -> models.SimilarUsers:
        """Returns the users who are most like this one, where the site shows them."""
        return await self._read(f"/v1/users/{_id(user_id)}/similar", models.SimilarUsers, count=count)

    async def list_similar_items(self, item_id: str, *, count: int | None = None, **parameters: Any) -> models.Answer:
        """Returns what is like an item."""
        return await self._read(f"/v1/items/{_id(item_id)}/similar", models.Answer, count=count, **parameters)

    async def list_items_together(self, item_id: str, *, count: int | None = None, **parameters: Any) -> models.Answer:
        """Returns what people go on to after an item, or put in a basket with it."""
        return await self._read(f"/v1/items/{_id(item_id)}/together", models.Answer, count=count, **parameters)

    async def list_popular(self, *, count: int | None = None, **parameters: Any) -> models.Answer:
        """Returns what most people like."""
        return await self._read("/v1/popular", models.Answer, count=count, **parameters)

    async def list_trending(self, *, count: int | None = None, **parameters: Any) -> models.Answer:
        """Returns what more and more people turn to."""
        return await self._read("/v1/trending", models.Answer, count=count, **parameters)

    async def list_latest(self, *, count: int | None = None, **parameters: Any) -> models.Answer:
        """Returns the newest items."""
        return await self._read("/v1/latest", models.Answer, count=count, **parameters)

    async def get_statistics(
        self, kind: Literal["best-rated", "most-viewed", "rising"], **parameters: Any
    ) -> models.StatisticsAnswer:
        """Returns what is best rated, most viewed or rising. Raises NotFound before the first computation."""
        return await self._read(f"/v1/statistics/{kind}", models.StatisticsAnswer, **parameters)

    async def _read(self, path: str, answer: type[T], user_token: str | None = None, **parameters: Any) -> T:
        params = {name: value for name, value in parameters.items() if value is not None}
        return await self._call("GET", self._url + path, answer, params=params, user_token=user_token)

    async def _ask(self, path: str, answer: type[T], body: Mapping[str, Any], user_token: str | None = None) -> T:
        said = {name: value for name, value in body.items() if value is not None}
        return await self._call("POST", self._url + path, answer, said, user_token=user_token)

    async def _write(self, method: str, path: str, answer: type[T], body: Any = None) -> T:
        return await self._call(method, self._collector_url + path, answer, body)

    async def _call(
        self,
        method: str,
        url: str,
        answer: type[T],  # noqa: ARG002 - says the type to the type checker
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        user_token: str | None = None,
        auth: httpx.Auth | None = None,
    ) -> T:
        """The JSON of the answer, which is of the type ``answer``; raises Problem, Unreachable."""
        headers = {} if body is None else dict(_PATCH if method == "PATCH" else _JSON)
        if user_token is not None:
            headers["Freshet-User-Token"] = user_token
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        request = self._http.build_request(method, url, params=params or None, content=content, headers=headers)
        for attempt in range(self._retries + 1):
            try:
                # Signed anew each time, because a signature counts once.
                response = await self._http.send(request, auth=auth or self._http.auth)
            except httpx.TransportError as error:
                failure: Problem | Unreachable = Unreachable(f"{method} {url}: {error or type(error).__name__}")
                failure.__cause__ = error
            else:
                if response.is_success:
                    return cast("T", response.json())
                failure = _problem(response)
                if response.status_code not in RETRIED:
                    raise failure
            if attempt == self._retries:
                raise failure
            await asyncio.sleep(backoff(attempt, self._random, getattr(failure, "retry_after", None)))
        raise AssertionError

    async def _post_events(self, body: bytes) -> Reply:
        """Sends a batch once; the queue tries again."""
        try:
            response = await self._http.post(f"{self._collector_url}/v1/events", content=body, headers=_JSON)
        except httpx.TransportError:
            return Reply(None)
        problem = _problem(response)
        return Reply(response.status_code, problem.body, problem.retry_after)


def _id(text: str) -> str:
    """An id in a path: everything but letters, digits and ``_-~`` is percent-encoded, also dots, which clients would resolve."""
    return quote(text, safe="").replace(".", "%2E")


def _problem(response: httpx.Response) -> Problem:
    try:
        body = response.json()
    except ValueError:
        body = None
    return problem_of(response.status_code, body, response.headers.get("Retry-After"))
