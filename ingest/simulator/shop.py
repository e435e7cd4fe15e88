"""The sample store: its catalogue, its shoppers, and their events, recorded or live.

A seed decides everything. The caller passes the time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from ingest.simulator.catalogue import Game, catalogue, rfc3339
from ingest.simulator.game_features import Floats, game_features
from ingest.simulator.market import Market, market
from ingest.simulator.sessions import Step, VisitingShopper, visit
from ingest.simulator.shoppers import Shopper, affinities, shoppers, true_affinity

__all__ = ["Game", "Shopper", "affinities", "catalogue", "events", "live", "shoppers", "true_affinity"]

EventFields = dict[str, object]

WEEKEND = 1.5
"""Factor by which Saturdays and Sundays have more visits."""
SPREAD_HOURS = 2.5
"""Standard deviation of a visit's start around the shopper's favourite hour."""
HALF_HOUR = 1800.0
SECONDS_A_DAY = 86_400.0
LIVE_TREND_SECONDS = 60.0
"""Seconds of a day of fashion in live events, so that a demonstration shows trends come and go."""
LIVE_SECONDS_PER_STEP = 20.0
"""Mean seconds between two steps of one live shopper. The number of shoppers then follows from the rate."""


@dataclass(frozen=True)
class ShopSession:
    """One visit: the shopper, and whether they are a guest or sign in."""

    session_id: str
    shopper: Shopper
    guest: bool
    signs_in: bool


class PlannedEvent(NamedTuple):
    """One step and its time. Tuples sort in global order."""

    seconds: float
    """Since the first recorded day began."""
    shopper: int
    number: int
    session: ShopSession
    step: Step


def events(seed: int, n_shoppers: int = 2000, days: int = 60, *, end: datetime) -> Iterator[EventFields]:
    """The events of `n_shoppers` in the `days` before `end` (an aware time), in order of time.

    The same arguments give the same bytes. All events are made before the first one is returned, because the order
    is global.
    """
    world, start = market(seed, days), end - timedelta(days=days)
    everyone = shoppers(seed, n_shoppers)
    rows = [row for shopper in everyone for row in _history(seed, shopper, world, start)]
    rows.sort(key=lambda row: row[:3])
    for number, row in enumerate(rows):
        moment = rfc3339(start + timedelta(seconds=row.seconds))
        yield _event(f"sim-{seed}-{number}", row.session, row.step, moment)


def live(
    seed: int,
    rate_per_second: float,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    n_shoppers: int = 2000,
) -> Iterator[EventFields]:
    """Events without end, `rate_per_second` of them each second. Their time is `clock()` (aware).

    The shoppers are those of `events(seed, n_shoppers)`. A reader that pauses gets no flood of events afterwards.
    """
    started = clock()
    run = f"live-{seed}-{int(started.timestamp() * 1000)}"
    due_at, gap = 0.0, 1.0 / rate_per_second
    for number, (session, step) in enumerate(_crowd(seed, run, rate_per_second, n_shoppers, clock)):
        elapsed = (clock() - started).total_seconds()
        due_at = max(due_at + gap, elapsed - 1.0)
        if due_at > elapsed:
            sleep(due_at - elapsed)
        yield _event(f"{run}-{number}", session, step, rfc3339(clock()))


def _history(seed: int, shopper: Shopper, world: Market, start: datetime) -> Iterator[PlannedEvent]:
    """All planned events of one shopper, drawn from the shopper's own random generator."""
    rng = np.random.default_rng([seed, 3, shopper.index])
    days, now, number = len(world.by_day), 0.0, 0
    visitor = VisitingShopper(shopper)
    for count, begins in enumerate(_starts(shopper, days, start, rng)):
        # Visits stay half an hour apart, so that a pause separates sessions.
        now = max(float(begins), now + HALF_HOUR)
        if now >= days * SECONDS_A_DAY:
            return
        session = _session(f"s-{seed}-{shopper.index}-{count}", shopper, count)
        for step in _steps(session, visitor, world, int(now // SECONDS_A_DAY), rng):
            now, number = now + step.wait, number + 1
            if now < days * SECONDS_A_DAY:
                yield PlannedEvent(now, shopper.index, number, session, step)


def _starts(shopper: Shopper, days: int, start: datetime, rng: np.random.Generator) -> Floats:
    """Start times of visits, in seconds since `start`, ascending."""
    weekday = (start.weekday() + np.arange(days)) % 7
    weights = np.where(weekday >= 5, WEEKEND, 1.0) * (np.arange(days) >= int(shopper.joined * days))
    present = max(1.0, (1.0 - shopper.joined) * days)
    count = 1 + rng.poisson(shopper.sessions_per_day * present)
    midnight = start.hour + start.minute / 60.0
    hours = (rng.normal(shopper.favourite_hour, SPREAD_HOURS, count) - midnight) % 24.0
    day = rng.choice(days, count, p=weights / weights.sum())
    return np.sort(day * SECONDS_A_DAY + hours * 3600.0)


def _session(session_id: str, shopper: Shopper, count: int) -> ShopSession:
    return ShopSession(
        session_id=session_id,
        shopper=shopper,
        guest=count < shopper.guest_sessions,
        signs_in=shopper.anonymous_id is not None and count == shopper.guest_sessions,
    )


def _steps(
    session: ShopSession, visitor: VisitingShopper, world: Market, day: int, rng: np.random.Generator
) -> Iterator[Step]:
    if session.signs_in:
        yield Step(1.0, "identify", "account")
    yield from visit(visitor, world, day, rng)


def _crowd(
    seed: int, run: str, rate: float, n_shoppers: int, clock: Callable[[], datetime]
) -> Iterator[tuple[ShopSession, Step]]:
    """Steps of many concurrent visits, in random turns. When a visit ends, another begins."""
    rng = np.random.default_rng([seed, 4])
    entrance = _entrance(seed, run, n_shoppers, clock, rng)
    size = min(max(1, round(rate * LIVE_SECONDS_PER_STEP)), -(-n_shoppers // 2))
    inside = [next(entrance) for _ in range(size)]
    while True:
        index = int(rng.integers(size))
        session, steps = inside[index]
        step = next(steps, None)
        if step is None:
            inside[index] = next(entrance)
        else:
            yield session, step


def _entrance(
    seed: int, run: str, n_shoppers: int, clock: Callable[[], datetime], rng: np.random.Generator
) -> Iterator[tuple[ShopSession, Iterator[Step]]]:
    """New visits without end. Shoppers with more sessions a day visit more often."""
    world, started = market(seed, 60), clock()
    visitors = [VisitingShopper(shopper) for shopper in shoppers(seed, n_shoppers)]
    busy = np.array([visitor.shopper.sessions_per_day for visitor in visitors])
    count = 0
    while True:
        visitor = visitors[int(rng.choice(len(visitors), p=busy / busy.sum()))]
        day = int((clock() - started).total_seconds() // LIVE_TREND_SECONDS) % len(world.by_day)
        session = ShopSession(f"{run}-s{count}", visitor.shopper, guest=False, signs_in=False)
        yield session, visit(visitor, world, day, rng)
        count += 1


def _event(event_id: str, session: ShopSession, step: Step, moment: str) -> EventFields:
    shopper = session.shopper
    event: EventFields = {"event_id": event_id, "type": step.type}
    if not session.guest:
        event["user_id"] = shopper.user_id
    if session.guest or step.type == "identify":
        event["anonymous_id"] = shopper.anonymous_id
    event["session_id"] = session.session_id
    if step.item is not None:
        event["item_id"] = game_features().items[step.item]["item_id"]
    if step.query is not None:
        event["query"] = step.query
    event["occurred_at"] = moment
    event["context"] = {"device": shopper.device, "country": shopper.country, "page": step.page}
    return event
