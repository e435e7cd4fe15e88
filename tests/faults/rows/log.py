"""The log does not answer, loses its answers, is made anew, or has forgotten what a fence needs."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator

from schemas.errors import FreshetError
from tests.faults.disturbances import can_cut_connections, connections_cut, server_frozen, server_killed
from tests.faults.proxy import proxied
from tests.faults.run import RECOVERY_SECONDS, Fault, Run, call, port_of
from tests.faults.world import ClusterWorld, metric

AWAY_SECONDS = 60.0
REFUSAL_SECONDS = 1.0
"""A log that is known to be silent is refused within this time."""
LOSS = 0.2
_OFFSETS = "__consumer_offsets"
_RETRIES = "freshet_nearline_retries_total"


def broker_away(run: Run) -> None:
    """In turn, the broker stands still and is dead, for a minute."""
    assert isinstance(run.world, ClusterWorld)
    for number in run.repeat():
        run.pause(2.0, 4.0)
        with (server_frozen, server_killed)[number % 2](run.world, "kafka"):
            time.sleep(AWAY_SECONDS / 2)
            _expect_refusal(run)
            time.sleep(AWAY_SECONDS / 2)
        run.recover()


def _expect_refusal(run: Run) -> None:
    began = time.monotonic()
    status, _ = call(f"{run.world.collector}/v1/events", {"type": "view", "user_id": "probe", "item_id": "probe"}, 30)
    seconds = time.monotonic() - began
    run.expect(status == 503, f"a write during the outage got {status} instead of 503")
    run.expect(
        seconds <= REFUSAL_SECONDS, f"the 503 came after {seconds:.1f} s, with the log away for {AWAY_SECONDS / 2:g} s"
    )
    status, _ = call(f"{run.world.api}/v1/users/probe/recommendations")
    run.expect(status == 200, f"a read during the outage got {status}")


def answers_lost(run: Run) -> None:
    """Answers to clients are lost after the append; on real servers, connections to the broker break as well."""
    direct = run.world.collector
    with proxied(port_of(direct), run.random.randrange(1_000)) as proxy:
        run.clients.collector = f"http://127.0.0.1:{proxy.port}"
        for _ in run.repeat():
            proxy.lose_answers = LOSS
            run.pause(2.0, 4.0)
            if isinstance(run.world, ClusterWorld) and can_cut_connections():
                with connections_cut(run.world.servers.kafka_port):
                    run.pause(0.1, 0.5)
            proxy.heal()
            run.pause(0.2, 0.5)
        run.clients.hold()
        run.clients.collector = direct
        run.clients.resume()
    run.notes.append(f"{proxy.lost} answers of the collector were lost after the append")
    run.expect(proxy.lost, "no answer was lost")


def topics_recreated(run: Run) -> None:
    """All topics are removed and made again, while workers run. What was on the old log is gone with it."""
    from confluent_kafka.admin import AdminClient

    from adapters.kafka.log import create_topics
    from schemas.configuration.site import topic_prefix
    from schemas.log import topics

    settings = run.world.settings
    admin, prefix = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0}), topic_prefix(settings.prefix)
    names = [topics.topic_name(topic, prefix) for topic in topics.ALL]
    for _ in run.repeat():
        run.pause(4.0, 6.0)
        run.clients.hold()
        for removed in admin.delete_topics(names, operation_timeout=30).values():
            removed.result(30)
        run.world.wait_until(
            lambda: not set(names) & set(admin.list_topics(timeout=10).topics), 60, "the topics are gone"
        )
        create_topics(settings.kafka, prefix, settings.partitions)
        run.clients.forget()
        # Tokens do not name their log: the old fences would let a read believe that its event counts.
        with run.world.opened() as dependencies:
            seconds = run.world.wait_until(
                lambda new=dependencies: _fences_are_new(run, new), RECOVERY_SECONDS, "every fence names the new log"
            )
        run.clients.resume()
        run.recoveries.append(seconds + run.recover())
    run.pause(4.0, 6.0)


def _fences_are_new(run: Run, dependencies) -> bool:
    from nearline.processor import SIGNALS

    try:
        return all(
            (fence := dependencies.signals.fence(partition, signal)) is not None
            and fence.log_id == dependencies.reader.log_id(topic)
            for topic, signals in SIGNALS.items()
            for partition, signal in itertools.product(range(run.world.settings.partitions), signals)
        )
    except FreshetError:
        return False


def behind_retention(run: Run) -> None:
    """Workers are away, while events are archived and then leave the log; the workers find the rest of them in the archive."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    from schemas.configuration.site import topic_prefix
    from schemas.log import topics

    settings = run.world.settings
    admin, name = (
        AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0}),
        topics.topic_name(topics.EVENTS, topic_prefix(settings.prefix)),
    )
    for _ in run.repeat():
        run.pause(3.0, 5.0)
        workers = [run.world.processes[each] for each in run.world.folding]
        for worker in workers:
            worker.kill()
        run.pause(8.0, 10.0)
        done = run.world.freshet("archive")
        run.expect(done.returncode == 0, f"freshet archive: {done.stdout[-300:]}{done.stderr[-300:]}")
        with run.world.opened() as dependencies:
            archived = _archived_ends(run, dependencies)
        removed = admin.delete_records([TopicPartition(name, partition, end) for partition, end in archived.items()])
        for partition in removed.values():
            partition.result(30)
        run.notes.append(f"{sum(archived.values()):,} events had left the log")
        for worker in workers:
            worker.start()
        run.recover()


