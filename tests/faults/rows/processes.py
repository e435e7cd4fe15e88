"""Freshet's own processes are killed, frozen, and join and leave."""

from __future__ import annotations

import signal
import time

from schemas.configuration.site import topic_prefix
from schemas.keys import Signal
from schemas.log.topics import EVENTS, topic_name
from tests.faults.run import Fault, Run
from tests.faults.world import ClusterWorld, metric

SESSION_SECONDS = 6.0
_REFUSED = "freshet_nearline_fence_moved_total"


def kill_collector(run: Run) -> None:
    collector = run.world.processes[run.world.collecting]
    for _ in run.repeat():
        run.pause(0.5, 3.0)
        collector.kill()
        run.pause(0.0, 1.0)
        collector.start()
        run.recover()


def kill_workers(run: Run) -> None:
    for _ in run.repeat():
        run.pause(0.5, 4.0)
        worker = run.world.processes[run.random.choice(run.world.folding)]
        worker.kill()
        run.pause(0.0, 2.0)
        worker.start()
    run.recover()


def kill_between_commits(run: Run) -> None:
    """Kill every worker as soon as a fence has moved, before Kafka is told. Every second time, Redis stands still before."""
    assert isinstance(run.world, ClusterWorld)
    between = 0
    with run.world.opened() as dependencies:
        for number in run.repeat():
            run.pause(3.0, 6.0)
            if number % 2:
                run.world.server_signal("redis", signal.SIGSTOP)
                run.pause(0.5, 1.5)
                run.world.server_signal("redis", signal.SIGCONT)
            fences = _fences(run, dependencies)
            run.world.wait_until(lambda before=fences: _fences(run, dependencies) != before, 30, "a fence moves")
            workers = [run.world.processes[name] for name in run.world.folding]
            for worker in workers:
                worker.kill()
            between += _behind(run, _fences(run, dependencies))
            for worker in workers:
                worker.start()
            run.recover()
    run.notes.append(
        f"{between} of {run.repetitions} times, Kafka's committed offsets were behind the fences when the workers died"
    )
    run.expect(between, "no death was between the two commits")


def _fences(run: Run, dependencies) -> dict[int, int]:
    fences = {
        partition: dependencies.signals.fence(partition, Signal.USERS)
        for partition in range(run.world.settings.partitions)
    }
    return {partition: fence.offset for partition, fence in fences.items() if fence is not None}


def _behind(run: Run, fences: dict[int, int]) -> bool:
    """True if the group's committed offset of some partition is before its fence."""
    from confluent_kafka import Consumer, TopicPartition

    settings = run.world.settings
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka, "group.id": f"{settings.prefix}-nearline", "log_level": 0}
    )
    name = topic_name(EVENTS, topic_prefix(settings.prefix))
    committed = consumer.committed([TopicPartition(name, partition) for partition in fences], timeout=10)
    consumer.close()
    return any(one.offset < fences[one.partition] + 1 for one in committed)


def join_and_leave(run: Run) -> None:
    """Every ten seconds a worker joins, or one leaves: half of those by a crash."""
    for _ in run.repeat():
        time.sleep(10.0)
        folding = run.world.folding
        if len(folding) < 2 or (len(folding) < 4 and run.random.random() < 0.5):
            run.world.add_worker()
        else:
            leaving = run.world.processes[run.random.choice(folding)]
            run.random.choice([leaving.kill, leaving.stop])()


def zombie(run: Run) -> None:
    """A worker stands still beyond its session, while another takes over; then it goes on where it was."""
    refused = 0.0
    for _ in run.repeat():
        run.pause(1.0, 3.0)
        worker = run.world.processes[run.random.choice(run.world.folding)]
        before = metric(worker, _REFUSED)
        worker.freeze()
        run.pause(SESSION_SECONDS + 3, SESSION_SECONDS + 8)
        worker.thaw()
        run.recover()
        run.expect(worker.alive(), f"{worker.name} ended")
        refused += metric(worker, _REFUSED) - before
    run.notes.append(f"{refused:g} commits of the zombies were refused, because another worker had moved the fence")
    run.expect(refused, "no commit of a zombie was refused: the fault was not met")


FAULTS = [
    Fault(
        1,
        "collector-killed",
        "`kill -9` of the collector under load",
        "every acknowledged event is on the log",
        kill_collector,
        repetitions=20,
        short={"embedded": 1},
    ),
    Fault(
        5,
        "worker-killed",
        "`kill -9` of a worker at random points",
        "the signals equal the oracle exactly",
        kill_workers,
        repetitions=50,
        short={"cluster": 2},
        stacks=("cluster",),
    ),
    Fault(
        6,
        "between-commits",
        "death between the commit of the state and the commit to Kafka; a slow first event, then death",
        "nothing skipped, nothing twice",
        kill_between_commits,
        repetitions=10,
        stacks=("cluster",),
    ),
    Fault(
        8,
        "join-and-leave",
        "workers join and leave every 10 s for 5 min, half of them by `kill -9`",
        "exact, no stall over 10 s",
        join_and_leave,
        fresh=True,
        repetitions=30,
        stall_seconds=10.0,
        stacks=("cluster",),
    ),
    Fault(
        9,
        "zombie",
        "SIGSTOP of a worker past its session time-out, then SIGCONT",
        "the zombie's commit is refused",
        zombie,
        repetitions=10,
        stacks=("cluster",),
    ),
]
