"""``freshet evaluate replay``: a recorded stream through the whole system, each event predicted before it is known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from deploy.commands.common import console, steps, table
from deploy.commands.evaluation.options import DataSet, Mapping, Threads, commit
from deploy.commands.file_options import with_file_options
from deploy.commands.importing import show_counts, show_form
from deploy.wiring.rating_scale import scale_of_data
from ingest.config import IngestSettings
from ingest.import_pipeline.formats.dialect import FOUND_OUT, FileOptions
from ingest.import_pipeline.run import Imported
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import recognise
from ingest.main import site_policy
from offline.config import OfflineSettings
from offline.jobs.options import options_of
from replay.evaluate import BATCH, DELAYS, ReplayOptions, ReplayRow, replay
from replay.stream import REPLAY_RULES, ReplayRules, stream
from replay.training import Trainer
from schemas.configuration.settings import read_settings
from schemas.errors import ConfigurationInvalid
from serving.config import Settings
from signals.decay import DAY

_VARIANTS: Final = (BATCH, *DELAYS)


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found."""

    dataset: str
    protocol: str
    config_id: str
    commit: str
    rows: list[ReplayRow]


@with_file_options
def replay_(
    data: DataSet,
    mapping: Mapping = "",
    files: FileOptions = FOUND_OUT,
    limit: Annotated[int | None, typer.Option(help="Only so many events, the earliest.", min=1)] = None,
    variants: Annotated[
        str, typer.Option(help=f"Comma-separated, or none; {', '.join(_VARIANTS)} without it.")
    ] = ",".join(_VARIANTS),
    ask: Annotated[
        float, typer.Option(help="Share of the questions that the live system is asked.", min=0, max=1)
    ] = 1.0,
    sample: Annotated[float, typer.Option(help="Share of the questions that variants are asked.")] = 0.1,
    weigh: Annotated[
        float, typer.Option(help="Share of the events that weights of sources are learned from.", min=0, max=1)
    ] = 0.3,
    retrain_days: Annotated[float, typer.Option(help="Models are trained anew after so many days,", min=0)] = 1.0,
    retrain_share: Annotated[float, typer.Option(help="and so much of the stream.")] = 0.02,
    seed: Annotated[int, typer.Option(help="Which questions are the sample.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Also write the figures here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with a chart here.")] = None,
    threads: Threads = 0,
) -> None:
    """Play a data set's events in time order, ask for each person's list before each, and score what then happened."""
    importer = recognise(data, parse_map(mapping) if mapping else None, options=files)
    show_form(importer)
    rules = REPLAY_RULES.get(importer.dataset, ReplayRules())
    settings = read_settings(Settings)
    scale = scale_of_data(settings, importer)
    noted = {"rating_scale": str(scale)}
    config = settings.model_copy(update=noted).ranking_config()
    options = ReplayOptions(
        cutoffs=(10, 20),
        retrain_seconds=retrain_days * DAY,
        retrain_share=retrain_share,
        live_share=ask,
        sample_share=sample,
        weights_share=weigh,
        variants=_names(variants),
        seed=seed,
    )
    trainer = Trainer(options_of(read_settings(OfflineSettings).model_copy(update=noted)), threads)
    with steps() as show:
        show("reading", 0, None)
        # Nothing of the data set is kept, so nobody has to consent.
        allowed = site_policy(read_settings(IngestSettings), scale)._replace(consent="off", pseudonyms=None)
        moments = stream(importer, rules, limit, now=datetime.now(UTC), allowed=allowed, show=_show)
        rows = replay(moments, config, trainer, options, show)
    report = ReplayReport(
        dataset=importer.dataset, protocol="test-then-learn", config_id=config.config_id, commit=commit(), rows=rows
    )
    _print(report, rules)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
        console.print(f"Written to {json}.")
    if html is not None:
        from replay.report import page

        html.write_text(page(importer.dataset, rows), encoding="utf-8")
        console.print(f"Written to {html}.")


def _show(done: Imported) -> None:
    show_counts(done, "of them are not replayed: they are about no item, or below what the protocol counts")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip() not in {"", "none"})
    unknown = sorted(set(names) - set(_VARIANTS))
    if unknown:
        raise ConfigurationInvalid(f"there is no variant '{unknown[0]}'; choose from {', '.join(_VARIANTS)}, or none")
    return names


def _print(report: ReplayReport, rules: ReplayRules) -> None:
    shown = (f"HR@{rules.k}", f"NDCG@{rules.k}", f"MRR@{rules.k}")
    rows = [[row.name, f"{row.questions:,}", *(_figure(row, name) for name in shown)] for row in report.rows]
    table("system", "questions", *shown, rows=rows, title=f"{report.dataset}, configuration {report.config_id}")


def _figure(row: ReplayRow, name: str) -> str:
    low, high = row.intervals.get(name, (0.0, 0.0))
    return f"{row.metrics[name]:.4f} ±{(high - low) / 2:.4f}" if name in row.metrics else ""
