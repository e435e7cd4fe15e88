"""What others generate from the OpenAPI documents: a linter finds no error, and TypeScript's types are made and compile.

The tools come from npm, into a temporary folder. Without npm or a network the tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.unit.architecture.applications import applications

TOOLS = ("@redocly/cli@2.77.0", "openapi-typescript@7.13.0", "typescript@5.9.3")
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """The folder of the tools' commands."""
    if shutil.which("npm") is None:
        pytest.skip("npm is missing: install Node.js to check the OpenAPI documents with it")
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true}')
    options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    done = run("npm", "install", *options, *TOOLS, cwd=folder)
    if done.returncode:
        pytest.skip(f"npm could not install {', '.join(TOOLS)}: {done.stderr.strip()[:200]}")
    return folder / "node_modules" / ".bin"


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """The document of each process, as a file."""
    folder = tmp_path_factory.mktemp("documents")
    with applications(tmp_path_factory.mktemp("site")) as made:
        for name, app in made.items():
            (folder / f"{re.sub(r'[^a-z]+', '-', name.lower())}.json").write_text(json.dumps(app.openapi()))
    return sorted(folder.glob("*.json"))


def run(*command, cwd):
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def errors_of(tools, document):
    done = run(tools / "redocly", "lint", document, "--format=json", "--max-problems=1000", cwd=document.parent)
    report = json.loads(done.stdout[done.stdout.index("{") :])
    return [(each["ruleId"], each["message"]) for each in report["problems"] if each["severity"] == "error"]


@pytest.mark.slow
def test_a_linter_finds_no_error(tools, documents):
    assert len(documents) >= 3
    for document in documents:
        assert errors_of(tools, document) == [], document.name


@pytest.mark.slow
def test_the_linter_sees_an_operation_id_that_comes_twice(tools, documents, tmp_path):
    content = json.loads(documents[0].read_text())
    for operations in content["paths"].values():
        for operation in operations.values():
            operation["operationId"] = "same"
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(content))
    assert "operation-operationId-unique" in {rule for rule, _ in errors_of(tools, broken)}


@pytest.mark.slow
def test_types_for_typescript_are_made_and_compile(tools, documents, tmp_path):
    for document in documents:
        types = tmp_path / f"{document.stem}.d.ts"
        made = run(tools / "openapi-typescript", document, "-o", types, cwd=tmp_path)
        assert made.returncode == 0, made.stdout + made.stderr
        compiled = run(tools / "tsc", "--noEmit", "--strict", types, cwd=tmp_path)
        assert compiled.returncode == 0, compiled.stdout
