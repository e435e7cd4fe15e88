"""Commands on one connection: sent together, each gets its own reply, and sent once more if the connection is dead."""

import asyncio
from collections import deque

import hiredis
import pytest
import redis

from adapters.redis.pipeline import BlockingConnection, PipelinedConnection


class Connection:
    """Answers each command with itself, in order; ``faults`` are raised instead, one a sending or reading."""

    def __init__(self, sending=(), reading=()):
        self.sending, self.reading = deque(sending), deque(reading)
        self.sent: list[list[bytes]] = []
        self.answers: deque[bytes] = deque()
        self.disconnected = 0

    async def connect(self):
        return

    async def send_packed_command(self, packed):
        if self.sending and (fault := self.sending.popleft()) is not None:
            raise fault
        reader = hiredis.Reader()
        reader.feed(packed)
        self.sent.append([b" ".join(command) for command in iter(reader.gets, False)])
        self.answers.extend(self.sent[-1])

    async def read_response(self):
        answer = self.answers.popleft()
        if self.reading and (fault := self.reading.popleft()) is not None:
            raise fault
        return answer

    async def disconnect(self, *, nowait=False):
        self.answers.clear()
        self.disconnected += 1


def pipelined_on(connection: Connection) -> PipelinedConnection:
    return PipelinedConnection(lambda: connection)


def asked(connection: Connection, *names: str) -> list[object]:
    async def ask_all():
        pipelined = pipelined_on(connection)
        return await asyncio.gather(*(pipelined.execute("GET", name) for name in names), return_exceptions=True)

    return asyncio.run(ask_all())


def test_what_is_asked_in_one_turn_is_sent_together_and_each_gets_its_own_answer():
    connection = Connection()
    assert asked(connection, "a", "b", "c") == [b"GET a", b"GET b", b"GET c"]
    assert connection.sent == [[b"GET a", b"GET b", b"GET c"]]


def test_an_error_of_one_command_is_its_askers_alone():
    fault = redis.ResponseError("no such key")
    assert asked(Connection(reading=[None, fault, None]), "a", "b", "c") == [b"GET a", fault, b"GET c"]


def test_a_dead_connection_is_given_up_and_what_it_left_unanswered_is_asked_once_more():
    connection = Connection(reading=[None, redis.ConnectionError("reset")])
    assert asked(connection, "a", "b") == [b"GET a", b"GET b"]
    assert connection.sent == [[b"GET a", b"GET b"], [b"GET b"]]
    assert connection.disconnected == 1


def test_where_redis_stays_away_everybody_who_asked_is_told():
    down = redis.ConnectionError("refused")
    assert asked(Connection(sending=[down, down]), "a", "b") == [down, down]


def test_a_slow_answer_is_not_asked_for_again():
    late = redis.TimeoutError("late")
    connection = Connection(sending=[late])
    assert asked(connection, "a") == [late]
    assert connection.sent == []


def test_whoever_gave_up_takes_nobody_elses_answer():
    async def ask_two():
        pipelined = pipelined_on(Connection())
        given_up, other = pipelined.execute("GET", "a"), pipelined.execute("GET", "b")
        given_up.cancel()
        return await other, await pipelined.execute("GET", "c")

    assert asyncio.run(ask_two()) == (b"GET b", b"GET c")


@pytest.mark.parametrize("turns", [0, 1])
def test_what_is_asked_while_answers_are_read_goes_out_next(turns):
    async def ask_later():
        pipelined = pipelined_on(connection := Connection())
        first = pipelined.execute("GET", "a")
        for _ in range(turns):
            await asyncio.sleep(0)
        return await asyncio.gather(first, pipelined.execute("GET", "b")), len(connection.sent)

    assert asyncio.run(ask_later()) == ([b"GET a", b"GET b"], 1 + turns)


class Plain(Connection):
    """The same for a thread that blocks."""

    def connect(self):
        return

    def send_packed_command(self, packed):
        asyncio.run(super().send_packed_command(b"".join(packed)))

    def read_response(self):
        return asyncio.run(super().read_response())

    def disconnect(self):
        asyncio.run(super().disconnect())


def blocking_on(connection: Plain) -> BlockingConnection:
    return BlockingConnection(lambda: connection)


def test_a_blocking_command_is_sent_as_it_is_and_answered():
    blocking = blocking_on(connection := Plain())
    assert blocking.execute("HSET", "a", b"\x00\xff", 1) == b"HSET a \x00\xff 1"
    assert connection.sent == [[b"HSET a \x00\xff 1"]]


@pytest.mark.parametrize(
    "faults", [{"sending": [redis.ConnectionError("reset")]}, {"reading": [redis.ConnectionError("reset")]}]
)
def test_a_blocking_command_that_met_a_dead_connection_is_asked_once_more_on_a_new_one(faults):
    blocking = blocking_on(connection := Plain(**faults))
    assert blocking.execute("GET", "a") == b"GET a"
    assert connection.disconnected == 1


def test_a_blocking_command_fails_where_redis_stays_away():
    down = redis.ConnectionError("refused")
    with pytest.raises(redis.ConnectionError, match="refused"):
        blocking_on(Plain(sending=[down, down])).execute("GET", "a")


@pytest.mark.parametrize("fault", [redis.TimeoutError("late"), redis.ResponseError("wrong type")])
def test_a_blocking_command_that_was_answered_late_or_refused_is_not_asked_again(fault):
    blocking = blocking_on(connection := Plain(reading=[fault]))
    with pytest.raises(type(fault)):
        blocking.execute("GET", "a")
    assert connection.sent == [[b"GET a"]]
