"""Only a `config.py` reads the environment, so that one file a tier says what can be set."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
READERS = {"environ", "environb", "getenv", "getenvb", "BaseSettings"}

PASSED_ON = {
    "deploy/wiring/variables.py": "looks at the names of all variables, for those that nothing reads",
    "deploy/processes/supervisor.py": "hands the whole environment to the processes it starts",
    "deploy/local/processes.py": "hands the whole environment to the servers it starts",
    "deploy/local/programs.py": "asks JAVA_HOME, which is not Freshet's to name",
}


def reads_the_environment(source: str) -> bool:
    """Whether some name, attribute or import in the source is one by which the environment is read."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.name for alias in node.names)
    return bool(names & READERS)


def test_nothing_but_config_reads_the_environment():
    readers = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "config.py" and reads_the_environment(path.read_text())
    }
    assert readers == set(PASSED_ON)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nhome = os.environ['HOME']",
        "import os as system\nhome = system.getenv('HOME')",
        "from os import environ as surroundings",
        "from pydantic_settings import BaseSettings",
        "def late():\n    from os import getenv",
    ],
)
def test_each_way_of_reading_it_is_seen(source):
    assert reads_the_environment(source)


def test_a_word_that_only_sounds_like_it_is_not():
    assert not reads_the_environment('"""BaseSettings, os.environ"""\nenvironment = {}')
