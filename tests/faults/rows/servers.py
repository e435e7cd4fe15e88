"""All servers are gone at once, and come back in any order."""

from __future__ import annotations

import time
from contextlib import suppress

from deploy.local.config import SERVERS
from deploy.local.errors import NotRunning
from tests.faults.run import Fault, Run, call
from tests.faults.world import ClusterWorld

GONE_SECONDS = 30.0
"""Longer than a process may wait at its start before somebody could call it dead."""


def all_servers_dead(run: Run) -> None:
    """Every server dies and comes back. In every second repetition all processes start meanwhile, before any server."""
    assert isinstance(run.world, ClusterWorld)
    for number in run.repeat():
        run.pause(2.0, 4.0)
        pids = {name: process.pid for name, process in run.world.processes.items()}
        for server in SERVERS:
            with suppress(NotRunning):
                run.world.kill_server(server)
        if number % 2:
            pids = _start_again(run)
        time.sleep(GONE_SECONDS)
        _expect_degraded(run)
        for server in run.random.sample(SERVERS, len(SERVERS)):
            run.world.start_servers(server)
            run.pause(0.0, 3.0)
        with suppress(TimeoutError):
            run.recover()
        for name, process in run.world.processes.items():
            run.expect(process.alive() and process.pid == pids[name], f"{name} ended and needed a restart")
            if not process.alive():
                process.start()
        if number + 1 > len(run.recoveries):
            run.recover()


def _start_again(run: Run) -> dict[str, int]:
    for process in run.world.processes.values():
        process.kill()
    for name in run.random.sample(sorted(run.world.processes), len(run.world.processes)):
        run.world.processes[name].start()
    return {name: process.pid for name, process in run.world.processes.items()}


def _expect_degraded(run: Run) -> None:
    status, answer = call(f"{run.world.api}/v1/users/probe/recommendations")
    run.expect(
        status == 200 and answer["degraded"], f"a read without servers got {status}, degraded: {answer.get('degraded')}"
    )
    status, _ = call(f"{run.world.collector}/v1/events", {"type": "view", "user_id": "probe", "item_id": "probe"}, 30)
    run.expect(status == 503, f"a write without servers got {status} instead of 503")


FAULTS = [
    Fault(
        16,
        "all-servers-dead",
        "all servers are dead, then come back in any order; every second time, all processes start before them",
        "reads 200 and `degraded`, events 503, healing without a restart",
        all_servers_dead,
        repetitions=4,
        stacks=("cluster",),
    ),
]
