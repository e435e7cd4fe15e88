"""``freshet signals``: whether the store holds what the log says."""

from __future__ import annotations

import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, errors, open_existing, table
from nearline.verify import VerifyReport
from nearline.verify import verify as verify_signals
from schemas.ports import LogReader


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What nearline keeps.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(verify)
    app.add_typer(group, name="signals")


def verify(data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Fold the log again and compare every stored value with the result; exit code 1 where one differs."""
    with open_existing(data, stack) as dependencies, errors.status("Folding the log ..."):
        report = verify_signals(dependencies.reader, dependencies.signals)
        behind = _behind(dependencies.reader, report)
    if behind:
        console.print(f"[yellow]The signals are {behind:,} records behind the log[/yellow]; `freshet up` folds them.")
    wrong = [check for check in report.checks if not check.equal]
    if not wrong:
        console.print(f"{report.values:,} values, all equal to a single-threaded fold of the log.")
        return
    rows = [
        [
            f"{check.signal} {check.partition}",
            str(check.values),
            check.problem or f"{check.differences} differ, such as {', '.join(check.differing)}",
        ]
        for check in wrong
    ]
    table("signal", "values", "what is wrong", rows=rows)
    raise typer.Exit(1)


def _behind(reader: LogReader, report: VerifyReport) -> int:
    """Records that some signal of their partition has not applied."""
    unapplied: dict[tuple[str, int], int] = {}
    for check in report.checks:
        _, end = reader.bounds(check.topic, check.partition)
        applied = check.fence.offset if check.fence else -1
        partition_key = check.topic, check.partition
        unapplied[partition_key] = max(unapplied.get(partition_key, 0), end - 1 - applied)
    return sum(unapplied.values())
