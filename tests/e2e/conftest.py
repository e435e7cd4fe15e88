"""Both stacks for the one end-to-end suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.config import Settings
from deploy.local.config import StackConfig
from deploy.parts import create_cluster
from tests.e2e.systems import ClusterSystem, EmbeddedSystem, System, freshet


def cluster_settings(stack: StackConfig, site: str, folder: Path) -> Settings:
    addresses = stack.environment()
    settings = Settings(
        stack="cluster",
        kafka=addresses["FRESHET_KAFKA"],
        redis=addresses["FRESHET_REDIS"],
        cassandra=addresses["FRESHET_CASSANDRA"],
        prefix=site,
        archive=folder / "archive",
    )
    create_cluster(settings)
    return settings


@pytest.fixture(params=["embedded", pytest.param("cluster", marks=pytest.mark.stack)])
def system(request: pytest.FixtureRequest, tmp_path: Path, site: str) -> Iterator[System]:
    """A Freshet that is not started yet, with an empty log."""
    folder = tmp_path / "data"
    folder.mkdir()
    if request.param == "embedded":
        found: System = EmbeddedSystem(folder)
    else:
        found = ClusterSystem(folder, cluster_settings(request.getfixturevalue("stack"), site, folder))
    yield found
    found.stop()


@pytest.fixture
def movies(system: System, datasets: Path) -> System:
    """The system with MovieLens' small set imported and a model trained, running."""
    freshet(system, "import", "movielens", str(datasets / "ml-latest-small"))
    system.start()
    freshet(system, "train")
    return system
