"""``freshet signals verify``, ``freshet rebuild signals``: whether the store holds what the log says, and mending it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from adapters.registry import adapter
from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, errors, open_existing, settings_for, table
from deploy.config import CommandSettings
from deploy.wiring.training import BY_HAND, jobs_of
from nearline.recovery.rebuild import rebuild as rebuild_signals
from nearline.recovery.verify import SignalCheck, VerifyReport
from nearline.recovery.verify import verify as verify_signals
from nearline.recovery.whole_log import WholeLog
from offline.jobs.runs import recorded
from schemas.erasures import REBUILT, encode_times, rebuilds_due
from schemas.ports import LogReader
from schemas.snapshots import delete_snapshots


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What nearline keeps.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(verify)
    app.add_typer(group, name="signals")
    rebuilding = typer.Typer(help="Fold anew what is derived from the log.", no_args_is_help=True)
    rebuilding.callback()(lambda: None)
    rebuilding.command("signals")(rebuild)
    app.add_typer(rebuilding, name="rebuild")


def verify(data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Fold the log again and compare every stored value with the result; exit code 1 where one differs."""
    with open_existing(data, stack) as dependencies, errors.status("Folding the log ..."):
        report = verify_signals(WholeLog(dependencies.reader, dependencies.archive), dependencies.signals)
        behind = _behind(dependencies.reader, report)
    if behind:
        console.print(f"[yellow]The signals are {behind:,} records behind the log[/yellow]; `freshet up` folds them.")
    wrong = [check for check in report.checks if not check.equal]
    if not wrong:
        console.print(f"{report.values:,} values, all equal to a single-threaded fold of the log.")
        if report.passivated:
            console.print(
                f"The checksums of {report.passivated:,} values of idle guests, which were let go, are equal too."
            )
        return
    _print_wrong(wrong)
    raise typer.Exit(1)


def rebuild(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    if_due: Annotated[
        bool,
        typer.Option("--if-due", help="Only if the log has removed records of erased people since the last rebuild."),
    ] = False,
    reason: Annotated[str, typer.Option(hidden=True)] = BY_HAND,
) -> None:
    """Fold archive and log beside the stored signals, compare byte for byte, and replace the partitions that differ.

    Snapshots of replaced partitions are removed. It may run under traffic: a replaced partition continues after its last record by itself. Exit code 1 if a partition could not be compared.
    """
    if if_due and not _is_due(data, stack):
        console.print("No rebuild is due.")
        return
    checks: list[SignalCheck] = []
    replaced: list[SignalCheck] = []
    with (
        open_existing(data, stack) as dependencies,
        errors.status("Folding archive and log ..."),
        recorded(jobs_of(dependencies), "rebuild", reason) as run,
    ):
        began, reader = time.time(), WholeLog(dependencies.reader, dependencies.archive)
        for rebuilt in rebuild_signals(reader, dependencies.signals):
            checks.extend(rebuilt.checks)
            replaced += [rebuilt.checks[0]] if rebuilt.replaced else []
        if dependencies.snapshots is not None:  # they hold what the fold does not
            for of in replaced:
                delete_snapshots(dependencies.snapshots, of.topic, of.partition)
        if replaced:
            _rewrite_files(settings_for(data, stack))
        run.say("done", f"{len(replaced)} partitions were replaced")
        if not any(check.problem for check in checks):
            dependencies.documents.write(REBUILT, encode_times([began]))
    wrong = [check for check in checks if not check.equal]
    values, differences = sum(check.values for check in checks), sum(check.differences for check in checks)
    if wrong:
        _print_wrong(wrong)
    result = f"{len(replaced)} partitions were replaced" if replaced else "nothing was replaced"
    counts = f"{values:,} stored values compared with a fold of archive and log: {differences:,} differ"
    console.print(f"{counts}; {result}.", highlight=False, soft_wrap=True)
    if any(check.problem for check in checks):
        raise typer.Exit(1)


def _is_due(data: Path, stack: StackName) -> bool:
    with open_existing(data, stack) as dependencies:
        return rebuilds_due(dependencies.documents, time.time()) > 0


def _rewrite_files(settings: CommandSettings) -> None:
    """Has the store of signals write its files anew, without the values that were replaced."""
    address = settings.signals_address
    if not adapter(address).scrub(address, ()):
        errors.print("The store of signals did not write its files anew: they hold replaced values until it does.")


def _print_wrong(wrong: Sequence[SignalCheck]) -> None:
    rows = [
        [
            f"{check.signal} {check.partition}",
            str(check.values),
            check.problem or f"{check.differences} differ, such as {', '.join(check.differing)}",
        ]
        for check in wrong
    ]
    table("signal", "values", "what is wrong", rows=rows)


def _behind(reader: LogReader, report: VerifyReport) -> int:
    """Records that some signal of their partition has not applied."""
    unapplied: dict[tuple[str, int], int] = {}
    for check in report.checks:
        _, end = reader.bounds(check.topic, check.partition)
        applied = check.fence.offset if check.fence else -1
        partition_key = check.topic, check.partition
        unapplied[partition_key] = max(unapplied.get(partition_key, 0), end - 1 - applied)
    return sum(unapplied.values())
