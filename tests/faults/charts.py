"""The chart of a soak: memory, files and connections of each process over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
QUANTITIES = {"memory_mib": "memory (MiB)", "files": "open files", "connections": "sockets"}


def draw(samples: Mapping[str, Sequence[Any]], stack: str, title: str, folder: Path = FOLDER) -> Path:
    """Writes ``soak-<stack>.svg``, and returns its path."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "freshet"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(QUANTITIES), figsize=(12, 3.4), layout="constrained")
    for axis, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
        for name, found in samples.items():
            axis.plot(
                [one.minutes for one in found], [getattr(one, quantity) for one in found], label=name, linewidth=1
            )
        axis.set(xlabel="minutes", ylabel=label)
        axis.set_ylim(bottom=0)
    axes[0].legend(fontsize=8)
    figure.suptitle(f"{stack}: {title}", fontsize=10)
    path = folder / f"soak-{stack}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
