import asyncio
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.http.problems import ProblemError
from serving.service.notifications import Notifications, Seen, StreamLimits

LISTS = {"v1": ["a", "b", "c"], "v2": ["a", "c", "b"], "same": ["a", "b", "c"], "v3": ["x", "b", "c"]}


def a_model(version):
    return SimpleNamespace(version=version)


class Hub:
    """Notifications over lists of a dict, the same for everybody but ann, whose list never changes."""

    def __init__(self, limit=10, heartbeat=3_600.0, limit_of_client=10):
        self.request = []
        limits = StreamLimits(limit, limit_of_client)
        self.hub = Notifications(self.lists_of, lambda: 0.0, a_model("v1"), limits, heartbeat)

    async def lists_of(self, user_id, count, versions):
        self.request.append(user_id)
        return [["a"] if user_id == "ann" else LISTS[each.version] for each in versions]

    def open(self, user="bob", last=None, client="192.0.2.1"):
        return self.hub.open(user, last, client)

    def publish(self, version):
        self.hub.model_changed(a_model(version))


async def soon(stream):
    return (await asyncio.wait_for(anext(stream), 5)).decode()


def id_of(message):
    return next(line.removeprefix("id: ") for line in message.splitlines() if line.startswith("id: "))


def data_of(message):
    return json.loads(next(line for line in message.splitlines() if line.startswith("data: ")).removeprefix("data: "))


async def test_a_new_version_that_changes_the_list_is_notified_with_the_number_of_changes():
    hub = Hub()
    stream = hub.open()
    greeting = await soon(stream)
    assert "event:" not in greeting
    assert id_of(greeting).startswith("v1.")
    hub.publish("v2")
    told = await soon(stream)
    assert "event: recommendations\n" in told
    assert told.endswith("\n\n")
    assert data_of(told) == {"model_version": "v2", "changed": 2, "generated_at": "1970-01-01T00:00:00Z"}


async def test_a_new_version_with_the_same_list_is_no_event_and_advances_the_clients_event_id():
    hub = Hub()
    stream = hub.open()
    await soon(stream)
    hub.publish("same")
    moved = await soon(stream)
    assert "data:" not in moved
    assert id_of(moved).startswith("same.")


async def test_only_clients_whose_lists_changed_are_notified():
    hub = Hub()
    bob, ann = hub.open("bob"), hub.open("ann")
    await soon(bob)
    await soon(ann)
    hub.publish("v2")
    assert "event:" in await soon(bob)
    assert "event:" not in await soon(ann)


async def test_versions_are_notified_in_their_order():
    hub = Hub()
    stream = hub.open()
    await soon(stream)
    hub.publish("v2")
    hub.publish("v3")
    assert [data_of(await soon(stream))["model_version"] for _ in range(2)] == ["v2", "v3"]


async def test_a_client_that_comes_back_learns_at_once_that_its_list_changed_meanwhile():
    hub = Hub()
    known = id_of(await soon(hub.open()))
    hub.publish("v3")
    assert data_of(await soon(hub.open(last=known))) == {
        "model_version": "v3", "changed": 1, "generated_at": "1970-01-01T00:00:00Z",
    }  # fmt: skip
    assert "event:" not in await soon(hub.open())
    assert "event:" not in await soon(hub.open(last="not one of ours"))


async def test_a_client_that_comes_back_to_the_same_version_or_the_same_list_is_not_notified():
    hub = Hub()
    known = id_of(await soon(hub.open()))
    assert "event:" not in await soon(hub.open(last=known))
    hub.publish("same")
    assert "event:" not in await soon(hub.open(last=known))


async def test_a_quiet_stream_is_kept_open_by_comments_and_asks_nothing():
    hub = Hub(heartbeat=0.01)
    stream = hub.open()
    await soon(stream)
    request = len(hub.request)
    assert {await soon(stream) for _ in range(3)} == {": still here\n\n"}
    assert len(hub.request) == request


async def test_streams_are_bounded_and_one_that_ends_makes_room():
    hub = Hub(limit=1)
    stream = hub.open()
    await soon(stream)
    with pytest.raises(ProblemError) as caught:
        hub.open()
    assert caught.value.status == 503
    await stream.aclose()
    await soon(hub.open())


async def test_closing_ends_every_stream_and_takes_no_new_ones():
    hub = Hub()
    streams = [hub.open(), hub.open("ann")]
    for each in streams:
        await soon(each)
    hub.hub.close()
    for each in streams:
        with pytest.raises(StopAsyncIteration):
            await soon(each)
    with pytest.raises(ProblemError):
        hub.open()


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1), st.lists(st.text(), max_size=20))
def test_an_event_id_is_read_as_it_was_written(version, items):
    seen = Seen.of(version, items)
    assert Seen.parse(str(seen)) == seen
    assert seen.differs(seen) == 0


@given(st.text())
def test_an_invalid_event_id_is_never_an_error(text):
    Seen.parse(text)


async def test_one_client_cannot_take_the_streams_of_all_others():
    hub = Hub(limit=10, limit_of_client=3)
    streams = [hub.open(client="192.0.2.1") for _ in range(3)]
    with pytest.raises(ProblemError) as refused:
        hub.open(client="192.0.2.1")
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "60"})
    other = hub.open(client="192.0.2.2")
    assert "retry:" in await soon(other)
    await soon(streams[0])
    await streams[0].aclose()
    assert "retry:" in await soon(hub.open(client="192.0.2.1"))


async def test_a_client_that_goes_before_the_first_message_leaves_no_stream():
    hub = Hub(limit=1)
    never_read = hub.open()
    del never_read
    assert "retry:" in await soon(hub.open())


async def test_a_client_that_does_not_read_keeps_only_the_newest_messages():
    hub = Hub()
    stream = hub.open()
    await soon(stream)
    for number in range(100):
        hub.publish(("v2", "v3")[number % 2])
    await asyncio.wait_for(hub.hub._task, 5)
    waiting = next(iter(hub.hub._streams)).waiting
    assert waiting.qsize() <= 16


async def test_other_tasks_have_a_turn_before_each_stream_is_compared():
    hub = Hub()
    streams = [hub.open() for _ in range(5)]
    for stream in streams:
        await soon(stream)
    hub.request.clear()
    hub.publish("v2")
    seen = []
    while len(hub.request) < 5:
        await asyncio.sleep(0)
        seen.append(len(hub.request))
    assert all(after - before <= 1 for before, after in zip([0, *seen], seen, strict=False))
