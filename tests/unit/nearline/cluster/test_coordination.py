"""The group's coordination of aiokafka itself goes on after an error that nobody but us would take."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("aiokafka", reason="needs the extra `cluster`")

from aiokafka import errors
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState

from nearline.cluster.coordination import take_error

STEPS = 20
"""Turns of the event loop in which the coordination does all that it can."""


class RefusingClient:
    """A client that is refused whenever it looks for the group's coordinator."""

    def __init__(self, error: Exception) -> None:
        self.cluster, self.looks, self._error = ClusterMetadata(), 0, error

    async def coordinator_lookup(self, *_: object) -> int:
        self.looks += 1
        raise self._error


@pytest.fixture
async def coordinating():
    """Returns a client that raises an error, and the coordination over it, which has met the error once."""
    coordinators: list[GroupCoordinator] = []

    async def coordinate(error: Exception) -> tuple[RefusingClient, GroupCoordinator]:
        subscription = SubscriptionState()
        subscription.subscribe({"events"})
        subscription.register_fetch_waiters(set())
        client = RefusingClient(error)
        coordinators.append(GroupCoordinator(client, subscription))
        await settled()
        return client, coordinators[-1]

    yield coordinate
    for coordinator in coordinators:
        coordinator._coordination_task.cancel()


async def settled() -> None:
    for _ in range(STEPS):
        await asyncio.sleep(0)


async def test_a_refused_coordination_waits_and_tries_again_once_its_error_is_taken(coordinating):
    client, coordinator = await coordinating(errors.GroupAuthorizationFailedError("group"))
    assert client.looks == 1
    assert take_error(coordinator)
    await settled()
    assert client.looks == 2


async def test_nothing_is_taken_from_a_coordination_without_an_error(coordinating):
    client, coordinator = await coordinating(errors.GroupAuthorizationFailedError("group"))
    assert take_error(coordinator)
    assert take_error(coordinator)
    await settled()
    assert client.looks == 2


async def test_a_coordination_that_has_ended_for_good_is_told_from_one_that_goes_on(coordinating):
    _, coordinator = await coordinating(ZeroDivisionError("a defect"))
    assert not take_error(coordinator)
