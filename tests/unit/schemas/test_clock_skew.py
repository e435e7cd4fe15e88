"""Clocks that differ: nothing is refused wrongly, and what the collector has accepted no worker refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.config import IngestSettings
from ingest.main import site_policy
from ingest.validation import validate
from ingest.validation.validate import Rejection
from schemas.clock_skew import SAMPLES, ClockSkew
from schemas.log.codec import decode_event

TRUE = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
MINUTES = 60.0
DAYS = 86_400.0


def measured(skew: float, samples: int = SAMPLES) -> ClockSkew:
    """The clock of a process that is this far ahead of the log, after some confirmed records."""
    clock = ClockSkew()
    for _ in range(samples):
        clock.confirmed(sent=TRUE + skew - 0.01, logged=TRUE, confirmed=TRUE + skew + 0.01)
    return clock


def collected(clock: ClockSkew, skew: float, occurred: float | None) -> bytes:
    """What a collector with this skew writes to the log for an event of this true time."""
    raw = {"type": "like", "user_id": "ann", "item_id": "one"}
    if occurred is not None:
        raw["occurred_at"] = datetime.fromtimestamp(occurred, UTC).isoformat()
    now = clock.corrected(lambda: TRUE + skew)()
    policy = site_policy(IngestSettings(_env_file=None))
    return validate.validate_event(raw, validate.utc(now), lambda: "id", policy).entry.value


@given(skew=st.floats(-3 * DAYS, 3 * DAYS), occurred=st.none() | st.floats(TRUE - 365 * DAYS, TRUE + 4 * MINUTES))
def test_no_event_that_is_not_ahead_of_the_log_is_refused_by_collector_or_worker(skew, occurred):
    value = collected(measured(skew), skew, occurred)
    event = decode_event(value, int(TRUE * 1_000))
    if occurred is not None:
        assert abs(event.occurred_at.timestamp() - occurred) < 0.001


@pytest.mark.parametrize("skew", [-10 * MINUTES, 0.0])
def test_an_event_that_is_ahead_of_everybody_is_still_refused_by_the_collector(skew):
    with pytest.raises(Rejection, match="ahead"):
        collected(measured(skew), skew, TRUE + 6 * MINUTES)


@given(skew=st.floats(-3 * DAYS, 3 * DAYS))
def test_the_skew_is_measured_to_the_time_of_a_confirmation(skew):
    assert abs(measured(skew).seconds - skew) <= 0.011


def test_a_confirmation_that_took_long_is_no_skew():
    clock = ClockSkew()
    clock.confirmed(sent=TRUE, logged=TRUE + 9, confirmed=TRUE + 60)
    assert clock.seconds == 0.0


def test_one_wrong_answer_among_right_ones_moves_nothing():
    clock = measured(0.0)
    clock.confirmed(sent=TRUE + 600, logged=TRUE, confirmed=TRUE + 600)
    assert clock.seconds == 0.0
    assert clock.warnings() == []


def test_a_record_of_the_log_shows_that_this_process_is_behind():
    clock = ClockSkew()
    clock.read(TRUE, TRUE - 1_000)
    assert clock.seconds == 0.0
    clock.read(TRUE - 600, TRUE)
    assert clock.seconds == -600


@pytest.mark.parametrize(("skew", "side"), [(600, "600 s ahead of"), (-600, "600 s behind")])
def test_readiness_is_told_how_far_the_clock_is_off(skew, side):
    [sentence] = measured(skew).warnings()
    assert side in sentence


def test_a_clock_that_is_set_right_again_is_right():
    clock = measured(600)
    for _ in range(SAMPLES):
        clock.confirmed(sent=TRUE, logged=TRUE, confirmed=TRUE + 0.01)
    assert clock.seconds == 0.0
