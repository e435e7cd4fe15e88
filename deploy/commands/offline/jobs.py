"""``freshet jobs``: what ran, why, how far it is, and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, open_existing, steps
from deploy.wiring.training import BY_HAND, jobs_of
from offline.jobs import drift_job
from offline.jobs.runs import KEPT, recorded, seen
from schemas.errors import JobUnknown
from schemas.offline.jobs import Run


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What ran by itself or by hand, and how it ended.", no_args_is_help=True)
    group.command("list")(list_runs)
    group.command()(show)
    group.command()(drift)
    app.add_typer(group, name="jobs")


def list_runs(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    count: Annotated[int, typer.Option(help="How many, the newest first.", min=1, max=KEPT)] = 20,
) -> None:
    """List runs, newest first: when each began, how it ended or how far it is, and why it ran."""
    with open_existing(data, stack) as dependencies:
        runs = seen(jobs_of(dependencies), count)
    if not runs:
        console.print("Nothing has run yet; `freshet train` or `freshet schedule` does.")
    for run in runs:
        typer.echo(f"{run.run_id}  {_state(run)}  ({run.reason})")


def show(
    run_id: Annotated[str, typer.Argument(help="A run, as `list` shows it, or how only one begins.")],
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
) -> None:
    """Show a run's record as JSON."""
    with open_existing(data, stack) as dependencies:
        runs = [run for run in dependencies.runs.runs(KEPT) if run.run_id.startswith(run_id)]
    if len(runs) != 1:
        how = "more than one run begins" if runs else "no run begins"
        raise JobUnknown(f"{how} with '{run_id}': `freshet jobs list` shows them")
    console.print_json(msgspec.json.encode(runs[0]).decode())


def drift(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    reason: Annotated[str, typer.Option(hidden=True)] = BY_HAND,
) -> None:
    """Compare what happens now with what the active version was trained on; the schedule trains where it has drifted."""
    with open_existing(data, stack) as dependencies, steps() as progress:
        now = datetime.now(UTC)
        with recorded(jobs_of(dependencies), "drift", reason, show=progress) as running:
            report = drift_job.watch(dependencies.archive, dependencies.models, dependencies.documents, running, now)
            summary = "there is no model yet" if report is None else "; ".join(report.reasons) or "nothing has drifted"
            running.say("done", summary)
    for name, value in () if report is None else report.observed.items():
        console.print(f"  {name} {value:.3f}")
    console.print(summary)


def _state(run: Run) -> str:
    """How a run ended, or how far it is."""
    if run.outcome == "running":
        how_far = f" {run.done:,} of {run.total:,}" if run.total else ""
        return f"running: {run.step or 'begins'}{how_far}"
    took = 0.0 if run.finished_at is None else (run.finished_at - run.started_at).total_seconds()
    return "; ".join([f"{run.outcome} in {took:.0f} s: {run.message}", *run.unexported])
