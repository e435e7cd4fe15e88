"""What is generated of the Python client is as it is generated now, and the client needs nothing but httpx."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from freshet_client import AsyncClient, Client

from tests.unit.architecture.applications import applications

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "clients" / "python" / "src" / "freshet_client"
SPEC = importlib.util.spec_from_file_location("generate", ROOT / "clients" / "python" / "generate.py")
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)
NOT_OF_APPS = {"get_liveness", "get_readiness", "get_metrics", "follow_notifications"}
OF_PEOPLE = {"console", "events of other trackers"}
"""What people read, and what trackers of others send."""
PUBLISHING = {"publish_neighbours", "publish_lists", "publish_factors"}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    with applications(tmp_path_factory.mktemp("site")) as made:
        return made["embedded"].openapi()


def formatted(text: str, name: str) -> str:
    for command in (("check", "--fix", "--quiet"), ("format", "--quiet")):
        options = ("--stdin-filename", str(PACKAGE / name), "-")
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *options],
            input=text,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.stdout, done.stderr
        text = done.stdout
    return text


def test_the_types_are_those_of_the_openapi_document(document):
    expected = formatted(generate.models_text(document), "models.py")
    assert (PACKAGE / "models.py").read_text() == expected, "run clients/python/generate.py"


def test_the_synchronous_client_is_made_from_the_asynchronous_one():
    expected = formatted(generate.client_text((PACKAGE / "async_client.py").read_text()), "client.py")
    assert (PACKAGE / "client.py").read_text() == expected, "run clients/python/generate.py"


def test_each_operation_of_apps_has_a_method_of_its_name(document):
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    ids = {operation["operationId"] for operation in operations if not OF_PEOPLE & set(operation["tags"])}
    for client in (Client, AsyncClient):
        methods = {name for name, _ in inspect.getmembers(client, inspect.isfunction)}
        assert ids - methods == NOT_OF_APPS | PUBLISHING
        assert "publish_model" in methods


def test_the_client_imports_nothing_of_the_server():
    for module in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in (name.partition(".")[0] for name in names):
                assert name in {*sys.stdlib_module_names, "httpx", "freshet_client"}, (module.name, name)
