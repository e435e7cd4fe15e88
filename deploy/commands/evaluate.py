"""``freshet evaluate``: algorithms side by side, and their parameters searched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import typer
from rich.markup import escape

from deploy.commands.common import console, steps, table
from deploy.commands.evaluation.interactions import read_interactions
from deploy.commands.evaluation.options import DataSet, Mapping, Threads, commit
from deploy.commands.evaluation.replay import replay_
from deploy.commands.file_options import with_file_options
from deploy.commands.importing import show_counts, show_form
from ingest.import_pipeline.formats.dialect import FOUND_OUT, FileOptions
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import recognise
from offline.data.archive import Progress
from offline.evaluation.compare import QUICK, CompareReport, Plan, compare_on, wanted
from offline.evaluation.protocols import PUBLISHED, SplitOptions, load, recognised, split
from offline.evaluation.run_algorithm import ComparisonRow
from offline.evaluation.task import Task
from offline.training.registry import algorithm
from schemas.errors import ConfigurationInvalid
from serving.ranking.defaults import default_config

Protocol = Literal["auto", "ncf", "lightgcn", "sessions", "time", "leave-last", "users"]
How = Annotated[
    Protocol,
    typer.Option(
        help="ncf, lightgcn, sessions: the published splits. time: what came after a moment. leave-last: each person's"
        " last items. users: people never met in training. auto: the published split where there is one, else time."
    ),
]
Share = Annotated[float, typer.Option(help="Of interactions (time) or people (users) that is the test.")]
Last = Annotated[int, typer.Option(help="Items of each person that are held out (leave-last).", min=1, max=4)]

_UNNAMED: Final = f"Comma-separated, or all; without it {', '.join(QUICK)}, or a published split's own."
_WIDE: Final = 5
"""Algorithms that a table by segment has room for."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Algorithms measured side by side, their parameters searched.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("compare")(compare_)
    group.command("tune")(tune_)
    group.command("replay")(replay_)
    app.add_typer(group, name="evaluate")


@with_file_options
def compare_(
    data: DataSet,
    protocol: How = "auto",
    algorithms: Annotated[str, typer.Option(help=_UNNAMED)] = "",
    parameters: Annotated[Path | None, typer.Option(help='JSON: {"als": {"factors": 128}}; as tune writes it.')] = None,
    segments: Annotated[bool, typer.Option("--segments", help="Also by kinds of people and items.")] = False,
    curves: Annotated[str, typer.Option(help="Algorithms to draw a learning curve of.")] = "",
    json: Annotated[Path | None, typer.Option(help="Also write the figures here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report with charts here.")] = None,
    mapping: Mapping = "",
    files: FileOptions = FOUND_OUT,
    share: Share = 0.2,
    last: Last = 1,
    threads: Threads = 0,
) -> None:
    """Train algorithms, ask each the test once, and print their figures beside the published ones."""
    plan = Plan(
        names=_names(algorithms),
        parameters=_read_parameters(parameters),
        segments=segments or html is not None,
        curves=_names(curves),
        threads=threads,
        config_id=default_config().config_id,
        commit=commit(),
    )
    wanted(plan)
    with steps() as show, _task(data, protocol, mapping, files, SplitOptions(share=share, last=last), show) as task:
        report = compare_on(task, plan, show)
    _print(report, by_segment=segments)
    _write(report, json, html)


@with_file_options
def tune_(
    data: DataSet,
    name: Annotated[str, typer.Option("--algorithm", help="What to search parameters for.")],
    trials: Annotated[int, typer.Option(help="Sets of parameters in all, with those of earlier runs.", min=1)] = 20,
    study: Annotated[Path | None, typer.Option(help="A file to keep the search in; run again, it goes on.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the best parameters here, for compare --parameters.")] = None,
    protocol: How = "auto",
    mapping: Mapping = "",
    files: FileOptions = FOUND_OUT,
    seed: Annotated[int, typer.Option(help="Which people are the validation slice.")] = 0,
    share: Share = 0.2,
    last: Last = 1,
    threads: Threads = 0,
) -> None:
    """Search an algorithm's parameters on a slice of the training part; the test is not touched."""
    from offline.evaluation.tuning import tune

    using = algorithm(name)
    with steps() as show, _task(data, protocol, mapping, files, SplitOptions(share=share, last=last), show) as task:
        study_result = tune(task.part, using, task.goal, trials, study, seed=seed, threads=threads, progress=show)
    rows = [
        [str(trial.number), _text(trial.parameters), trial.failed or f"{trial.value:.4f}", f"{trial.seconds:.1f}"]
        for trial in sorted(study_result.trials, key=lambda trial: -(trial.value or 0.0))
    ]
    table("trial", "parameters", study_result.metric, "seconds", rows=rows, title=f"{name} on {study_result.slice}")
    if study_result.best is None:
        raise ConfigurationInvalid(f"no set of parameters of {name} could be trained on this data: see the table")
    console.print(f"Best: {_text(study_result.best.parameters)}", markup=False)
    if json is not None:
        json.write_bytes(
            msgspec.json.format(msgspec.json.encode(_read_parameters(json) | {name: study_result.best.parameters}))
        )
        console.print(f"Written to {json}: `freshet evaluate compare {data} --parameters {json}`", markup=False)
    else:
        console.print("With --json FILE they are written for `freshet evaluate compare --parameters FILE`.")


