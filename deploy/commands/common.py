"""Options and output that the commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from deploy.config import CommandSettings
from deploy.wiring.dependencies import Dependencies, open_dependencies
from schemas.configuration.addresses import SQLITE
from schemas.configuration.settings import SharedSettings, read_settings
from schemas.errors import ConfigurationInvalid

console = Console()
errors = Console(stderr=True)

DEFAULT_FOLDER: Final[Path] = SharedSettings.model_fields["data"].default
Data = Annotated[Path, typer.Option("--data", envvar="FRESHET_DATA", help="The data folder.", file_okay=False)]
StackName = Annotated[
    Literal["embedded", "cluster"] | None,
    typer.Option("--stack", help="embedded: one folder, no servers; cluster: Kafka, Redis, Cassandra."),
]


def settings_for(data: Path | None = None, stack: StackName = None) -> CommandSettings:
    """The environment's settings; the options ``--data`` and ``--stack`` override them. Raises ConfigurationInvalid."""
    options = {"data": data, "stack": stack}
    return read_settings(CommandSettings).model_copy(
        update={name: value for name, value in options.items() if value is not None}
    )


@contextmanager
def open_for(data: Path, stack: StackName) -> Iterator[Dependencies]:
    """The dependencies of a command."""
    with open_dependencies(settings_for(data, stack)) as dependencies:
        yield dependencies


def require_data(settings: CommandSettings) -> None:
    """Raise ConfigurationInvalid where the folder of an SQLite log holds nothing: reading must not make it."""
    log = settings.log_address
    if log.scheme == SQLITE and not any(Path(log.location).glob("*.sqlite")):
        raise ConfigurationInvalid(
            f"there is no Freshet data in {log.location}: say where it is with --data, or `freshet import` some"
        )


@contextmanager
def open_existing(data: Path, stack: StackName) -> Iterator[Dependencies]:
    """The dependencies of a command that only reads; raises ConfigurationInvalid where there is no data."""
    require_data(settings_for(data, stack))
    with open_for(data, stack) as dependencies:
        yield dependencies


_WORDS: Final = {
    "evaluation": "measuring on what was held out",
    "training": "learning",
    "archiving": "copying to the archive:",
    "lists of users": "choosing each person's list",
    "lists of items": "choosing what is similar to each item",
}
"""How a step of a job begins, and the words that the display shows in its place."""


def in_words(step: str) -> str:
    """A step's name in plain words; the SQL files that make interactions are one step."""
    if step.startswith("interactions"):
        return "finding out who had what"
    for name, words in _WORDS.items():
        if step.startswith(name):
            return words + step.removeprefix(name)
    return step


class _Pace(ProgressColumn):
    """How many a second, lately."""

    def render(self, task: Task) -> Text:
        """The speed, once it is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


@contextmanager
def steps(*, pace: bool = False) -> Iterator[Callable[[str, int, int | None], None]]:
    """A progress display; call it with (step, done, total or None). ``pace`` shows the speed and the time left."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"))
    times = (_Pace(), TimeRemainingColumn(elapsed_when_finished=True)) if pace else (TimeElapsedColumn(),)
    with Progress(*columns, *times, console=errors, transient=False) as progress:
        tasks: dict[str, Any] = {}

        def show(step: str, done: int, total: int | None = None) -> None:
            words = in_words(step)
            if words not in tasks:
                tasks[words] = progress.add_task(words, total=total)
            progress.update(tasks[words], completed=done, total=total)

        yield show
        for task in progress.tasks:
            progress.update(task.id, total=task.total or task.completed, completed=task.total or task.completed)


def table(*columns: str, rows: list[list[str]], title: str | None = None) -> None:
    """Print a table."""
    shown = Table(*columns, title=title)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
