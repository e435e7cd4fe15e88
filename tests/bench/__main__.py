"""``python -m tests.bench [name …]`` runs benchmarks, prints their figures, and writes tests/bench/results/<name>.json."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tests.bench import (
    abuse,
    collector,
    compute,
    erasures,
    freshness,
    growth,
    hot_users,
    models,
    passivation,
    quality,
    recovery,
    scale,
    served,
    serving,
    soak,
    worker,
)
from tests.bench.results import Figures, write

BENCHMARKS: dict[str, Callable[[], Figures]] = {
    "collector": collector.measure,
    "serving": serving.measure,
    "compute": compute.measure,
    "freshness": freshness.measure,
    "quality": quality.measure,
    "served": served.measure,
    "models": models.measure,
    "scale": scale.measure,
    "growth": growth.measure,
    "worker": worker.measure,
    "hot_users": hot_users.measure,
    "recovery": recovery.measure,
    "passivation": passivation.measure,
    "erasures": erasures.measure,
    "abuse": abuse.measure,
    "soak": soak.measure,
}


def main(names: list[str]) -> Any:
    unknown = sorted(set(names) - BENCHMARKS.keys())
    if unknown:
        return f"there is no benchmark called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}"
    for name in names or BENCHMARKS:
        write(name, BENCHMARKS[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