@contextmanager
def _task(
    data: Path, protocol: Protocol, mapping: str, files: FileOptions, options: SplitOptions, progress: Progress
) -> Iterator[Task]:
    chosen = (recognised(data) if protocol == "auto" and not mapping else None) or protocol
    if chosen in PUBLISHED:
        yield load(data, chosen)
        return
    importer = recognise(data, parse_map(mapping) if mapping else None, options=files)
    show_form(importer)
    with read_interactions(importer, progress, show_counts, _warn) as interactions:
        yield split(
            interactions, ("time" if interactions.timed else "leave-last") if chosen == "auto" else chosen, options
        )


def _warn(sentence: str) -> None:
    console.print(f"[yellow]{escape(sentence)}[/yellow]", highlight=False, soft_wrap=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _read_parameters(path: Path | None) -> dict[str, dict[str, Any]]:
    """Parameters by algorithm; none where there is no such file yet."""
    if path is None or not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    except msgspec.DecodeError as error:
        raise ConfigurationInvalid(f'{path} is not JSON like {{"als": {{"factors": 128}}}}: {error}') from error


def _write(report: CompareReport, json: Path | None, html: Path | None) -> None:
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
        console.print(f"Written to {json}.")
    if html is not None:
        from offline.evaluation.report import page

        html.write_text(page(report), encoding="utf-8")
        console.print(f"Written to {html}.")


def _print(report: CompareReport, *, by_segment: bool) -> None:
    shown = report.headline
    ours = [[row.name, *_figures(row, shown), f"{row.seconds:.1f}", f"{row.peak_mib:.0f}"] for row in report.rows]
    theirs = [
        [f"{row.name} (published)", *(_figure(row.metrics.get(name)) for name in shown), "", ""]
        for row in report.published
    ]
    title = f"{report.dataset}, protocol {report.protocol}, {report.questions:,} questions"
    table("algorithm", *shown, "seconds", "peak MiB", rows=ours + theirs, title=title)
    for row in report.rows:
        if row.failed:
            console.print(f"{row.name} has no figures: {row.failed}", markup=False, soft_wrap=True)
    for subject, note in report.notes.items():
        console.print(f"{subject}: {note}", markup=False, soft_wrap=True)
    _print_differences(report)
    if by_segment:
        _print_segments(report)


def _print_differences(report: CompareReport) -> None:
    rows = [
        [
            f"{difference.name} − {difference.other}",
            f"{difference.difference:+.4f}",
            f"{difference.low:+.4f} to {difference.high:+.4f}",
            f"{difference.p:.3f}",
        ]
        for difference in report.differences
    ]
    if rows:
        title = f"{report.headline[0]}, the same questions asked of both"
        table("the best against", "difference", "95 % interval", "p (Holm)", rows=rows, title=title)


def _print_segments(report: CompareReport) -> None:
    metric = report.headline[0]
    best = sorted((row for row in report.rows if row.segments), key=lambda row: -row.metrics[metric])[:_WIDE]
    if not best:
        return
    rows = [
        [name, f"{segment.questions:,}", *(_figure(row.segments[name].metrics[metric]).lstrip("0") for row in best)]
        for name, segment in best[0].segments.items()
    ]
    title = f"{metric} by segment" + (
        f", the best {_WIDE}; --json and --html have all" if len(report.rows) > _WIDE else ""
    )
    table("segment", "asked", *(row.name for row in best), rows=rows, title=title)


def _figures(row: ComparisonRow, names: tuple[str, ...]) -> list[str]:
    """Each metric with half the width of its interval."""
    figures = []
    for name in names:
        low, high = row.intervals.get(name, (0.0, 0.0))
        figures.append(f"{_figure(row.metrics[name])} ±{(high - low) / 2:.4f}" if name in row.metrics else "")
    return figures


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _text(parameters: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in parameters.items()
    )
