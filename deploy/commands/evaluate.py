"""``freshet evaluate``: algorithms side by side."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from deploy.commands.common import console, steps, table
from offline.compare import CompareReport, compare
from serving.config import RankingConfig


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Algorithms measured side by side.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("compare")(compare_)
    app.add_typer(group, name="evaluate")


def compare_(
    data: Annotated[Path, typer.Argument(help="A data set's folder.")],
    protocol: Annotated[
        Literal["ncf", "lightgcn"], typer.Option(help="ncf: the last item against 99 others; lightgcn: among all.")
    ] = "ncf",
    algorithms: Annotated[str, typer.Option(help="Comma-separated; all without it.")] = "",
    json: Annotated[Path | None, typer.Option(help="Also write the figures here.")] = None,
) -> None:
    """Train algorithms on a published split and print their figures beside the published ones."""
    names = [name.strip() for name in algorithms.split(",") if name.strip()]
    with steps() as show:
        report = compare(data, protocol, names, show, config_id=RankingConfig().config_id, commit=commit())
    _print(report)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
        console.print(f"Written to {json}.")


def commit() -> str:
    """The commit of this checkout, or unknown outside one."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    done = subprocess.run(
        [git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return done.stdout.strip() or "unknown"


def _print(report: CompareReport) -> None:
    found = [row.metrics for row in report.rows] + [row.metrics for row in report.published]
    names = list(dict.fromkeys(name for metrics in found for name in metrics))
    rows = [
        [row.name, *_figures(row.metrics, names), f"{row.seconds:.1f}", f"{row.peak_mib:.0f}"] for row in report.rows
    ]
    rows += [[f"{row.name} (published)", *_figures(row.metrics, names), "", ""] for row in report.published]
    table("algorithm", *names, "seconds", "peak MiB", rows=rows, title=f"{report.dataset}, protocol {report.protocol}")


def _figures(metrics: dict[str, float], names: list[str]) -> list[str]:
    return [f"{metrics[name]:.4f}" if name in metrics else "" for name in names]
