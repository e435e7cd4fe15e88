"""Renders a replay as an HTML page: a table of the figures, and a chart of the systems with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jinja2 import Environment

from offline.evaluation.charts import Bar, bars
from replay.evaluate import ReplayRow

_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{ dataset }}: replay</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8884}
td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}</style>
<h1>{{ dataset }}, each event predicted before it is known</h1>
<p>Bars are 95 % intervals, people resampled. Variants get a seeded sample of the questions.</p>
{% for metric, chart in charts %}<h2>{{ metric }}</h2>{{ chart | safe }}{% endfor %}
<table><tr><th>system<th>questions{% for name in metrics %}<th>{{ name }}{% endfor %}</tr>
{% for row in rows %}<tr><td>{{ row.name }}<td>{{ row.questions }}{% for name in metrics %}<td>{{ '%.4f' % row.metrics[name] }}{% endfor %}</tr>
{% endfor %}</table></html>
"""


def page(dataset: str, rows: Sequence[ReplayRow]) -> str:
    """Returns the page as HTML. It loads nothing from elsewhere. Rows without targets are left out."""
    shown = [row for row in rows if row.questions]
    metrics = list(shown[0].metrics) if shown else []
    charts = [(name, bars([_bar(row, name) for row in shown], name)) for name in metrics if name.startswith("NDCG")]
    environment = Environment(autoescape=True)
    return environment.from_string(_PAGE).render(dataset=dataset, rows=shown, metrics=metrics, charts=charts)


def _bar(row: ReplayRow, metric: str) -> Bar:
    low, high = row.intervals[metric]
    return Bar(row.name, row.metrics[metric], low, high)
