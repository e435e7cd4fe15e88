"""Runs the fault table on real processes: ``python -m tests.faults --help``."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from tests.faults.declared import faults
from tests.faults.results import Row, console, show, write
from tests.faults.run import Fault, play
from tests.faults.world import ClusterWorld, EmbeddedWorld, World, own_stack

STACKS = ("embedded", "cluster")


def main(
    fault: Annotated[list[str], typer.Option(help="Number or name; may be repeated. All by default.")] = [],  # noqa: B006
    stack: Annotated[str, typer.Option(help="embedded, cluster or both.")] = "both",
    seed: Annotated[int, typer.Option(help="Seed of traffic and faults; a failing one is printed.")] = 0,
    repetitions: Annotated[int, typer.Option(help="0: as declared.")] = 0,
    minutes: Annotated[float, typer.Option(help="Longest time for the repetitions of one fault.")] = 10.0,
    keep: Annotated[bool, typer.Option(help="Write the results to tests/faults/results.")] = True,
) -> None:
    """Break real processes under traffic, and compare what is stored with what was acknowledged."""
    chosen = [each for each in faults().values() if not fault or str(each.number) in fault or each.name in fault]
    seed = seed or int(time.time())
    failed: list[str] = []
    for name in STACKS if stack == "both" else (stack,):
        with tempfile.TemporaryDirectory(prefix="freshet-faults-") as folder:
            failed += _run_stack(name, chosen, Path(folder), seed, repetitions, minutes, keep=keep)
    if failed:
        console.print(f"[red]not as promised[/red]: {', '.join(failed)}; run one again with --fault NAME --seed {seed}")
    sys.exit(bool(failed))


def _run_stack(
    stack: str, chosen: list[Fault], folder: Path, seed: int, repetitions: int, minutes: float, *, keep: bool
) -> list[str]:
    """Returns the names of the faults whose row is not clean."""
    failed = []
    with own_stack(folder) if stack == "cluster" else tempfile.TemporaryDirectory() as servers:
        for fault in (each for each in chosen if stack in each.stacks):
            site = folder / fault.name
            site.mkdir()
            world: World = ClusterWorld(servers, site) if stack == "cluster" else EmbeddedWorld(site)
            row = _row(fault, world, seed, repetitions or fault.repetitions, minutes)
            show(row)
            if keep:
                write(fault.name, stack, [row])
            if not row.clean:
                failed.append(f"{fault.name} ({stack})")
    return failed


def _row(fault: Fault, world: World, seed: int, repetitions: int, minutes: float) -> Row:
    console.print(f"{world.stack}: {fault.title} ...")
    try:
        return play(fault, world, seed, repetitions, 60 * minutes)
    finally:
        world.close()


if __name__ == "__main__":
    typer.run(main)
