"""A training dies half-way; two publishers race for the pointer."""

from __future__ import annotations

import subprocess
import threading
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np

from models.popularity import Popularity
from schemas.errors import PointerMoved
from schemas.offline.manifest import DataWindow, Manifest
from tests.faults.run import Fault, Run, call
from tests.faults.world import ROOT

SERVED_SECONDS = 10.0


def killed_training(run: Run) -> None:
    """Kill trainings at random moments of their time; the old version is served, and the next run begins at once."""
    run.pause(5.0, 6.0)
    began = time.monotonic()
    with run.preparing():
        done = run.world.freshet("train", "--force")
    longest = time.monotonic() - began
    run.expect(done.returncode == 0, f"the first training: {done.stdout[-500:]}{done.stderr[-500:]}")
    with run.world.opened() as dependencies:
        for _ in run.repeat():
            active = dependencies.models.active()
            training = _begin(run)
            run.pause(0.2 * longest, longest)
            training.kill()
            training.wait()
            version = dependencies.models.active()
            run.expect(version is not None and dependencies.models.manifest(version), "the active version is not whole")
            _expect_served(run, version)
            if version != active:
                run.notes.append("one training had published before it was killed")
        _expect_clean_run(run)
        _expect_one_winner(run, dependencies.models)


def _begin(run: Run) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        run.world.command("train", "--force"),
        cwd=ROOT,
        env=run.world.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _expect_served(run: Run, version: str | None) -> None:
    def served() -> bool:
        status, answer = call(f"{run.world.api}/v1/users/plain-1/recommendations")
        return status == 200 and answer["model_version"] == version

    run.world.wait_until(served, SERVED_SECONDS, f"{version} is served")


def _expect_clean_run(run: Run) -> None:
    began = time.monotonic()
    while (done := run.world.freshet("train", "--force")).returncode:
        if time.monotonic() - began > 200:
            run.expect(False, f"the next training: {done.stdout[-500:]}{done.stderr[-500:]}")
            return
        time.sleep(1.0)
    waited = time.monotonic() - began
    run.notes.append(f"the training after the killed ones was done after {waited:.1f} s, refusals included")


def _expect_one_winner(run: Run, models: Any) -> None:
    """Two publishers hold the same active version, and set the pointer at the same moment."""
    before, outcomes = models.active(), []
    barrier = threading.Barrier(2)

    def publish(number: int) -> None:
        with run.world.opened() as dependencies:
            version = f"race-{number}-{run.random.getrandbits(32):x}"
            value = Popularity(("plain-1",), np.ones(1, np.float32))
            dependencies.models.write(small_manifest(version, value.kind), {value.kind: value.save()}, {})
            barrier.wait(60)
            try:
                dependencies.models.activate(version, before)
                outcomes.append(version)
            except PointerMoved:
                outcomes.append(None)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    winners = [version for version in outcomes if version is not None]
    run.expect(len(outcomes) == 2, f"one publisher did not end: {outcomes}")
    run.expect(len(winners) == 1, f"{len(winners)} publishers won")
    run.expect(models.active() in winners, f"{models.active()} is active, not that of the winner")
    _expect_served(run, models.active())


def small_manifest(version: str, value: str) -> Manifest:
    """The manifest of a version with one small value."""
    return Manifest(
        version=version,
        created_at=datetime.now(UTC),
        algorithm="popularity",
        engine="single",
        parameters={},
        window=DataWindow(interactions=1, users=1, items=1),
        offsets={},
        values=(value,),
        lists={},
    )


FAULTS = [
    Fault(
        15,
        "training-killed",
        "a training is killed half-way; two publishers race",
        "the old model is served, one winner, no mixture, the next run is clean",
        killed_training,
        repetitions=5,
    ),
]
