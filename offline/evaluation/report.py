"""A comparison as one self-contained HTML file with tables and charts. It loads nothing."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

import jinja2

from offline.evaluation import charts
from offline.evaluation.compare import CompareReport
from offline.evaluation.run_algorithm import ComparisonRow

_FAR: Final = 10.0
"""Costs that differ by more than this factor are on a logarithmic axis."""


def page(report: CompareReport) -> str:
    """Returns the HTML page."""
    worked = [row for row in report.rows if row.metrics]
    names = list(dict.fromkeys([*report.headline, *(name for row in worked for name in row.metrics)]))
    return _template().render(
        report=report,
        rows=sorted(report.rows, key=lambda row: -row.metrics.get(report.headline[0], -1.0)),
        names=names,
        charts=_charts(report, worked),
        segments=_segments(report, worked),
        worked=worked,
    )


@cache
def _template() -> jinja2.Template:
    text = files("offline.evaluation").joinpath("report.html.j2").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)


def _charts(report: CompareReport, worked: list[ComparisonRow]) -> list[tuple[str, str, str]]:
    """Returns title, caption and drawing of each chart that has figures."""
    metric = report.headline[0]
    if not worked:
        return []
    colours = charts.palette(row.name for row in worked)
    drawings = [
        (
            f"{metric} with 95 % intervals",
            "Hollow dots are published figures.",
            charts.bars(_bars(report, worked), metric),
        ),
        (f"{metric} against training time", "Up and to the left is better.", _cost(worked, metric, "seconds", colours)),
        (
            f"{metric} against memory",
            "What training added to the process's memory at its peak.",
            _cost(worked, metric, "MiB", colours),
        ),
    ]
    curves = {row.name: [(point.share, point.metrics["NDCG@10"]) for point in row.curve] for row in worked if row.curve}
    if curves:
        note = "On a validation slice of the training part; everyone keeps this share of their interactions."
        drawings.append(
            ("Learning curves", note, charts.lines(curves, "share of the training data", "NDCG@10", colours))
        )
    by_segment = {
        row.name: {name: segment.metrics[metric] for name, segment in row.segments.items()}
        for row in worked
        if row.segments
    }
    if by_segment:
        drawings.append(
            (f"{metric} by segment", "Each of its own right items alone.", charts.groups(by_segment, metric, colours))
        )
    return drawings


def _bars(report: CompareReport, worked: list[ComparisonRow]) -> list[charts.Bar]:
    metric = report.headline[0]
    ours = [charts.Bar(row.name, row.metrics[metric], *row.intervals[metric]) for row in worked]
    theirs = [charts.Bar(f"{figures.name} (published)", figures.metrics[metric]) for figures in report.published]
    return ours + theirs


def _cost(worked: list[ComparisonRow], metric: str, unit: str, colours: dict[str, str]) -> str:
    # A training of a few milliseconds would stretch a logarithmic axis.
    points = [
        charts.Point(
            row.name, max(row.seconds, 0.01) if unit == "seconds" else row.added_mib or 0.0, row.metrics[metric]
        )
        for row in worked
    ]
    costs = [point.x for point in points]
    return charts.scatter(points, unit, metric, colours, powers=max(costs) > _FAR * min(costs) > 0)


def _segments(report: CompareReport, worked: list[ComparisonRow]) -> list[dict[str, Any]]:
    metric = report.headline[0]
    names = list(dict.fromkeys(name for row in worked for name in row.segments))
    return [
        {
            "name": name,
            "questions": next(row.segments[name].questions for row in worked if name in row.segments),
            "values": [row.segments[name].metrics[metric] if name in row.segments else None for row in worked],
        }
        for name in names
    ]
