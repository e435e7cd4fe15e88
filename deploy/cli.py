"""The ``freshet`` command."""

from __future__ import annotations

import logging
import sys

import structlog
import typer

from deploy.commands import answers, data, deadletters, doctor, evaluate, models, run, signals, stack
from deploy.commands.common import errors
from deploy.config import Settings
from schemas.errors import FreshetError

app = typer.Typer(
    name="freshet",
    help="An event-streaming recommender: what a visitor does now changes what they are shown next.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (run, data, answers, models, signals, deadletters, evaluate, doctor, stack):
    module.register(app)


def main() -> None:
    """Run the command; a named failure is one sentence on standard error and exit code 1."""
    level = logging.getLevelNamesMapping().get(Settings().log_level.upper(), logging.INFO)
    # Standard output is for what a command answers.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        app()
    except FreshetError as error:
        errors.print(f"[red]freshet:[/red] {error}", highlight=False, markup=True, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
