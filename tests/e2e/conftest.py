"""Both stacks for the one end-to-end suite."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.config import CommandSettings
from deploy.local.config import SERVERS, StackConfig
from deploy.wiring.dependencies import prepare
from tests.e2e.systems import (
    ClusterSystem,
    EmbeddedSystem,
    System,
    freshet,
    some_movies,
    wait_for_aggregates,
    wait_until_ready,
)

Ensure = Callable[[str], StackConfig]


def cluster_settings(ensure_server: Ensure, site: str, folder: Path) -> CommandSettings:
    """Settings of a site of its own on the tests' real servers."""
    for server in SERVERS:
        config = ensure_server(server)
    settings = CommandSettings(prefix=site, archive=folder / "archive").with_servers(config.environment())
    prepare(settings)
    return settings


@pytest.fixture(scope="module", params=["embedded", pytest.param("cluster", marks=pytest.mark.stack)])
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ensure_server: Ensure
) -> Iterator[System]:
    """A Freshet that is not started yet, with an empty log."""
    folder = tmp_path_factory.mktemp("freshet") / "data"
    folder.mkdir()
    if request.param == "embedded":
        found: System = EmbeddedSystem(folder)
    else:
        found = ClusterSystem(folder, cluster_settings(ensure_server, f"e{uuid.uuid4().hex[:10]}", folder))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def movies(system: System, datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> System:
    """The system with some of MovieLens' small set imported and a model trained, running."""
    folder, ratings = some_movies(datasets, tmp_path_factory.mktemp("movies"))
    freshet(system, "import", "movielens", str(folder))
    system.start()
    freshet(system, "train")
    wait_until_ready(system)
    wait_for_aggregates(system.api, ratings)
    return system
