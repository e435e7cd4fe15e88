"""The ``freshet`` command."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import stamina
import structlog
import typer
from rich.markup import escape

from deploy.commands import (
    answers,
    backup,
    configuration,
    deadletters,
    doctor,
    evaluate,
    importing,
    run,
    signals,
    stack,
)
from deploy.commands.access import admin, audit, keys
from deploy.commands.common import errors
from deploy.commands.failures import as_sentence
from deploy.commands.offline import jobs, models, retention, schedule, statistics, training
from deploy.config import CommandSettings
from deploy.wiring.variables import unknown_in_environment
from schemas.configuration.settings import read_settings
from schemas.errors import FreshetError

app = typer.Typer(
    name="freshet",
    help="An event-streaming recommender: what a visitor does now changes what they are shown next.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (
    run,
    importing,
    training,
    answers,
    models,
    jobs,
    schedule,
    statistics,
    retention,
    signals,
    deadletters,
    backup,
    evaluate,
    keys,
    admin,
    audit,
    configuration,
    doctor,
    stack,
):
    module.register(app)


def _print_version(is_given: bool) -> None:
    if is_given:
        typer.echo(f"freshet {version('freshet')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Declare the options of ``freshet`` itself; every command has its own."""


def main() -> None:
    """Run the command; a named failure is one sentence on standard error and exit code 1."""
    try:
        _log_to_standard_error(read_settings(CommandSettings).log_level)
        _warn_of_unknown_variables()
        app()
    except FreshetError as error:
        _fail(str(error))
    except (ImportError, OSError) as error:
        sentence = as_sentence(error)
        if sentence is None:
            raise
        _fail(sentence)
    except KeyboardInterrupt:
        sys.exit(130)


def _warn_of_unknown_variables() -> None:
    for sentence in unknown_in_environment():
        errors.print(f"[yellow]Note:[/yellow] {escape(sentence)}", highlight=False, soft_wrap=True)


def _fail(sentence: str) -> NoReturn:
    errors.print(f"[red]freshet:[/red] {escape(sentence)}", highlight=False, soft_wrap=True)
    sys.exit(1)


def _log_to_standard_error(name: str) -> None:
    """Standard output is for what a command answers."""
    level = logging.getLevelNamesMapping().get(name.upper(), logging.INFO)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if level > logging.DEBUG:
        stamina.instrumentation.set_on_retry_hooks([])


if __name__ == "__main__":
    main()
