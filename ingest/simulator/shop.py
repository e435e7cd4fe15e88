"""The sample store: its catalogue, its shoppers, and their events, recorded or live.

Everything follows from a seed; the time is handed in.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from ingest.simulator.catalogue import Item, catalogue, rfc3339
from ingest.simulator.market import Market, market
from ingest.simulator.sessions import Step, Visitor, visit
from ingest.simulator.shelf import Floats, shelf
from ingest.simulator.shoppers import Shopper, affinities, shoppers, true_affinity

__all__ = ["Item", "Shopper", "affinities", "catalogue", "events", "live", "shoppers", "true_affinity"]

Event = dict[str, object]

WEEKEND = 1.5
"""How much busier Saturdays and Sundays are."""
SPREAD_HOURS = 2.5
"""Standard deviation of a visit's start about the shopper's favourite hour."""
HALF_HOUR = 1800.0
SECONDS_A_DAY = 86_400.0
LIVE_TREND_SECONDS = 60.0
"""Live, a day of fashion passes in a minute, so that a demonstration sees trends come and go."""
LIVE_SECONDS_PER_STEP = 20.0
"""How often one live shopper does something; the rate is reached by having enough of them."""


@dataclass(frozen=True)
class Session:
    """Who is visiting, under which name."""

    session_id: str
    shopper: Shopper
    guest: bool
    signs_in: bool


class PlannedEvent(NamedTuple):
    """One step with its place in time; tuples sort in global order."""

    seconds: float
    """Since the first recorded day began."""
    shopper: int
    number: int
    session: Session
    step: Step


def events(seed: int, n_shoppers: int = 2000, days: int = 60, *, end: datetime) -> Iterator[Event]:
    """What `n_shoppers` did in the `days` before `end` (an aware moment), in order of time.

    Same arguments, same bytes. All of it is made before the first event comes out, since the order is global.
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
) -> Iterator[Event]:
    """Events without end, `rate_per_second` of them a second, each stamped with `clock()` (aware).

    The shoppers are those of `events(seed, n_shoppers)`. A reader that paused is not flooded on its return.
    """
    started = clock()
    run = f"live-{seed}-{int(started.timestamp() * 1000)}"
    due, gap = 0.0, 1.0 / rate_per_second
    for number, (session, step) in enumerate(_crowd(seed, run, rate_per_second, n_shoppers, clock)):
        elapsed = (clock() - started).total_seconds()
        due = max(due + gap, elapsed - 1.0)
        if due > elapsed:
            sleep(due - elapsed)
        yield _event(f"{run}-{number}", session, step, rfc3339(clock()))


def _history(seed: int, shopper: Shopper, world: Market, start: datetime) -> Iterator[PlannedEvent]:
    """All rows of one shopper, drawn from that shopper's own stream of chance."""
    rng = np.random.default_rng([seed, 3, shopper.index])
    days, now, number = len(world.by_day), 0.0, 0
    visitor = Visitor(shopper)
    for count, begins in enumerate(_starts(shopper, days, start, rng)):
        # Visits stay apart, so that a pause tells one from the next.
        now = max(float(begins), now + HALF_HOUR)
        if now >= days * SECONDS_A_DAY:
            return
        session = _session(f"s-{seed}-{shopper.index}-{count}", shopper, count)
        for step in _steps(session, visitor, world, int(now // SECONDS_A_DAY), rng):
            now, number = now + step.wait, number + 1
            if now < days * SECONDS_A_DAY:
                yield PlannedEvent(now, shopper.index, number, session, step)


def _starts(shopper: Shopper, days: int, start: datetime, rng: np.random.Generator) -> Floats:
    """When visits begin, in seconds since `start`, ascending."""
    weekday = (start.weekday() + np.arange(days)) % 7
    weights = np.where(weekday >= 5, WEEKEND, 1.0) * (np.arange(days) >= int(shopper.joined * days))
    present = max(1.0, (1.0 - shopper.joined) * days)
    count = 1 + rng.poisson(shopper.sessions_per_day * present)
    midnight = start.hour + start.minute / 60.0
    hours = (rng.normal(shopper.favourite_hour, SPREAD_HOURS, count) - midnight) % 24.0
    day = rng.choice(days, count, p=weights / weights.sum())
    return np.sort(day * SECONDS_A_DAY + hours * 3600.0)


def _session(session_id: str, shopper: Shopper, count: int) -> Session:
    return Session(
        session_id=session_id,
        shopper=shopper,
        guest=count < shopper.guest_sessions,
        signs_in=shopper.anonymous_id is not None and count == shopper.guest_sessions,
    )


def _steps(session: Session, visitor: Visitor, world: Market, day: int, rng: np.random.Generator) -> Iterator[Step]:
    if session.signs_in:
        yield Step(1.0, "identify", "account")
    yield from visit(visitor, world, day, rng)


def _crowd(
    seed: int, run: str, rate: float, n_shoppers: int, clock: Callable[[], datetime]
) -> Iterator[tuple[Session, Step]]:
    """Steps of many visits at once, whoever's turn it is; one who leaves makes room for another."""
    rng = np.random.default_rng([seed, 4])
    entrance = _entrance(seed, run, n_shoppers, clock, rng)
    size = min(max(1, round(rate * LIVE_SECONDS_PER_STEP)), -(-n_shoppers // 2))
    inside = [next(entrance) for _ in range(size)]
    while True:
        place = int(rng.integers(size))
        session, steps = inside[place]
        step = next(steps, None)
        if step is None:
            inside[place] = next(entrance)
        else:
            yield session, step


def _entrance(
    seed: int, run: str, n_shoppers: int, clock: Callable[[], datetime], rng: np.random.Generator
) -> Iterator[tuple[Session, Iterator[Step]]]:
    """Visits as they begin; the busier a shopper, the more often it is theirs."""
    world, started = market(seed, 60), clock()
    visitors = [Visitor(shopper) for shopper in shoppers(seed, n_shoppers)]
    busy = np.array([visitor.shopper.sessions_per_day for visitor in visitors])
    count = 0
    while True:
        visitor = visitors[int(rng.choice(len(visitors), p=busy / busy.sum()))]
        day = int((clock() - started).total_seconds() // LIVE_TREND_SECONDS) % len(world.by_day)
        session = Session(f"{run}-s{count}", visitor.shopper, guest=False, signs_in=False)
        yield session, visit(visitor, world, day, rng)
        count += 1


def _event(event_id: str, session: Session, step: Step, moment: str) -> Event:
    shopper = session.shopper
    event: Event = {"event_id": event_id, "type": step.type}
    if not session.guest:
        event["user_id"] = shopper.user_id
    if session.guest or step.type == "identify":
        event["anonymous_id"] = shopper.anonymous_id
    event["session_id"] = session.session_id
    if step.item is not None:
        event["item_id"] = shelf().items[step.item]["item_id"]
    if step.query is not None:
        event["query"] = step.query
    event["occurred_at"] = moment
    event["context"] = {"device": shopper.device, "country": shopper.country, "page": step.page}
    return event
