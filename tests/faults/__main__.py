"""Runs the fault table on real processes: ``python -m tests.faults --help``."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from tests.faults.built import cluster_world, embedded_world
from tests.faults.declared import faults
from tests.faults.disk import CannotMount
from tests.faults.results import FOLDER, console, show, write
from tests.faults.run import Fault, play
from tests.faults.world import own_stack

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
    chosen = [each for each in faults().values() if _chosen(each, fault)]
    seed = seed or int(time.time())
    failed: list[str] = []
    for name in STACKS if stack == "both" else (stack,):
        with tempfile.TemporaryDirectory(prefix="freshet-faults-") as folder:
            failed += _run_stack(name, chosen, Path(folder), seed, repetitions, minutes, results if keep else None)
    if failed:
        console.print(f"[red]not as promised[/red]: {', '.join(failed)}; run one again with --fault NAME --seed {seed}")
    sys.exit(bool(failed))


def _chosen(fault: Fault, named: list[str]) -> bool:
    return str(fault.number) in named or fault.name in named if named else not fault.alone


def _run_stack(
    stack: str, chosen: list[Fault], folder: Path, seed: int, repetitions: int, minutes: float, results: Path | None
) -> list[str]:
    """Returns the names of the faults whose row is not clean."""
    failed = []
    with own_stack(folder) if stack == "cluster" else tempfile.TemporaryDirectory() as servers:
        for fault in (each for each in chosen if stack in each.stacks):
            site = folder / fault.name
            site.mkdir()
            console.print(f"{stack}: {fault.title} ...")
            world = cluster_world(fault, site, servers) if stack == "cluster" else embedded_world(fault, site)
            try:
                with world as built:
                    row = play(fault, built, seed, repetitions or fault.repetitions, 60 * minutes)
            except CannotMount as error:
                console.print(f"skipped: {error}")
                continue
            show(row)
            if results is not None:
                write(fault.name, stack, [row], results)
            if not row.clean:
                failed.append(f"{fault.name} ({stack})")
    return failed


if __name__ == "__main__":
    typer.run(main)
