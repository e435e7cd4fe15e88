"""Runs one declared fault under traffic, and compares what is stored with what was acknowledged."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from nearline.verify import verify
from schemas.errors import FreshetError
from schemas.keys import Signal
from schemas.log.topics import partition_of
from tests.faults import oracle
from tests.faults.clients import Clients
from tests.faults.results import Row
from tests.faults.world import World, logged_events, logged_titles, stored_counts

RECOVERY_SECONDS = 180.0
WATCH_SECONDS = 0.2


@dataclass(frozen=True)
class Fault:
    """One row of the table: what is done, and what must hold beside that nothing is lost, doubled or wrong."""

    number: int
    name: str
    """Part of the name of its result."""
    title: str
    must: str
    play: Callable[[Run], None]
    repetitions: int = 1
    short: int = 0
    """Repetitions in the short form; 0 leaves it out."""
    stall_seconds: float | None = None
    """Longest stall that is allowed."""
    stacks: tuple[str, ...] = ("embedded", "cluster")


@dataclass
class Run:
    """One run of a fault: the world, its traffic, and what is noted on the way."""

    world: World
    clients: Clients
    random: random.Random
    wanted: int
    until: float
    """Time (monotonic) after which no repetition begins."""
    repetitions: int = 0
    recoveries: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Promises of this fault that did not hold."""
    notes: list[str] = field(default_factory=list)

    def repeat(self) -> Iterator[int]:
        """Counts the repetitions; ends early when the time is over, and the row then says how many there were."""
        while self.repetitions < self.wanted and time.monotonic() < self.until:
            yield self.repetitions
            self.repetitions += 1

    def pause(self, shortest: float, longest: float) -> None:
        time.sleep(self.random.uniform(shortest, longest))

    def expect(self, holds: Any, otherwise: str) -> None:
        """Note a broken promise."""
        if not holds:
            self.broken.append(otherwise)

    def recover(self, seconds: float = RECOVERY_SECONDS) -> float:
        """Returns the time until an event of each partition is taken, counts, and is read with nothing degraded; noted as a recovery."""
        began = time.monotonic()
        self.world.wait_until(self._whole, seconds, "the system is whole again")
        self.recoveries.append(time.monotonic() - began)
        return self.recoveries[-1]

    def _whole(self) -> bool:
        users = probes(self.world.settings.partitions)
        events = [{"type": "view", "user_id": user, "item_id": "probe"} for user in users]
        status, answer = call(f"{self.world.collector}/v1/events", events)
        if status != 202:
            return False
        tokens = [result["offset"] for result in answer["results"]]
        return all(self._counts(user, token) for user, token in zip(users, tokens, strict=True))

    def _counts(self, user: str, token: str) -> bool:
        status, answer = call(f"{self.world.api}/v1/users/{user}/recommendations?after={token}")
        return status == 200 and not answer["degraded"]


@cache
def probes(partitions: int) -> list[str]:
    """Returns one user of each partition."""
    users = (f"probe-{number}" for number in itertools.count())
    by_partition: dict[int, str] = {}
    while len(by_partition) < partitions:
        user = next(users)
        by_partition.setdefault(partition_of(user.encode(), partitions), user)
    return list(by_partition.values())


def call(url: str, body: Any = None, seconds: float = 15.0, method: str | None = None) -> tuple[int, Any]:
    """Returns status and JSON of an answer; status 0 if there was none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")
    except (OSError, ValueError):
        return 0, {}


class StallWatch:
    """Looks at the fences in a thread, and keeps the longest time from an acknowledgement until the event counted."""

    def __init__(self, world: World, clients: Clients) -> None:
        self._world, self._ledger = world, clients.ledger
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stall-watch", daemon=True)
        self.longest = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> float:
        self._ending.set()
        self._thread.join()
        return self.longest

    def _run(self) -> None:
        waiting: list[tuple[int, int, float]] = []
        taken = 0
        with self._world.opened() as dependencies:
            while not self._ending.wait(WATCH_SECONDS):
                new = self._ledger.acknowledged_at[taken:]
                taken += len(new)
                waiting += new
                try:
                    fences = {p: dependencies.signals.fence(p, Signal.USERS) for p in {p for p, _, _ in waiting}}
                except FreshetError:
                    continue
                now = time.monotonic()
                counted = [one for one in waiting if (fence := fences.get(one[0])) and fence.offset >= one[1]]
                self.longest = max([self.longest, *(now - at for _, _, at in counted)])
                waiting = [one for one in waiting if not ((fence := fences.get(one[0])) and fence.offset >= one[1])]


def play(fault: Fault, world: World, seed: int, repetitions: int, seconds: float, **traffic: Any) -> Row:
    """Start the world, play the fault under traffic, and return its row."""
    began = time.monotonic()
    world.start_all()
    clients = Clients(world.collector, world.api, seed, **traffic)
    run = Run(world, clients, random.Random(seed), repetitions, time.monotonic() + seconds)
    watch = StallWatch(world, clients)
    run.recover()
    run.recoveries.clear()
    clients.start()
    watch.start()
    try:
        fault.play(run)
        run.recover()
    except (TimeoutError, FreshetError, OSError) as error:
        run.broken.append(f"{type(error).__name__}: {error}")
    finally:
        clients.stop()
    row = judged(fault, run, seed)
    row.longest_stall_s = round(watch.stop(), 2)
    if fault.stall_seconds is not None and row.longest_stall_s > fault.stall_seconds:
        row.wrong += 1
        row.notes.append(
            f"an event counted only after {row.longest_stall_s} s; at most {fault.stall_seconds:g} s are allowed"
        )
    row.minutes = round((time.monotonic() - began) / 60, 1)
    return row


def judged(fault: Fault, run: Run, seed: int) -> Row:
    """The row of a run whose traffic has ended: the log and the signals compared with the ledger of the clients."""
    ledger, world = run.clients.ledger, run.world
    row = Row(
        fault.title, fault.must, fault.number, run.repetitions, len(ledger.acknowledged), seed=seed, notes=run.notes
    )
    row.server_errors, row.refused, row.reads = ledger.server_errors, ledger.refused, ledger.reads
    row.degraded = ledger.degraded.total()
    row.recovered_s = round(max(run.recoveries), 1) if run.recoveries else None
    try:
        world.wait_until_applied()
    except TimeoutError as error:
        run.broken.append(str(error))
    with world.opened() as dependencies:
        partitions = world.settings.partitions
        events = logged_events(dependencies, partitions)
        compared = oracle.compare(ledger.acknowledged, events, stored_counts(dependencies, partitions))
        unlogged = ledger.titles - logged_titles(dependencies, partitions)
        report = verify(dependencies.reader, dependencies.signals)
    row.lost, row.doubled = compared.lost + len(unlogged), compared.doubled
    differing = [check for check in report.checks if not check.equal]
    row.wrong = sum(check.differences + (check.problem is not None) for check in differing) + len(run.broken)
    row.notes += [*compared.examples, *(f"the item '{title}' is not on the log" for title in sorted(unlogged)[:3])]
    row.notes += [
        f"{c.topic}/{c.partition} {c.signal}: {c.differences} differ {c.differing[:3]} {c.problem or ''}"
        for c in differing
    ]
    row.notes += [*run.broken, *ledger.examples]
    if ledger.unsettled:
        row.notes.append(f"{ledger.unsettled} requests never got an answer that settled them")
    return row
