"""Charts as SVG text inside a page. They need no file, font or script, and are readable on light and dark backgrounds."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

_INK: Final = "#010203"
"""Placeholder for the text colour of the page, which a chart does not know."""
_COLOURS: Final = ("#3b82c4", "#d9742b", "#3f9e6e", "#c2517a", "#8a6fc8", "#a5892f", "#4aa3a8", "#8c8c8c")
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class Point(NamedTuple):
    """The position of one algorithm on a chart."""

    name: str
    x: float
    y: float


class Bar(NamedTuple):
    """One figure with its interval. Low and high are None if it has no interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def palette(names: Iterable[str]) -> dict[str, str]:
    """Returns a colour for each algorithm, the same on every chart."""
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}


def bars(figures: Sequence[Bar], label: str) -> str:
    """Draws figures as dots with their intervals, the best on top."""
    ordered = sorted(figures, key=lambda bar: bar.value)
    with mpl.rc_context(_STYLE):
        figure, axes = _drawn(7.2, 0.8 + 0.3 * len(figures))
        for row, bar in enumerate(ordered):
            has_interval = bar.low is not None and bar.high is not None
            if bar.low is not None and bar.high is not None:
                axes.plot([bar.low, bar.high], [row, row], color=_COLOURS[0], linewidth=2)
            axes.plot(bar.value, row, "o", color=_COLOURS[0], fillstyle="full" if has_interval else "none")
        axes.set_yticks(range(len(figures)), [bar.name for bar in ordered])
        axes.set_ylim(-0.6, len(figures) - 0.4)
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.2, color=_INK)
        return _svg(figure, f"bars {label}")


def scatter(points: Sequence[Point], across: str, up: str, colours: Mapping[str, str], *, powers: bool) -> str:
    """Draws quality against cost. The cost axis is logarithmic if ``powers``."""
    with mpl.rc_context(_STYLE):
        figure, axes = _drawn(5.2, 3.4)
        for point in points:
            axes.plot(point.x, point.y, "o", color=colours[point.name])
            axes.annotate(point.name, (point.x, point.y), xytext=(5, 4), textcoords="offset points", fontsize=9)
        axes.set_xscale("log" if powers else "linear")
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.margins(x=0.2)
        axes.grid(alpha=0.2, color=_INK)
        return _svg(figure, f"scatter {across}")


def lines(series: Mapping[str, Sequence[tuple[float, float]]], across: str, up: str, colours: Mapping[str, str]) -> str:
    """Draws one line for each algorithm."""
    with mpl.rc_context(_STYLE):
        figure, axes = _drawn(5.2, 3.4)
        for name, points in series.items():
            axes.plot(*zip(*points, strict=True), "o-", color=colours[name], label=name)
        _named(figure, axes, across, up)
        return _svg(figure, f"lines {across}")


def groups(series: Mapping[str, Mapping[str, float]], label: str, colours: Mapping[str, str]) -> str:
    """Draws one row for each segment and one dot for each algorithm. ``series`` is by algorithm, then by segment."""
    names = list(dict.fromkeys(name for values in series.values() for name in values))[::-1]
    with mpl.rc_context(_STYLE):
        figure, axes = _drawn(7.2, 0.9 + 0.24 * len(names))
        for name, values in series.items():
            rows = [names.index(segment) for segment in values]
            axes.plot(list(values.values()), rows, "o", color=colours[name], label=name, alpha=0.85)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        _named(figure, axes, label, "")
        return _svg(figure, f"groups {label}")


def _drawn(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _named(figure: Figure, axes: Any, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.2, color=_INK)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=4)


def _svg(figure: Figure, salt: str) -> str:
    """Returns the ``svg`` element of the chart. The salt makes its ids unique on a page with several charts."""
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
