"""Stores the figures of benchmarks, with the commit, the machine and the configuration."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from deploy.commands.evaluation.options import commit
from serving.ranking.defaults import default_config

FOLDER = Path(__file__).parent / "results"
console = Console()


class Figures(NamedTuple):
    """The figures of a benchmark by name, and the stack that it ran on."""

    stack: str
    figures: dict[str, Any]


def datasets() -> Path:
    """Returns the folder of the data sets."""
    return Path(os.environ.get("FRESHET_DATASETS", Path(__file__).parents[3] / "shared" / "data"))


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Returns the median, the 99th percentile and the maximum in milliseconds, and the number of values."""
    found = np.asarray(seconds) * 1_000
    return {
        "count": len(found),
        "p50_ms": round(float(np.percentile(found, 50)), 2),
        "p99_ms": round(float(np.percentile(found, 99)), 2),
        "max_ms": round(float(found.max()), 2),
    }


def write(name: str, measured: Figures) -> None:
    """Prints the figures and writes them to ``results/<name>.json``."""
    FOLDER.mkdir(exist_ok=True)
    whole = {
        "commit": commit(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "config_id": default_config().config_id,
        "stack": measured.stack,
        "figures": measured.figures,
    }
    (FOLDER / f"{name}.json").write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")
    table = Table("figure", "value", title=name)
    for figure, value in measured.figures.items():
        table.add_row(figure, str(value))
    console.print(table)
