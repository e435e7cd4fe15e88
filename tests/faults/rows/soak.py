"""Steady load for a long time: memory, files and connections stay flat."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from tests.bench.system import rss_mib
from tests.faults.charts import draw
from tests.faults.run import Fault, Run

SAMPLE_SECONDS = 5.0
GROWTH = 1.10
"""Largest mean of the last quarter, as a share of that of the second quarter."""
FEW_FILES = 16
"""Files and connections that may come and go."""


class Sample(NamedTuple):
    """One process at one moment."""

    minutes: float
    memory_mib: float
    files: int
    connections: int


def soak(run: Run) -> None:
    """Load until the time is over; each process is looked at every five seconds."""
    began = time.monotonic()
    samples: dict[str, list[Sample]] = {name: [] for name in run.world.processes}
    while time.monotonic() < run.until:
        time.sleep(SAMPLE_SECONDS)
        for name, process in run.world.processes.items():
            samples[name].append(_sample(process.pid, (time.monotonic() - began) / 60))
    run.repetitions = 1
    minutes = (time.monotonic() - began) / 60
    rate, reads = len(run.clients.ledger.acknowledged) / minutes / 60, run.clients.ledger.reads / minutes / 60
    run.notes.append(f"{minutes:.0f} minutes with {rate:.0f} events/s and {reads:.0f} answers/s")
    for name, found in samples.items():
        for quantity in ("memory_mib", "files", "connections"):
            _expect_flat(run, name, quantity, [getattr(one, quantity) for one in found])
    draw(samples, run.world.stack, f"{rate:.0f} events/s, {reads:.0f} answers/s")


def _sample(pid: int, minutes: float) -> Sample:
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except OSError:
            continue
    sockets = sum(link.startswith("socket:") for link in links)
    return Sample(minutes, rss_mib(pid), len(links) - sockets, sockets)


def _expect_flat(run: Run, name: str, quantity: str, values: list[float]) -> None:
    quarter = len(values) // 4
    if not quarter:
        return
    second, last = fmean(values[quarter : 2 * quarter]), fmean(values[-quarter:])
    flat = last <= second * GROWTH or (quantity != "memory_mib" and last <= second + FEW_FILES)
    run.expect(flat, f"{name}: {quantity} rose from {second:.0f} to {last:.0f}")
    run.notes.append(f"{name}: {quantity} {second:.0f} in the second quarter, {last:.0f} in the last")


FAULTS = [
    Fault(
        20,
        "soak",
        "steady load: 1,000 events/s and 200 answers/s",
        "memory, files and connections stay flat",
        soak,
        alone=True,
        traffic={"events_per_second": 1_000.0, "reads_per_second": 200.0, "batch": 20, "users": 3_000, "readers": 8},
    ),
]
