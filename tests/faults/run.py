"""Runs one declared fault under traffic, and compares what is stored with what was acknowledged."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from deploy.wiring.dependencies import Dependencies
from nearline.recovery.verify import VerifyReport, verify
from schemas.errors import FreshetError, Undecodable
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.codec import decode_event
from schemas.log.reading import records_between
from schemas.log.topics import partition_of
from signals import user_codec, users
from tests.faults import oracle
from tests.faults.clients import Clients
from tests.faults.results import Row, console
from tests.faults.world import World, logged_events, logged_titles, stored_counts

RECOVERY_SECONDS = 180.0
FORGOTTEN = "the log begins at offset"
"""How verify says that retention has removed records."""
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
    short: Mapping[str, int] = field(default_factory=dict)
    """Repetitions in the short form, by stack; a stack that is not named leaves it out."""
    stall_seconds: float | None = None
    """Longest stall that is allowed."""
    stacks: tuple[str, ...] = ("embedded", "cluster")
    proxied: tuple[str, ...] = ()
    """Servers that all processes reach through a proxy."""
    groups: tuple[str, ...] = ()
    """Kinds of servers of which there are several: `kafka`, `redis` (a cluster), `sentinel`, `cassandra`."""
    disk_mib: int = 0
    """Size of a disk of its own for the data folder; 0: none."""
    fresh: bool = False
    """True if it needs a world in which nothing was played before."""
    alone: bool = False
    """True if it is played only when it is named, because it takes long."""
    leaves_empty_values: bool = False
    """True if a release takes part that keeps an empty value of a forgotten user, where this one keeps none."""
    traffic: Mapping[str, Any] = field(default_factory=dict)
    """Changes of the usual traffic."""

    @property
    def own_world(self) -> bool:
        """True if it cannot share a world with other faults."""
        return bool(self.fresh or self.alone or self.proxied or self.groups or self.disk_mib)


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
        """Counts the repetitions; ends early when the time is over, but not before the first. The row says how many there were."""
        while self.repetitions < self.wanted and (not self.repetitions or time.monotonic() < self.until):
            yield self.repetitions
            self.repetitions += 1

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """What is done within takes none of the time of the repetitions."""
        began = time.monotonic()
        yield
        self.until += time.monotonic() - began

    def pause(self, shortest: float, longest: float) -> None:
        time.sleep(self.random.uniform(shortest, longest))

    def settle(self) -> None:
        """Hold the writes, and wait until every signal has every record. ``clients.resume`` goes on."""
        self.clients.hold()
        self.world.wait_until_applied()

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


def port_of(address: str) -> int:
    """Returns the port of an address ``http://host:port``."""
    return int(address.rpartition(":")[2])


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
        self._waiting: list[tuple[int, int, float]] = []
        self._taken = 0
        self.longest = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> float:
        self._ending.set()
        self._thread.join()
        return self.longest

    def _run(self) -> None:
        while not self._ending.wait(WATCH_SECONDS):
            with contextlib.suppress(FreshetError), self._world.opened() as dependencies:
                # A file that stays open would keep a disk from being mounted again.
                while self._look(dependencies) and self._world.disk is None and not self._ending.wait(WATCH_SECONDS):
                    pass

    def _look(self, dependencies: Dependencies) -> bool:
        """Take what has counted off the list. Returns True, so that it can go on; raises FreshetError without an answer."""
        acknowledged = self._ledger.acknowledged_at
        if self._taken > len(acknowledged):
            self._waiting, self._taken = [], 0  # the log was made anew
        new = acknowledged[self._taken :]
        self._taken += len(new)
        self._waiting += new
        signals = dependencies.signals
        fences = {partition: signals.fence(partition, Signal.USERS) for partition in {one[0] for one in self._waiting}}
        offsets = {partition: fence.offset for partition, fence in fences.items() if fence is not None}
        now = time.monotonic()
        counted = [at for partition, offset, at in self._waiting if offsets.get(partition, -1) >= offset]
        self.longest = max([self.longest, *(now - at for at in counted)])
        self._waiting = [one for one in self._waiting if offsets.get(one[0], -1) < one[1]]
        return True


def play(fault: Fault, world: World, seed: int, repetitions: int, seconds: float) -> Row:
    """Start the world, play the fault under traffic, and return its row."""
    began = time.monotonic()
    world.start_all()
    clients = Clients(world.collector, world.api, seed, **fault.traffic)
    run = Run(world, clients, random.Random(seed), repetitions, time.monotonic() + seconds)
    watch = StallWatch(world, clients)
    run.recover()
    run.recoveries.clear()
    clients.start()
    watch.start()
    try:
        fault.play(run)
        run.recover()
    except Exception as error:  # noqa: BLE001 - whatever ends a fault early is told in its row
        console.print(traceback.format_exc(limit=-3), markup=False)
        run.broken.append(_first_line(error))
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


def _first_line(error: Exception) -> str:
    """Names an error; the rest of its text may hold logs and paths, which are printed instead."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _empty_values(dependencies: Dependencies, report: VerifyReport) -> int:
    """The number of named users of whom a fold of the log knows nothing, while the store has an empty value of them."""
    empty = 0
    for check in (check for check in report.checks if check.signal == Signal.USERS):
        for key, data in zip(
            check.differing, dependencies.signals.load(check.partition, check.signal, check.differing), strict=True
        ):
            is_empty = data is not None and user_codec.encode_stored(user_codec.decode(data)) is None
            empty += is_empty and _folded(dependencies, check.partition, key) is None
    return empty


def _folded(dependencies: Dependencies, partition: int, key: str) -> bytes | None:
    """What this release stores of a user after all events of the log; None if that is nothing."""
    reader, value = dependencies.reader, users.EMPTY
    for record in records_between(reader, topics.EVENTS, partition, *reader.bounds(topics.EVENTS, partition)):
        with contextlib.suppress(Undecodable):
            event = decode_event(record.value or b"")
            if event.subject == key:
                value = users.fold(value, event, record.offset)
    return user_codec.encode_stored(value)


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
        console.print(str(error), markup=False)
        run.broken.append(_first_line(error))
    with world.opened() as dependencies:
        partitions = world.settings.partitions
        events = logged_events(dependencies, partitions)
        compared = oracle.compare(ledger.acknowledged, events, stored_counts(dependencies, partitions))
        unlogged = ledger.titles - logged_titles(dependencies, partitions)
        report = verify(dependencies.reader, dependencies.signals)
        empty = _empty_values(dependencies, report) if fault.leaves_empty_values else 0
    row.lost, row.doubled = compared.lost + len(unlogged), compared.doubled
    forgotten = [check for check in report.checks if FORGOTTEN in (check.problem or "")]
    differing = [check for check in report.checks if not check.equal and check not in forgotten]
    if forgotten:
        row.notes.append(
            f"{len(forgotten)} signals of partitions cannot be folded again from the log; their counts were compared"
        )
    row.wrong = sum(check.differences + (check.problem is not None) for check in differing) + len(run.broken) - empty
    if empty:
        row.notes.append(
            f"the release before left {empty} empty values of forgotten users, which `freshet rebuild signals` removes"
        )
    row.notes += [*compared.examples, *(f"the item '{title}' is not on the log" for title in sorted(unlogged)[:3])]
    row.notes += [
        f"{c.topic}/{c.partition} {c.signal}: {c.differences} differ {c.differing[:3]} {c.problem or ''}"
        for c in differing
    ]
    row.notes += [*run.broken, *ledger.examples]
    if ledger.unsettled:
        row.notes.append(f"{ledger.unsettled} requests never got an answer that settled them")
    return row
