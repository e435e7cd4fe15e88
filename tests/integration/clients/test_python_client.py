"""The Python client against the real embedded application over HTTP, on good days and on bad ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from random import Random

import freshet_client
import pytest
import uvicorn
from freshet_client import (
    AsyncClient,
    Busy,
    Client,
    Closed,
    NotAllowed,
    NotFound,
    Problem,
    QueueFull,
    SenderOptions,
    SignatureAuth,
    Unreachable,
    user_token,
)

from adapters.sqlite.log import SqliteLogReader
from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from schemas.access import keys
from schemas.access.decision import AccessPolicy
from schemas.access.scopes import Scope
from schemas.access.signing import signing_secret
from schemas.access.view import AccessView
from schemas.http.access.guard import Access, Guard, Site
from schemas.log import topics
from schemas.log.codec import decode_event
from serving.config import Settings

PARTITIONS = 4
SECRET = b"s" * 32
FAST = SenderOptions(flush_seconds=0.02, close_seconds=20.0)
ROOT = Path(__file__).resolve().parents[3]


class Weather:
    """An ASGI application before the real one, which fails requests by a script: before the site has it, or after."""

    def __init__(self, app):
        self._app, self.moods, self.requests = app, [], 0

    async def __call__(self, scope, receive, send):
        mood = self.moods.pop(0) if self.moods and scope["type"] == "http" else "fine"
        self.requests += scope["type"] == "http"
        if mood == "busy":
            await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"0")]})
            await send({"type": "http.response.body", "body": b"{}"})
        elif mood == "gone":
            raise RuntimeError("the connection ends without an answer")
        elif mood == "answer lost":
            await self._app(scope, receive, _nowhere)
            raise RuntimeError("the site has it, and nobody is told")
        else:
            await asyncio.sleep(1.5 if mood == "slow" else 0.0)
            await self._app(scope, receive, send)


async def _nowhere(message):
    pass


class Server:
    """An application on a port of its own, which can be stopped and started again."""

    def __init__(self, app):
        self.app, self._socket = app, socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start(self._socket)

    def start(self, listening=None):
        listening = listening or socket.create_server(("127.0.0.1", self.port))
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="critical", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    def stop(self):
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def admin():
    return keys.make_key(b"k" * keys.ENTROPY_BYTES, [Scope.ADMIN], 0.0)


@pytest.fixture
def site(tmp_path, admin):
    """A site with one key, in bad weather if a test says so."""
    view = AccessView(log_id="log", keys={admin.record.id: admin.record}, had_keys=True)
    access = Access(Guard(lambda: view, time.time, Site(AccessPolicy(loopback=True, site_secret=SECRET))))
    with nearline(CommandSettings(data=tmp_path, partitions=PARTITIONS)) as running:
        app = create_app(running, Settings(data=tmp_path, partitions=PARTITIONS), access)
        server = Server(Weather(app))
        server.folder = tmp_path
        yield server
        server.stop()


def logged(folder) -> list[str]:
    """The ids of the events on the log, repeated ones too."""
    reader = SqliteLogReader(folder)
    try:
        records = [r for p in range(PARTITIONS) for r in reader.read(topics.EVENTS, p, 0, 100_000)]
        return [decode_event(record.value).event_id for record in records]
    finally:
        reader.close()


def view(number: int) -> dict:
    return {"type": "view", "user_id": "ann", "item_id": f"game/{number}"}


def counted(client, wanted: int) -> int:
    """The views of ann, once the site has counted so many."""
    for _ in range(400):
        with contextlib.suppress(NotFound):
            if (found := client.get_user("ann")["counters"].get("view", 0)) >= wanted:
                return found
        time.sleep(0.05)
    pytest.fail(f"{wanted} views were not counted")


def seen_item(client, item_id: str) -> dict:
    """An item, once the site shows it."""
    for _ in range(200):
        with contextlib.suppress(NotFound):
            return client.get_item(item_id)
        time.sleep(0.05)
    pytest.fail(f"{item_id} is not shown")


def test_a_shop_is_filled_used_read_exported_and_erased(site, admin, tmp_path):
    with Client(site.url, key=admin.text, events=FAST) as client:
        assert client.put_items([{"item_id": f"game/{n}", "title": f"Game {n}"} for n in range(5)])["results"]
        client.put_item("game/9", {"title": "Old", "price": 3.0})
        assert client.patch_item("game/9", {"title": "New"})["item_id"] == "game/9"
        client.put_user("ann", {"attributes": {"country": "SE"}})
        sent = client.send_events([view(1), view(2)])
        assert [result["status"] for result in sent["results"]] == ["accepted", "accepted"]
        counted(client, 2)
        answer = client.recommend_for_user("ann", count=3, context={"device": "phone"})
        assert answer["recommendation_id"]
        assert seen_item(client, "game/9")["title"] == "New"
        assert client.list_items(limit=2)["next_cursor"]
        assert len(client.score_items("ann", ["game/1", "game/2"])["scores"]) == 2
        assert client.rank_items("ann", ["game/1", "game/2"])["items"]
        assert client.recommend_for_session([{"type": "view", "item_id": "game/1"}], count=2)["items"] is not None
        assert client.list_popular(count=2)["items"] is not None
        client.export_user("ann", tmp_path / "ann.zip")
        assert zipfile.ZipFile(tmp_path / "ann.zip").testzip() is None
        receipt = client.erase_user("ann")
        assert client.get_erasure(receipt["erasure_id"])["erasure_id"] == receipt["erasure_id"]


def test_what_the_site_refuses_is_an_error_with_its_field(site, admin):
    with Client(site.url, key=admin.text) as client:
        with pytest.raises(Problem) as refused:
            client.send_events([{"type": "view", "user_id": "ann"}])
        assert (refused.value.status, refused.value.field) == (400, "item_id")
        with pytest.raises(NotFound):
            client.get_item("a/../b?c#d")
    with Client(site.url, key="frk_wrong") as stranger, pytest.raises(NotAllowed, match="401"):
        stranger.list_items()


def test_ids_of_all_kinds_arrive_as_they_are(site, admin):
    with Client(site.url, key=admin.text) as client:
        for item_id in ("a/b", "..", ".", "ö ü", "100%", "x?y#z", "a+b", "%2F"):
            assert client.put_item(item_id, {"title": "x"})["item_id"] == item_id


def test_signed_requests_are_taken_also_when_they_are_repeated(site, admin):
    secret = signing_secret(SECRET, admin.record.id)
    with Client(site.url, auth=SignatureAuth(admin.record.id, secret), events=FAST) as client:
        site.app.moods = ["busy", "answer lost"]
        assert client.put_item("a b/c", {"title": "signed"})["item_id"] == "a b/c"
        client.events.track(view(1))
        assert client.events.flush()
        client.recommend_for_user("ann", category=["a", "b"], user_token=user_token(admin.record.id, secret, "ann"))
    with Client(site.url, auth=SignatureAuth(admin.record.id, "wrong")) as stranger, pytest.raises(NotAllowed):
        stranger.list_items()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_every_event_counts_once_through_bad_weather(site, admin, seed):
    moods = Random(seed).choices(["fine", "busy", "gone", "answer lost", "slow"], k=15)
    with Client(site.url, key=admin.text, timeout=0.8, events=FAST._replace(max_batch=7)) as client:
        site.app.moods = moods
        ids = [client.events.track(view(number)) for number in range(120)]
        assert client.events.flush(150)
        assert client.events.counts() == (120, 120, 0, 0)
        on_log = logged(site.folder)
        assert set(on_log) == set(ids)
        assert counted(client, 120) == 120


@pytest.mark.slow
def test_events_of_a_stopped_site_are_sent_when_it_is_back(site, admin):
    with Client(site.url, key=admin.text, events=FAST) as client:
        client.events.track(view(1))
        assert client.events.flush(20)
        site.stop()
        ids = [client.events.track(view(number)) for number in range(2, 50)]
        assert not client.events.flush(0.3)
        with pytest.raises(Unreachable):
            client.list_items()
        site.start()
        assert client.events.flush(60)
    assert set(ids) < set(logged(site.folder))


async def test_the_asynchronous_client_loses_nothing_either(site, admin):
    moods = Random(4).choices(["fine", "busy", "gone", "answer lost"], k=12)
    async with AsyncClient(site.url, key=admin.text, events=FAST._replace(max_batch=9)) as client:
        site.app.moods = moods
        ids = [client.events.track(view(number)) for number in range(60)]
        assert await client.events.flush(60)
        assert client.events.counts() == (60, 60, 0, 0)
        assert (await client.list_items(limit=1))["items"] == []
        last = client.events.track(view(99))
    assert set(logged(site.folder)) == {*ids, last}


def test_events_that_the_site_refuses_are_told_and_not_sent_again(site, admin):
    told = []
    options = FAST._replace(on_refused=told.append)
    with Client(site.url, key=admin.text, events=options) as client:
        good, bad = client.events.track(view(1)), client.events.track({"type": "view", "user_id": "ann"})
        assert client.events.flush()
        assert client.events.counts() == (2, 1, 1, 0)
    assert [each.event["event_id"] for each in told] == [bad]
    assert told[0].reason["field"] == "item_id"
    assert logged(site.folder) == [good]


def test_a_full_queue_and_a_closed_client_say_so(site, admin):
    client = Client("http://127.0.0.1:9", key="x", events=SenderOptions(max_queued=2, close_seconds=0.1))
    client.events.track(view(1))
    client.events.track(view(2))
    with pytest.raises(QueueFull):
        client.events.track(view(3))
    client.close()
    assert client.events.counts() == (2, 0, 0, 2)
    with pytest.raises(Closed):
        client.events.track(view(4))


def test_a_busy_site_is_tried_again_and_then_said_to_be_busy(site, admin):
    with Client(site.url, key=admin.text, retries=1) as client:
        site.app.moods = ["busy"]
        client.list_items()
        site.app.moods = ["busy", "busy"]
        with pytest.raises(Busy):
            client.list_items()


def test_a_program_that_ends_sends_what_waits(site, admin):
    program = (
        "from freshet_client import Client\n"
        f"client = Client({site.url!r}, key={admin.text!r})\n"
        "for n in range(20): client.events.track({'type': 'view', 'user_id': 'bob', 'item_id': str(n)})\n"
    )
    source = Path(freshet_client.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(source)}, check=True, timeout=60)
    assert len(set(logged(site.folder))) == 20


@pytest.mark.slow
def test_a_wheel_is_built_with_its_types(tmp_path):
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), ".")
    done = subprocess.run(command, cwd=ROOT / "clients" / "python", capture_output=True, text=True, check=False)
    if "No matching distribution found for hatchling" in done.stderr:
        pytest.skip("hatchling cannot be had without a network: it builds the wheel")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("freshet_client-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"freshet_client/client.py", "freshet_client/models.py", "freshet_client/py.typed"} <= set(names)
