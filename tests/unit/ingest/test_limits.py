from __future__ import annotations

import pytest

from schemas.http.access.limits import RateLimiter


class Watch:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch():
    return Watch()


def test_a_client_may_use_its_burst_and_then_waits_for_its_rate(watch):
    limiter = RateLimiter(10, 5, watch)
    assert [limiter.wait("a", 1) for _ in range(5)] == [0] * 5
    assert limiter.wait("a", 1) == pytest.approx(0.1)
    watch.now += 0.15
    assert limiter.wait("a", 1) == 0


def test_one_client_does_not_pay_for_another(watch):
    limiter = RateLimiter(1, 1, watch)
    assert limiter.wait("a", 1) == 0
    assert limiter.wait("b", 1) == 0
    assert limiter.wait("a", 1) > 0


def test_a_batch_larger_than_the_burst_passes_and_is_paid_off(watch):
    limiter = RateLimiter(10, 5, watch)
    assert limiter.wait("a", 100) == 0
    assert limiter.wait("a", 1) == pytest.approx(9.6)


def test_only_so_many_clients_are_remembered(watch):
    limiter = RateLimiter(1, 1, watch)
    for client in range(20_000):
        limiter.wait(str(client), 1)
    assert len(limiter._buckets) == 10_000


def test_a_clock_that_goes_back_gives_and_takes_nothing(watch):
    limiter = RateLimiter(10, 5, watch)
    limiter.wait("a", 5)
    watch.now -= 50
    assert limiter.wait("a", 1) == pytest.approx(0.1)
