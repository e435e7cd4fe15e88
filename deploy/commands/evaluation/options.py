"""Options that the commands of ``freshet evaluate`` share, and the commit that their reports name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

DataSet = Annotated[Path, typer.Argument(help="A data set's folder, or any CSV, TSV or JSONL file with --map.")]
Mapping = Annotated[str, typer.Option("--map", help="Columns: user=…,item=…,type=…,value=…,time=…")]
Threads = Annotated[int, typer.Option(help="0: one a core.", min=0)]


def commit() -> str:
    """The commit of this checkout, or unknown outside one."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    completed = subprocess.run(
        [git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return completed.stdout.strip() or "unknown"
