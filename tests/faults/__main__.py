"""Runs the fault table on real processes: ``python -m tests.faults --help``."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from tests.faults.campaign import Campaign
from tests.faults.declared import faults
from tests.faults.results import FOLDER, console
from tests.faults.run import Fault

STACKS = ("embedded", "cluster")


def main(
    fault: Annotated[list[str], typer.Option(help="Number or name; may be repeated. All by default.")] = [],  # noqa: B006
    stack: Annotated[str, typer.Option(help="embedded, cluster or both.")] = "both",
    seed: Annotated[int, typer.Option(help="Seed of traffic and faults; a failing one is printed.")] = 0,
    repetitions: Annotated[int, typer.Option(help="0: as declared.")] = 0,
    minutes: Annotated[float, typer.Option(help="Longest time for the repetitions of one fault.")] = 10.0,
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = FOLDER,
    keep: Annotated[bool, typer.Option(help="Write the results.")] = True,
) -> None:
    """Break real processes under traffic, and compare what is stored with what was acknowledged."""
    # As with Ctrl-C, what was started is ended all the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = _chosen(fault)
    seed = seed or int(time.time())
    failed: list[str] = []
    for name in STACKS if stack == "both" else (stack,):
        with tempfile.TemporaryDirectory(prefix="freshet-faults-") as folder:
            campaign = Campaign(name, seed, repetitions, minutes, results if keep else None)
            failed += campaign.run(chosen, Path(folder))
    if failed:
        console.print(f"[red]not as promised[/red]: {', '.join(failed)}; run one again with --fault NAME --seed {seed}")
    sys.exit(bool(failed))


def _chosen(named: list[str]) -> list[Fault]:
    """The named faults in the order of their names; all that do not stand alone, without a name."""
    if not named:
        return [fault for fault in faults().values() if not fault.alone]
    return [fault for name in named for fault in faults().values() if name in {str(fault.number), fault.name}]


if __name__ == "__main__":
    typer.run(main)
