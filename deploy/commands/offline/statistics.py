"""``freshet statistics``: best rated, most viewed, rising."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import pyarrow.parquet as pq
import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, open_existing, steps, table
from deploy.config import CommandSettings
from deploy.wiring.rating_scale import with_noted_scale
from deploy.wiring.training import BY_HAND, jobs_of
from offline.jobs.runs import recorded
from offline.statistics import statistics as made
from schemas.configuration.settings import read_settings
from schemas.offline.statistics import EVERY, Period, RankedItem, Statistics
from schemas.values.rating_scale import scale_of

_HEADS = {"best-rated": "Best rated", "most-viewed": "Most viewed", "rising": "Rising"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(statistics)


def statistics(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    period: Annotated[Period, typer.Option(help="Counted back from the newest archived event.")] = "month",
    category: Annotated[str, typer.Option(help="One category; all without it.")] = EVERY,
    count: Annotated[int, typer.Option(help="Items of each table.", min=1, max=100)] = 10,
    json: Annotated[Path | None, typer.Option(help="Write every table here as JSON.", dir_okay=False)] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write every table here as Parquet.", dir_okay=False)] = None,
    reason: Annotated[str, typer.Option(hidden=True)] = BY_HAND,
) -> None:
    """Count what is archived, publish it for `/statistics` and `/v1/statistics`, and show a part of it."""
    with ExitStack() as opened:
        dependencies, show = opened.enter_context(open_existing(data, stack)), opened.enter_context(steps())
        scale = scale_of(with_noted_scale(read_settings(CommandSettings), dependencies.documents).rating_scale)
        running = opened.enter_context(recorded(jobs_of(dependencies), "statistics", reason, show=show))
        tables, ratings = made.counted(dependencies.archive, time.time(), running.progress, scale)
        made.publish(dependencies.documents, tables, ratings)
        running.say("done", f"{len(tables)} tables")
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(tables)))
    if parquet is not None:
        pq.write_table(made.as_arrow(tables), parquet)
    for statistics_table, items in made.selected(tables, period, category):
        _show(statistics_table, items[:count], category)


def _show(statistics_table: Statistics, items: list[RankedItem], category: str) -> None:
    title = f"{_HEADS[statistics_table.kind]}, {statistics_table.period}{f', {category}' if category else ''}"
    if not items:
        console.print(f"{title}: nothing in this period.")
        return
    rows = [[item.title or item.item_id, *(f"{value:,.4g}" for value in item.figures.values())] for item in items]
    table("item", *items[0].figures, rows=rows, title=title)
    prior = statistics_table.priors.get(category)
    if prior is not None:
        console.print(f"Each begins with {prior.ratings:g} ratings of {prior.mean:.2f}, the mean of all.")
