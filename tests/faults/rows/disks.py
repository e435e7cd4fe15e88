"""The disk of the embedded stack is full, or loses its power."""

from __future__ import annotations

import time

from deploy.local import stack
from tests.faults.run import Fault, Run, call
from tests.faults.world import ClusterWorld

FULL_SECONDS = 20.0
LARGE_WRITES = 20


def disk_full(run: Run) -> None:
    """The disk is full for some seconds, under load."""
    disk = run.world.disk
    for _ in run.repeat():
        run.pause(2.0, 4.0)
        disk.fill()
        for _ in range(10):
            run.pause(0.3, 0.6)
            disk.refill()
            status, answer = call(f"{run.world.api}/v1/users/plain-1/recommendations")
            run.expect(status == 200, f"a read with a full disk got {status} {answer}")
        # A small write may fit into pages that a file has already; these do not.
        run.expect(
            any(_large_write(run) == 503 for _ in range(LARGE_WRITES)), "no large write was refused with a full disk"
        )
        disk.free()
        run.recover()


def _large_write(run: Run) -> int:
    """Returns the status of a request of some 800 KB."""
    event = {"type": "view", "user_id": "messy-1", "item_id": "i1", "properties": {"padding": "x" * 4_000}}
    return call(f"{run.world.collector}/v1/events", [event] * 200, 30)[0]


def servers_disk_full(run: Run) -> None:
    """The disk of Kafka and Redis is full for some seconds. What ends is started again, when there is space."""
    disk, world = run.world.disk, run.world
    assert isinstance(world, ClusterWorld)
    for _ in run.repeat():
        run.pause(2.0, 4.0)
        disk.fill()
        refused, until = run.clients.ledger.refused, time.monotonic() + FULL_SECONDS
        while time.monotonic() < until:
            run.pause(0.3, 0.6)
            disk.refill()
            status, answer = call(f"{world.api}/v1/users/plain-1/recommendations")
            run.expect(status == 200, f"a read with a full disk got {status} {answer}")
        run.expect(run.clients.ledger.refused > refused, "no write was refused while the disk was full")
        disk.free()
        ended = [one.server for one in stack.status(world.servers, ("kafka", "redis")) if one.state == "stopped"]
        run.notes.append(f"ended by the full disk: {', '.join(ended) or 'nothing'}")
        world.start_servers("kafka", "redis")
        run.recover()


def power_lost(run: Run) -> None:
    """What was not synced is lost: the file system stops at once, under load, and is mounted again."""
    disk, process = run.world.disk, run.world.processes[run.world.collecting]
    for _ in run.repeat():
        run.pause(1.0, 5.0)
        disk.lose_power()
        process.kill()
        disk.unmount()
        disk.mount()
        process.start()
        run.recover()


FAULTS = [
    Fault(
        3,
        "servers-disk-full",
        "the disk under Kafka and Redis is full",
        "events 503, reads answer; servers that ended are started again, everything else resumes by itself",
        servers_disk_full,
        repetitions=3,
        stacks=("cluster",),
        disk_mib=192,
    ),
    Fault(
        3,
        "disk-full",
        "the disk under log, signals and answers is full",
        "events 503, reads answer, everything resumes by itself",
        disk_full,
        repetitions=5,
        stacks=("embedded",),
        disk_mib=64,
    ),
    Fault(
        21,
        "power-lost",
        "the power fails: what was not synced is lost",
        "every acknowledged event is on the log",
        power_lost,
        repetitions=20,
        short={"embedded": 1},
        stacks=("embedded",),
        disk_mib=256,
    ),
]
