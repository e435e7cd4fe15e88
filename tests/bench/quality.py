"""The published split of MovieLens 1M through Freshet's own models."""

from __future__ import annotations

from deploy.commands.common import steps
from offline.evaluation.compare import compare
from tests.bench.results import Figures, datasets


def measure() -> Figures:
    with steps() as show:
        report = compare(datasets() / "ncf-ml1m", "ncf", (), show)
    rows = {row.name: {**row.metrics, "seconds": row.seconds, "peak_mib": row.peak_mib} for row in report.rows}
    return Figures("embedded", {"dataset": report.dataset, "protocol": report.protocol, **rows})
