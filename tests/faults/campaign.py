"""Plays faults one after the other on one stack."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local import stack
from deploy.local.config import SERVERS, StackConfig
from tests.faults.built import cluster_world, embedded_world
from tests.faults.disk import CannotMount
from tests.faults.results import Row, console, show, write
from tests.faults.run import Fault, play
from tests.faults.world import World, own_stack


@dataclass
class Campaign:
    """Faults that need nothing of their own share one world, until one of them is not clean."""

    stack: str
    seed: int
    repetitions: int
    """0: as declared."""
    minutes: float
    results: Path | None
    """Folder of the results; None: they are not written."""

    def run(self, faults: list[Fault], folder: Path) -> list[str]:
        """Returns the names of the faults whose row is not clean."""
        failed: list[str] = []
        with self._servers(folder) as servers, contextlib.ExitStack() as opened:
            shared: World | None = None
            for number, fault in enumerate(each for each in faults if self.stack in each.stacks):
                console.print(f"{self.stack}: {fault.title} ...")
                site = folder / f"{number}-{fault.name}"
                site.mkdir()
                if servers is not None:
                    stack.start(servers, SERVERS)  # a fault that ended early may have left one of them dead
                try:
                    if fault.own_world:
                        with self._world(fault, site, servers) as world:
                            row = self._play(fault, world)
                    else:
                        shared = shared or opened.enter_context(self._world(fault, site, servers))
                        row = self._play(fault, shared)
                except CannotMount as error:
                    console.print(f"skipped: {error}")
                    continue
                if not row.clean:
                    failed.append(f"{fault.name} ({self.stack})")
                    opened.close()
                    shared = None
        return failed

    def _play(self, fault: Fault, world: World) -> Row:
        try:
            row = play(fault, world, self.seed, self.repetitions or fault.repetitions, 60 * self.minutes)
        except Exception as error:  # noqa: BLE001 - the other faults are played all the same
            console.print(traceback.format_exc(), markup=False)
            row = Row(fault.title, fault.must, fault.number, wrong=1, seed=self.seed, notes=[f"not judged: {error!r}"])
        show(row)
        if self.results is not None:
            write(fault.name, self.stack, [row], self.results)
        return row

    def _servers(self, folder: Path) -> contextlib.AbstractContextManager[StackConfig | None]:
        return own_stack(folder) if self.stack == "cluster" else contextlib.nullcontext()

    @contextlib.contextmanager
    def _world(self, fault: Fault, folder: Path, servers: StackConfig | None) -> Iterator[World]:
        if servers is None:
            with embedded_world(fault, folder) as world:
                yield world
        else:
            with cluster_world(fault, folder, servers) as world:
                yield world