def _archived_ends(run: Run, dependencies) -> dict[int, int]:
    """The offset of each partition up to which the archive holds events."""
    from schemas.log import topics

    log_id, found = dependencies.reader.log_id(topics.EVENTS), {}
    for partition in range(run.world.settings.partitions):
        _, end = dependencies.reader.bounds(topics.EVENTS, partition)
        records = list(dependencies.archive.read(topics.EVENTS, log_id, partition, 0, end))
        if records:
            found[partition] = records[-1].offset + 1
    return found


def offset_commits_fail(run: Run) -> None:
    """Kafka refuses the offsets that workers commit. In turn, all workers die afterwards, or one dies meanwhile: the group
    can then not form either, until Kafka takes records about it again.
    """
    refused = 0.0
    for number in run.repeat():
        run.pause(3.0, 5.0)
        workers = [run.world.processes[each] for each in run.world.folding]
        before = sum(metric(worker, _RETRIES) for worker in workers)
        with _offsets_refused(run):
            run.pause(8.0, 12.0)
            run.recover()
            refused += sum(metric(worker, _RETRIES) for worker in workers) - before
            if number % 2:
                workers, others = workers[:1], workers[1:]
                workers[0].kill()
                run.pause(8.0, 12.0)
                run.expect(
                    all(other.alive() for other in others), "another worker ended while the group could not form"
                )
        for worker in workers:
            worker.kill()
            worker.start()
        run.recover()
    run.notes.append(f"{refused:g} commits of offsets were refused, and every event counted meanwhile")
    run.expect(refused, "no commit of offsets was refused: the fault was not met")


@contextlib.contextmanager
def _offsets_refused(run: Run) -> Iterator[None]:
    """Kafka finds every record about a group too large."""
    from confluent_kafka.admin import AdminClient

    from adapters.kafka.topics import change_config

    admin = AdminClient({"bootstrap.servers": run.world.settings.kafka, "log_level": 0})
    change_config(admin, _OFFSETS, {"max.message.bytes": "10"})
    try:
        yield
    finally:
        change_config(admin, _OFFSETS, {"max.message.bytes": "1048588"})


FAULTS = [
    Fault(
        2,
        "broker-away",
        "the broker stands still, or is dead, for 60 s",
        "503 with `Retry-After` within a second, reads go on, and what was sent is stored once",
        broker_away,
        repetitions=4,
        stacks=("cluster",),
    ),
    Fault(
        4,
        "answers-lost",
        "answers are lost after the append: to clients, and between broker and collector; clients send again",
        "counted once",
        answers_lost,
        repetitions=20,
        short={"cluster": 1},
    ),
    Fault(
        7,
        "topics-recreated",
        "the topics are removed and made again under running workers",
        "the new log is folded from its start; nothing of it is skipped",
        topics_recreated,
        fresh=True,
        repetitions=3,
        stacks=("cluster",),
    ),
    Fault(
        7,
        "offset-commits-fail",
        "Kafka refuses the offsets that workers commit; all workers die afterwards, or one dies meanwhile",
        "events count while no worker dies; the position is that of the fences, and the group forms again by itself",
        offset_commits_fail,
        repetitions=5,
        stacks=("cluster",),
    ),
    Fault(
        7,
        "behind-retention",
        "the fences are older than retention: the log has forgotten what the workers need, the archive has it",
        "the archive fills the gap",
        behind_retention,
        repetitions=3,
        stacks=("cluster",),
    ),
]
