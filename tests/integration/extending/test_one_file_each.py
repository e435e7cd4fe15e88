"""A candidate source, an algorithm, a signal, a log adapter: each is one file. An event type is a weight, and no file.

All of them are added to a copy of the tree, and the whole system runs on it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]

SIGNAL = '''
"""How often each item was wished for."""

from typing import Final

import msgspec

from signals.counters import AggregateKind, Retraction, collect_entries


class Wishes(msgspec.Struct, array_like=True, frozen=True):
    count: int = 0


def fold(wishes, entries):
    return Wishes(wishes.count + sum(not isinstance(entry, Retraction) and entry.type == "wish" for entry in entries))


def merge(partitions, weights):
    return sum(wishes.count for wishes in partitions)


KIND: Final = AggregateKind("wish", Wishes(), collect_entries, fold, merge)
'''

SOURCE = '''
"""The items that were wished for most."""

import numpy as np

from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES, Candidates


def generate(context):
    allowed = np.flatnonzero(context.allowed).astype(np.int32)
    read, ids = context.signals.aggregates.read, context.catalogue.ids
    wishes = np.array([read("wish", ids[position]) or 0 for position in allowed], np.float32)
    if not wishes.any():
        return NO_CANDIDATES
    return Candidates(allowed[wishes > 0], wishes[wishes > 0] / wishes.max())


SOURCE = CandidateSource("wished", 5.0, Sentence("wished for by many"), generate)
'''

ALGORITHM = '''
"""Ranks items by the alphabet, backwards."""

from dataclasses import dataclass

import numpy as np

from models.popularity import Popularity
from offline.training.algorithm import Algorithm


@dataclass(frozen=True, kw_only=True)
class NoParameters:
    pass


def train(interactions, parameters, context):
    item_ids = tuple(interactions.item_ids)
    return Popularity(item_ids, np.argsort(np.argsort(item_ids)).astype(np.float32) + 1)


ALGORITHM = Algorithm(name="alphabet", about="the alphabet", parameters=NoParameters, train=train, kind="popularity")
'''

LOG = '''
"""A log of lines of JSON in a folder, of one partition: ``lines://folder``."""

import base64
import json
import time
from concurrent.futures import Future
from pathlib import Path
from threading import Lock

from adapters.registry import Adapter
from schemas.log.records import OffsetToken, Record


class LinesLog:
    def __init__(self, address):
        self._folder, self._lock = Path(address.location), Lock()
        self._folder.mkdir(parents=True, exist_ok=True)

    def append(self, topic, entries):
        with self._lock, (self._folder / topic).open("a") as lines:
            end = self.bounds(topic, 0)[1]
            for entry in entries:
                key, value = (base64.b64encode(part).decode() for part in entry)
                lines.write(json.dumps([int(time.time() * 1_000), key, value]) + chr(10))
        done = Future()
        done.set_result([OffsetToken(0, end + number) for number in range(len(entries))])
        return done

    def log_id(self, topic):
        return "lines"

    def partitions(self, topic):
        return 1

    def bounds(self, topic, partition):
        return 0, len(self._lines(topic))

    def ends(self):
        return {(path.name, 0): self.bounds(path.name, 0)[1] for path in self._folder.iterdir()}

    def read(self, topic, partition, offset, limit):
        lines = map(json.loads, self._lines(topic)[offset : offset + limit])
        decoded = ((at, base64.b64decode(key), base64.b64decode(value)) for at, key, value in lines)
        return [Record(topic, 0, offset + number, *fields) for number, fields in enumerate(decoded)]

    def close(self):
        pass

    def _lines(self, topic):
        path = self._folder / topic
        return path.read_text().splitlines() if path.exists() else []


ADAPTER = Adapter(("lines",), log_writer=LinesLog, log_reader=LinesLog)
'''

FILES = {
    "signals/kinds/wishes.py": SIGNAL,
    "serving/ranking/candidates/wished.py": SOURCE,
    "offline/training/alphabet.py": ALGORITHM,
    "adapters/lines_log.py": LOG,
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the product with the four files in it."""
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in FILES.items():
        assert not (folder / path).exists()
        (folder / path).write_text(text.lstrip())
    return folder


@pytest.fixture(scope="module")
def environment(tree):
    """Settings by which the additions are used: two addresses, and the weight of a type of events that is new."""
    return {
        **os.environ,
        "PYTHONPATH": str(tree),
        "FRESHET_DATA": str(tree / "data"),
        "FRESHET_LOG": f"lines://{tree / 'log'}",
        "FRESHET_PARTITIONS": "1",
        "FRESHET_RANKING": '{"weights": {"wish": 3.0}, "population_weights": {"wish": 3.0}}',
        "FRESHET_EVENT_TYPES": "wish",
        "FRESHET_WEIGHTS": "wish=3",
        "FRESHET_ALGORITHM": "alphabet",
        "FRESHET_WEIGH_EVENTS": "0",
    }


def call(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"})) as answer:
        return json.load(answer)


def eventually(condition, what, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)


def answers(url):
    try:
        return call(url)
    except (urllib.error.URLError, OSError):
        return None


@contextmanager
def system(tree, environment):
    """``freshet up`` on the copy; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "deploy.commands.cli", "up", "--port", str(port)]
    with (tree / "up.log").open("w") as output:
        process = subprocess.Popen(command, cwd=tree, env=environment, stdout=output, stderr=output)
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/health/live"), (tree / "up.log").read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def freshet(tree, environment, *arguments):
    command = [sys.executable, "-m", "deploy.commands.cli", *arguments]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_source_an_algorithm_a_signal_an_event_type_and_a_log_are_added_by_one_file_each(tree, environment):
    wishes = [(user, item) for user in range(12) for item in range(user % 5 + 1)]
    with system(tree, environment) as url:
        events = [{"type": "wish", "user_id": f"u{user}", "item_id": f"item-{item}"} for user, item in wishes]
        results = call(f"{url}/v1/events", events)["results"]
        assert {result["status"] for result in results} == {"accepted"}

        freshet(tree, environment, "train", "--force")
        eventually(lambda: answers(f"{url}/health/ready"), "the model is served")
        answer = call(f"{url}/v1/users/u0/recommendations?count=3&after={results[-1]['offset']}")

    wished = {
        item["item_id"]: reason
        for item in answer["items"]
        for reason in item["reasons"]
        if reason["source"] == "wished"
    }
    assert answer["items"][0]["item_id"] == "item-1", "of the items that u0 has not wished for, most wished for item-1"
    assert wished, "the new source gives reasons"
    assert "alphabet" in freshet(tree, environment, "models", "list")
    assert "equal" in freshet(tree, environment, "signals", "verify")
