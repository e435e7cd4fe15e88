"""The published split of MovieLens 1M through Freshet's own models."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.commands.common import steps
from offline.compare import compare
from tests.bench.results import Figures


def measure() -> Figures:
    folder = Path(os.environ.get("FRESHET_DATASETS", Path(__file__).parents[3] / "shared" / "data"))
    with steps() as show:
        report = compare(folder / "ncf-ml1m", "ncf", (), show)
    rows = {row.name: {**row.metrics, "seconds": row.seconds, "peak_mib": row.peak_mib} for row in report.rows}
    return Figures("embedded", {"dataset": report.dataset, "protocol": report.protocol, **rows})
