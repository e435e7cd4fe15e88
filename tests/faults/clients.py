"""Seeded HTTP traffic that remembers what was acknowledged, sends again what was not, and counts errors and stalls."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.faults.oracle import PLAIN, PLAIN_TYPES

REQUEST_SECONDS = 20.0
SETTLE_SECONDS = 90.0
"""Longest time for which writers go on sending what has no answer yet, once the traffic has ended."""
REMEMBERED = 200
"""Acknowledged bodies that may be sent once more, as a client does whose own answer was lost."""
JSON = {"Content-Type": "application/json"}


@dataclass
class Ledger:
    """What the clients saw. Written by their thread; read it when they have ended, but for ``acknowledged_at``."""

    acknowledged: set[str] = field(default_factory=set)
    titles: set[str] = field(default_factory=set)
    """Titles of items whose PUT was acknowledged; each is unique."""
    acknowledged_at: list[tuple[int, int, float]] = field(default_factory=list)
    """Partition, offset and time (monotonic) of each acknowledged event."""
    statuses: Counter[str] = field(default_factory=Counter)
    server_errors: int = 0
    refused: int = 0
    unreachable: int = 0
    reads: int = 0
    degraded: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    unsettled: int = 0
    """Bodies that never got an answer."""

    def error(self, text: str) -> None:
        """Keep some examples of errors."""
        if len(self.examples) < 10:
            self.examples.append(text[:300])


class Clients:
    """Writers and readers in a thread of their own. ``addresses`` returns collector and API, which may change."""

    def __init__(
        self,
        collector: str,
        api: str,
        seed: int,
        *,
        events_per_second: float = 120.0,
        reads_per_second: float = 15.0,
        writers: int = 6,
        readers: int = 2,
        batch: int = 5,
        users: int = 300,
        items: int = 60,
    ) -> None:
        self.collector, self.api, self.users, self.items = collector, api, users, items
        self.ledger = Ledger()
        self._seed, self._writers, self._readers, self._batch = seed, writers, readers, batch
        self._events_per_second, self._reads_per_second = events_per_second, reads_per_second
        self._numbers = itertools.count()
        # The log of a world may hold events of an earlier run with the same seed.
        self._erased: set[str] = set()
        self._run_id = uuid.uuid4().hex[:8]
        self._ending, self._held = threading.Event(), threading.Event()
        self._busy = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="clients", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End new traffic, and wait until everything that was sent has an answer, or SETTLE_SECONDS have passed."""
        self._ending.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def hold(self) -> None:
        """Send no new writes, and return when those that were sent are settled."""
        self._held.set()
        ends = time.monotonic() + SETTLE_SECONDS
        while self._busy and time.monotonic() < ends:
            time.sleep(0.05)

    def resume(self) -> None:
        """Send writes again."""
        self._held.clear()

    def forget(self) -> None:
        """Expect nothing any longer of what was acknowledged so far, because its log is gone. Call it while writes are held."""
        for acknowledged in (self.ledger.acknowledged, self.ledger.titles, self.ledger.acknowledged_at):
            acknowledged.clear()

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=3.0)
        try:
            async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
                readers = [self._read(session, random.Random(f"{self._seed}r{n}")) for n in range(self._readers)]
                writers = [self._write(session, random.Random(f"{self._seed}w{n}")) for n in range(self._writers)]
                await asyncio.gather(*writers, *readers)
        except BaseException as error:  # noqa: BLE001 - raised again by stop
            self.failure = error

    async def _write(self, session: aiohttp.ClientSession, chance: random.Random) -> None:
        sent: list[list[dict[str, Any]]] = []
        pause = (1 + self._batch) / 2 * self._writers / self._events_per_second
        while not self._ending.is_set():
            await asyncio.sleep(chance.uniform(0, 2 * pause))
            if self._held.is_set():
                continue
            if chance.random() < 0.05:
                await self._settle(lambda: self._put(session, chance), chance)
            if sent and chance.random() < 0.03:
                body = chance.choice(sent)
            else:
                body = [self._event(chance) for _ in range(chance.randint(1, self._batch))]
            await self._settle(lambda body=body: self._post(session, body), chance)
            sent = [*sent[1 - REMEMBERED :], body]

    async def _settle(self, attempt: Callable[[], Any], chance: random.Random) -> None:
        """Repeat an attempt until it is acknowledged."""
        self._busy += 1
        ends = None
        while not await attempt():
            if self._ending.is_set():
                ends = ends or time.monotonic() + SETTLE_SECONDS
                if time.monotonic() > ends:
                    self.ledger.unsettled += 1
                    break
            await asyncio.sleep(chance.uniform(0.2, 1.0))
        self._busy -= 1

    def _event(self, chance: random.Random) -> dict[str, Any]:
        number = next(self._numbers)
        event: dict[str, Any] = {
            "event_id": self._event_id(number),
            "item_id": f"{PLAIN}{chance.randrange(self.items)}",
        }
        if chance.random() < 0.85:
            return event | {"type": chance.choice(PLAIN_TYPES), "user_id": f"{PLAIN}{chance.randrange(self.users)}"}
        # The others do what takes back, links and forgets: their values are compared with a fold of the log.
        kind = chance.choice(
            ["like", "unlike", "dislike", "search", "retract", "identify", "forget", "dwell", "impression"]
        )
        event |= {
            "type": kind,
            "user_id": f"messy-{chance.randrange(self.users // 4)}",
            "item_id": f"i{chance.randrange(40)}",
        }
        match kind:
            case "forget":
                # What is erased leaves the log, so it is not expected there.
                self._erased.add(event["event_id"])
                return event | {"user_id": f"forgotten-{chance.randrange(20)}"}
            case "search":
                return event | {"query": f"query {chance.randrange(9)}"}
            case "retract":
                return event | {"event_id": self._event_id(chance.randrange(number + 1))}
            case "identify":
                return event | {"anonymous_id": f"guest-{chance.randrange(20)}"}
            case "dwell":
                return event | {"value": 12.5}
        return event

    def _event_id(self, number: int) -> str:
        return f"{self._run_id}-{number}"

    async def _post(self, session: aiohttp.ClientSession, body: list[dict[str, Any]]) -> bool:
        status, headers, answer = await self._request(session, "POST", f"{self.collector}/v1/events", body)
        for result in (answer or {}).get("results", ()):
            if result["status"] == "accepted":
                partition, offset = map(int, result["offset"].split(":"))
                if result["event_id"] not in self._erased:
                    self.ledger.acknowledged.add(result["event_id"])
                self.ledger.acknowledged_at.append((partition, offset, time.monotonic()))
        return self._told(status, headers, answer)

    async def _put(self, session: aiohttp.ClientSession, chance: random.Random) -> bool:
        title = f"title {self._event_id(next(self._numbers))}"
        url = f"{self.collector}/v1/items/{PLAIN}{chance.randrange(self.items)}"
        status, headers, answer = await self._request(session, "PUT", url, {"title": title, "tags": ["t"]})
        if status == 202:
            self.ledger.titles.add(title)
        return self._told(status, headers, answer)

    def _told(self, status: int, headers: Any, answer: Any) -> bool:
        """True if a write needs no other attempt. Counts what the status says."""
        if status in {429, 503} and "Retry-After" in headers:
            self.ledger.refused += 1
        elif status >= 400:
            self.ledger.server_errors += 1
            self.ledger.error(f"write: {status} {answer}")
        return status == 202

    async def _read(self, session: aiohttp.ClientSession, chance: random.Random) -> None:
        while not self._ending.is_set():
            await asyncio.sleep(chance.uniform(0, 2 * self._readers / self._reads_per_second))
            user = f"{PLAIN}{chance.randrange(self.users)}"
            path = chance.choices(
                [
                    f"users/{user}/recommendations?count=10",
                    f"items/{PLAIN}{chance.randrange(self.items)}/similar",
                    "popular",
                ],
                [8, 1, 1],
            )[0]
            status, _, answer = await self._request(session, "GET", f"{self.api}/v1/{path}")
            if status >= 500:
                self.ledger.server_errors += 1
                self.ledger.error(f"read {path}: {status} {answer}")
            elif status:
                self.ledger.reads += 1
                self.ledger.degraded.update(set((answer or {}).get("degraded") or ()))

    async def _request(
        self, session: aiohttp.ClientSession, method: str, url: str, body: Any = None
    ) -> tuple[int, Any, Any]:
        """Returns status, headers and JSON of an answer; status 0 if there was none."""
        data = None if body is None else orjson.dumps(body)
        try:
            async with session.request(method, url, data=data, headers=JSON if data else None) as response:
                answer = orjson.loads(await response.read())
                self.ledger.statuses[f"{method} {response.status}"] += 1
                return response.status, response.headers, answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.ledger.unreachable += 1
            self.ledger.statuses[f"{method} {type(error).__name__}"] += 1
            return 0, {}, None
