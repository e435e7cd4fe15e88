"""Schemathesis over the OpenAPI document of each HTTP process: it sends what the document allows, and what it forbids.

It reports server errors, statuses, content types and bodies that are not documented, allowed requests that are refused,
forbidden requests that are accepted, and wrong answers to other methods. It is run with a fixed seed and few examples; more:
``--max-examples``. Streams end after their first message here. ``openapi_formats`` makes the texts of formats.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from deploy.config import CommandSettings
from deploy.embedded.app import create_app as create_embedded_app
from deploy.embedded.app import nearline
from deploy.wiring.online import open_stores
from ingest.config import IngestSettings
from ingest.main import create_app as create_collector
from schemas.access import keys
from schemas.access.decision import AccessPolicy
from schemas.access.scopes import Scope
from schemas.access.view import AccessView
from schemas.http.access.guard import Access, Guard, Site
from schemas.log import topics
from serving.config import Settings
from serving.main import create_app as create_online_app

pytest.importorskip("schemathesis", reason="install requirements/dev.txt")
TOKEN = "secret"
ADMIN = keys.make_key(os.urandom(keys.ENTROPY_BYTES), [Scope.ADMIN], 0.0)
EVERY_PHASE = "examples,coverage,fuzzing"
MODELS = "^/v1/models/"
HERE = Path(__file__).parent


class Edge:
    """An ASGI application before another one: ends streams after their first message, and rewrites bodies."""

    def __init__(self, app, rewrite=lambda body: body):
        self._app, self._rewrite = app, rewrite

    async def __call__(self, scope, receive, send):
        async def sending(message):
            if message["type"] == "http.response.start":
                types = [value for name, value in message["headers"] if name == b"content-type"]
                scope["ends"] = any(kind.startswith(b"text/event-stream") for kind in types)
            elif message["type"] == "http.response.body":
                more = message.get("more_body", False) and not scope["ends"]
                message = {**message, "body": self._rewrite(message.get("body", b"")), "more_body": more}
            await send(message)

        await self._app(scope, receive, sending)


def access_of(*made: keys.NewKey) -> Access:
    """The check of access of a site with these keys; without one it is open to this machine."""
    view = AccessView(log_id="log", keys={key.record.id: key.record for key in made}, had_keys=bool(made))
    return Access(Guard(lambda: view, time.time, Site(AccessPolicy(loopback=True))))


@pytest.fixture(params=["keys off", "keys on"])
def access(request) -> Access:
    return access_of(*([ADMIN] if request.param == "keys on" else []))


@contextmanager
def serve(app) -> Iterator[str]:
    """The address of an application while it runs in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def check(
    url: str, folder, *options: str, examples: int = 8, phases: str = EVERY_PHASE, bearer: str = ADMIN.text
) -> None:
    """Fails with the report of schemathesis if it finds anything."""
    done = findings(url, folder, *options, examples=examples, phases=phases, bearer=bearer)
    assert done.returncode == 0, done.stdout + done.stderr


def findings(
    url: str, folder, *options: str, examples: int = 8, phases: str = EVERY_PHASE, bearer: str = ADMIN.text
) -> subprocess.CompletedProcess:
    """The run of schemathesis over a process; it ends with 1 if something was found."""
    return subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "schemathesis.cli",
                "--config-file",
                str(HERE / "schemathesis.toml"),
                "run",
                f"{url}/openapi.json",
                "--seed",
                "1",
                "--no-color",
            ),
            *("--max-examples", str(examples), "--phases", phases),
            *("--suppress-health-check", "all", *options),
            *("--header", f"Authorization: Bearer {bearer}", "--generation-database", "none"),
        ],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "openapi_formats", "PYTHONPATH": f"{Path.cwd()}:{HERE}"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture
def folder(embedded, monkeypatch):
    monkeypatch.setenv("FRESHET_MODELS_TOKEN", TOKEN)
    embedded.put_item("celeste", title="Celeste", categories=["group 1"], price=19.99)
    embedded.event("view", "ann", "game/1")
    embedded.fold()
    return embedded.folder


@pytest.mark.slow
def test_the_collector_answers_as_its_document_says(folder, tmp_path, access):
    writer, reader = SqliteLogWriter(folder, 4), SqliteLogReader(folder)
    with serve(create_collector(IngestSettings(data=folder, docs=True), writer, reader, access)) as url:
        check(url, tmp_path)
    assert reader.bounds(topics.ITEMS, 0)[1] > 0
    writer.close()
    reader.close()


@pytest.mark.slow
def test_the_online_api_answers_as_its_document_says(folder, tmp_path, access):
    settings = Settings(data=folder, partitions=4, store_seconds=2.0, after_seconds=0.01, docs=True, page=True)
    with serve(Edge(create_online_app(settings, open_stores(settings), access=access))) as url:
        check(url, tmp_path)


@pytest.mark.slow
def test_the_embedded_application_answers_as_its_document_says(folder, tmp_path):
    settings = Settings(data=folder, partitions=4, store_seconds=2.0, after_seconds=0.01, docs=True)
    with (
        nearline(CommandSettings(data=folder, partitions=4)) as running,
        serve(Edge(create_embedded_app(running, settings, access_of(ADMIN)))) as url,
    ):
        check(url, tmp_path, "--exclude-path-regex", MODELS, phases="examples")
        check(url, tmp_path, "--include-path-regex", "/export$", examples=4)


@pytest.mark.slow
def test_the_receiver_of_models_answers_as_its_document_says(folder, tmp_path):
    settings = Settings(data=folder, partitions=4, docs=True)
    with (
        nearline(CommandSettings(data=folder, partitions=4)) as running,
        serve(create_embedded_app(running, settings, access_of(ADMIN))) as url,
    ):
        check(url, tmp_path, "--include-path-regex", MODELS, examples=6, bearer=TOKEN)


def renamed(body: bytes) -> bytes:
    """An answer whose items have another name for their ids."""
    return body.replace(b'"item_id"', b'"item_ix"') if body.startswith(b'{"recommendation_id"') else body


@pytest.mark.slow
def test_a_renamed_member_of_an_answer_is_found(folder, tmp_path):
    settings = Settings(data=folder, partitions=4, store_seconds=2.0, docs=True)
    app = Edge(create_online_app(settings, open_stores(settings)), renamed)
    with serve(app) as url:
        run = findings(url, tmp_path, "--include-path", "/v1/popular", examples=1, phases="examples,fuzzing")
    assert run.returncode == 1
    assert "Response violates schema" in run.stdout
