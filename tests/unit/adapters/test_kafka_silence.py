"""When Kafka counts as silent."""

from adapters.kafka.silence import Silence


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def silence() -> tuple[Silence, Time]:
    clock = Time()
    return Silence(10.0, clock), clock


def test_nobody_is_asked_while_entries_are_confirmed():
    kafka, _ = silence()
    kafka.reported(True)
    kafka.look(lambda: 1 / 0)
    assert not kafka.known


def test_lost_connections_are_no_silence_if_kafka_answers():
    kafka, _ = silence()
    kafka.suspect()
    kafka.look(lambda: True)
    assert not kafka.known


def test_one_partition_without_a_leader_does_not_silence_the_others():
    kafka, clock = silence()
    kafka.reported(True)
    clock.now += 5
    kafka.reported(False)
    kafka.look(lambda: 1 / 0)
    assert not kafka.known


def test_silence_is_known_after_a_look_and_ends_with_the_first_answer():
    kafka, clock = silence()
    kafka.reported(True)
    clock.now += 10
    kafka.reported(False)
    kafka.look(lambda: False)
    assert kafka.known
    kafka.look(lambda: 1 / 0)  # asked just now
    clock.now += 1
    kafka.look(lambda: True)
    assert not kafka.known
