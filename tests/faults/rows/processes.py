"""Freshet's own processes are killed, frozen, and join and leave."""

from __future__ import annotations

from tests.faults.run import Fault, Run


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


FAULTS = [
    Fault(
        1,
        "collector-killed",
        "`kill -9` of the collector under load",
        "every acknowledged event is on the log",
        kill_collector,
        repetitions=20,
        short=1,
    ),
    Fault(
        5,
        "worker-killed",
        "`kill -9` of a worker at random points",
        "the signals equal the oracle exactly",
        kill_workers,
        repetitions=50,
        short=2,
        stacks=("cluster",),
    ),
]
