"""The import contracts of pyproject.toml bite: each is broken on purpose, in a copy of the packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

LAYERS = "deploy -> replay -> tiers -> adapters/signals/models -> schemas; tiers never import each other"
PURE = "the pure core uses no driver, server or clock"
NUMPY = "models are numpy only"
BUILD = "only deploy and a tier's main.py build adapters"
SCHEMAS = "adapters know schemas alone"
DRIVERS = "servers and SQLite are spoken to by adapters alone"
SERVING = "serving: web -> http -> service -> ranking -> state -> filtering -> arrays"
OFFLINE = "offline: jobs -> engines | statistics -> publishing -> evaluation -> training -> interactions -> data"
MODELS = "models: combined models -> models -> structures, which know no algorithm"
RANKING = "serving.ranking: pipeline -> blend -> candidates -> context -> config"
INGEST = "ingest: http -> dead letters | importers -> import_pipeline -> validation"

FORBIDDEN = [
    ("ingest", "import serving.config", LAYERS),
    ("nearline", "import offline.config", LAYERS),
    ("offline", "from nearline import processor", LAYERS),
    ("serving", "import ingest.validation.validate", LAYERS),
    ("signals", "import serving.config", LAYERS),
    ("signals", "import models", LAYERS),
    ("schemas", "import signals", LAYERS),
    ("adapters", "import nearline.config", LAYERS),
    ("replay", "import deploy", LAYERS),
    ("schemas", "import redis", PURE),
    ("signals", "import time", PURE),
    ("models", "import sqlite3", PURE),
    ("models", "import scipy.sparse", NUMPY),
    ("models", "from implicit import als", NUMPY),
    ("serving", "import adapters.sqlite.models", BUILD),
    ("ingest", "from adapters.kafka.log import KafkaLogWriter", BUILD),
    ("replay", "import adapters.parquet.archive", BUILD),
    ("adapters", "import models.als", SCHEMAS),
    ("serving", "import redis", DRIVERS),
    ("nearline", "from confluent_kafka import Consumer", DRIVERS),
    ("deploy", "import sqlite3", DRIVERS),
    ("offline.data", "import offline.interactions.steps", OFFLINE),
    ("offline.interactions", "from offline.training import registry", OFFLINE),
    ("offline.training", "import offline.evaluation.task", OFFLINE),
    ("offline.evaluation", "from offline.publishing import gate", OFFLINE),
    ("offline.publishing", "import offline.engines.engine", OFFLINE),
    ("offline.engines", "from offline.jobs import runs", OFFLINE),
    ("offline.statistics", "from offline.engines import engine", OFFLINE),
    ("models.structures", "from models.als import Als", MODELS),
    ("serving.arrays", "import serving.filtering.fields", SERVING),
    ("serving.filtering", "import serving.state.catalogue", SERVING),
    ("serving.state", "import serving.stores.breaker", SERVING),
    ("serving.stores", "import serving.ranking.config", SERVING),
    ("serving.ranking", "import serving.service.timing", SERVING),
    ("serving.service", "import serving.http.routes", SERVING),
    ("serving.ranking.candidates", "from serving.ranking import pipeline", RANKING),
    ("ingest.validation", "import ingest.import_pipeline.base", INGEST),
    ("ingest.import_pipeline", "import ingest.importers.books", INGEST),
    ("ingest.importers", "import ingest.http.body", INGEST),
    ("ingest.simulator", "from ingest.validation import validate", INGEST),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and their contracts."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy2(ROOT / "pyproject.toml", folder)
    for package in SETTINGS["root_packages"]:
        unwanted = shutil.ignore_patterns("__pycache__", "*.csv", "*.js", "*.html")
        shutil.copytree(ROOT / package, folder / package, ignore=unwanted)
    return folder


@pytest.fixture
def plant(tree: Path):
    """Adds a module to a package of the copy for the length of a test."""
    planted: list[Path] = []

    def _plant(package: str, statement: str) -> None:
        planted.append(tree.joinpath(*package.split("."), "planted.py"))
        planted[-1].write_text(f"{statement}\n")

    yield _plant
    for path in planted:
        path.unlink()


def test_the_tree_as_it_is_keeps_every_contract(tree):
    done = _lint(tree)
    assert done.returncode == 0, done.stdout
    assert f"{len(SETTINGS['contracts'])} kept, 0 broken" in done.stdout


@pytest.mark.parametrize(("package", "statement", "contract"), FORBIDDEN)
def test_a_forbidden_import_breaks_its_contract_by_name(tree, plant, package, statement, contract):
    plant(package, statement)
    done = _lint(tree)
    assert done.returncode != 0, done.stdout
    assert f"{contract} BROKEN" in " ".join(done.stdout.split())
    assert f"{package}.planted" in done.stdout


def test_every_contract_is_broken_by_some_example():
    assert {contract for _, _, contract in FORBIDDEN} == {contract["name"] for contract in SETTINGS["contracts"]}


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
