"""Runs an offline job with the settings of the environment: ``python -m offline.main train`` or ``receive``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from fastapi import FastAPI

from adapters.http import server as http_server
from adapters.http.application import build_application
from deploy.wiring.access import open_access
from deploy.wiring.dependencies import Dependencies, open_dependencies
from deploy.wiring.server_wait import say_while_waiting
from deploy.wiring.training import receive_in, train_in
from deploy.wiring.variables import warn_of_variables_without_effect
from offline.config import OfflineSettings
from offline.data.archive import quiet
from offline.engines.engine import EngineName
from offline.jobs.train import Skipped
from offline.publishing.upload_api import UploadApi, build_router, upload_api_of
from schemas.background import failing
from schemas.configuration.drivers import missing_driver
from schemas.configuration.settings import read_settings
from schemas.errors import ConfigurationInvalid, FreshetError
from schemas.http.access.guard import Access


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job. Returns 1 if it fails, after a sentence on stderr that says why."""
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(OfflineSettings)
        warn_of_variables_without_effect(settings.stack)
        if options.job == "receive":
            _listen(settings)
        else:
            sys.stdout.write(_train(settings, options.engine or settings.engine, force=options.force))
    except FreshetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except ImportError as error:
        if (sentence := missing_driver(error)) is None:
            raise
        sys.stderr.write(f"{sentence}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m offline.main", description="Freshet's offline jobs.")
    jobs = parser.add_subparsers(required=True, dest="job")
    job = jobs.add_parser("train", help="train on what the log holds, and publish, as `freshet train` does")
    job.add_argument("--engine", choices=("auto", "single", "spark"))
    job.add_argument("--force", action="store_true", help="train even where nothing has happened since")
    jobs.add_parser("receive", help="receive external models by HTTP, until stopped")
    return parser


def _train(settings: OfflineSettings, engine: EngineName, *, force: bool) -> str:
    """Train and publish. Returns a line with the outcome and the version."""
    with open_dependencies(settings) as dependencies:
        outcome = train_in(dependencies, engine, force=force, progress=quiet)
    return f"{outcome.reason if isinstance(outcome, Skipped) else 'published'}: {outcome.version}\n"


def _listen(settings: OfflineSettings) -> None:
    """Serve only the route for external models. Raises ConfigurationInvalid if there is no token, and PortInUse."""
    with open_dependencies(settings) as dependencies:
        upload_api = upload_api_of(settings, partial(receive_in, dependencies, reason="sent by HTTP"))
        if upload_api is None:
            raise ConfigurationInvalid("FRESHET_MODELS_TOKEN is empty: set it, so that nobody else can publish")
        listening = http_server.listen(settings.models_host, settings.models_port, "set FRESHET_MODELS_PORT")
        say_while_waiting(lambda: _require_store(dependencies), "the receiver of models")
        # The token is what protects the route, so it may listen anywhere without keys.
        with open_access(settings, settings.models_host, needs_keys=False) as access:
            app = create_app(upload_api, access, docs=settings.docs)
            http_server.serve(app, listening, "INFO", connections=settings, trusted_proxies=settings.trusted_proxies)


def _require_store(dependencies: Dependencies) -> None:
    dependencies.models.active()


def create_app(upload_api: UploadApi, access: Access | None = None, *, docs: bool = False) -> FastAPI:
    """The application that receives external models. Without ``access``, everybody may read its metrics."""

    async def missing() -> list[str]:
        return failing()

    return build_application("Freshet models", [build_router(upload_api)], missing, access=access, docs=docs)


if __name__ == "__main__":
    sys.exit(main())
