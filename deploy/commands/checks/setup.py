"""Checks of this machine, the data folder, the log and the stores. Each is a small function that says what to do."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Literal, NamedTuple

from adapters.files import folder_lock
from adapters.sqlite import log as sqlite_log
from deploy.local import programs
from deploy.wiring.dependencies import Dependencies
from ingest import dead_letters
from nearline.processor import SIGNALS
from schemas.configuration.addresses import SQLITE, Address
from schemas.errors import FreshetError
from schemas.log import topics
from schemas.ports import LogReader, ModelStore, SignalStore
from serving.state import model_bundle

OLDEST_PYTHON: Final = (3, 11)
OLDEST_JAVA: Final = 17
"""The oldest Java on which Spark 4 runs."""
LITTLE_DISK: Final = 1024**3
NO_DISK: Final = 64 * 1024**2
MANY_LETTERS: Final = 1_000
"""Most dead letters that are counted."""

State = Literal["ok", "note", "broken"]


class Check(NamedTuple):
    """The result of one check. With a ``note`` the thing works, but there is something to do; ``advice`` says what."""

    name: str
    state: State
    found: str
    advice: str = ""


RunCheck = Callable[[], Check]


def ok(name: str, found: str) -> Check:
    """The result of a check that needs no action."""
    return Check(name, "ok", found)


def note(name: str, found: str, advice: str) -> Check:
    """The result of a check that passed, but has advice."""
    return Check(name, "note", found, advice)


def broken(name: str, found: str, advice: str) -> Check:
    """The result of a check that failed."""
    return Check(name, "broken", found, advice)


def run_check(name: str, check: RunCheck) -> Check:
    """The result of a check. If it raises, the result is broken and names the failure."""
    try:
        return check()
    except FreshetError as error:
        return Check(name, "broken", str(error))
    except ImportError as error:
        return broken(name, f"{error.name} is not installed", "run `make dev`")


def python(version: tuple[int, int]) -> Check:
    """Checks that this Python is new enough."""
    version_text = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return broken("Python", version_text, f"install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer")
    return ok("Python", version_text)


def folder(path: Path) -> Check:
    """Checks that the data folder exists and can be written."""
    if not path.is_dir():
        return broken(
            "data folder", f"{path} does not exist", "name it with --data, or make it: `freshet demo`, `freshet import`"
        )
    if not os.access(path, os.W_OK | os.X_OK):
        return broken("data folder", f"{path} cannot be written to", f"make it yours: chown or chmod u+rwx {path}")
    return ok("data folder", str(path))


def disk(path: Path) -> Check:
    """Checks that the disk has room for the log to grow."""
    free = shutil.disk_usage(path).free
    room = f"{free / 1024**3:.1f} GiB free"
    if free < NO_DISK:
        return broken("disk", room, "make room: the log takes nothing more once the disk is full")
    return note("disk", room, "make room soon") if free < LITTLE_DISK else ok("disk", room)


def holder(path: Path) -> str | None:
    """The pid of the process that follows the folder's log; None if there is none."""
    try:
        with (path / folder_lock.FILE).open() as handle:
            try:
                # The lock is shared and released at once, so that this check does not stop a process from starting.
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return handle.read().strip() or "unknown"
    except FileNotFoundError:
        pass
    return None


def running(pid: str | None) -> Check:
    """Checks that a process follows the log."""
    if pid is None:
        return note("running", "nothing runs on this folder", "`freshet up` takes events and answers over HTTP")
    return ok("running", f"a process with pid {pid} follows the log")


def log(reader: LogReader) -> Check:
    """Checks that the log can be read, and counts its records."""
    counts = {topic: sum(end - begin for begin, end in _bounds(reader, topic)) for topic in topics.FACTS}
    contents = ", ".join(f"{count:,} {topic}" for topic, count in counts.items())
    log_id = reader.log_id(topics.EVENTS)
    if not any(counts.values()):
        return note("log", f"empty (log {log_id})", "`freshet import` something, or send events to `freshet up`")
    return ok("log", f"{contents} (log {log_id})")


def signals(topic: str, reader: LogReader, store: SignalStore, *, followed: bool) -> Check:
    """Checks the lag of a topic's signals, and that they follow this log; ``followed`` is True if a process follows it."""
    name = f"signals of {topic}"
    log_id, lag = reader.log_id(topic), 0
    strange, ahead = set[int](), set[int]()
    for partition, (begin, end) in enumerate(_bounds(reader, topic)):
        for fence in (store.fence(partition, signal) for signal in SIGNALS[topic]):
            if fence is not None and fence.log_id != log_id:
                strange.add(partition)
            elif fence is not None and fence.offset >= end:
                ahead.add(partition)
            applied = begin if fence is None else max(begin, fence.offset + 1)
            lag = max(lag, end - applied)
    if strange or ahead:
        fault = "follow another log" if strange else "are ahead of the log, of which an older copy was put back"
        return broken(
            name, f"{len(strange or ahead)} partitions {fault}", _follow(followed, "they are rebuilt from this log")
        )
    if lag:
        return note(name, f"up to {lag:,} records behind in a partition", _follow(followed, "they catch up"))
    return ok(name, "up to date with the log")


def model(store: ModelStore, now: datetime) -> Check:
    """Checks that a version is active, and that serving can load it."""
    version = store.active()
    if version is None:
        return note("model", "none is active, lists are popular items only", "`freshet train` makes one")
    manifest = store.manifest(version)
    age = (now - manifest.created_at).total_seconds() / 86_400
    try:
        model_bundle.load(manifest, partial(store.value, version))
    except (ValueError, KeyError, OSError) as error:
        return broken("model", f"{version} cannot be loaded ({error})", "`freshet models rollback`, or `freshet train`")
    return ok("model", f"{version}, {age:.1f} days old, its values ({', '.join(manifest.values)}) can be read")


def letters(reader: LogReader) -> Check:
    """Checks that no dead letters wait."""
    waiting = list(islice(dead_letters.letters(reader), MANY_LETTERS))
    if not waiting:
        return ok("dead letters", "none wait")
    count = f"{len(waiting):,}{' or more' if len(waiting) == MANY_LETTERS else ''} wait"
    return note("dead letters", f"{count}, the first: {waiting[0].letter.reason}", "`freshet deadletters list`")


def java(find: Callable[[], str] = programs.java) -> Check:
    """Checks that Spark finds the Java that it needs. Models can also be trained without Spark."""
    advice = f"for training on Spark install Java {OLDEST_JAVA} or newer; `--engine single` does without"
    try:
        answer = subprocess.run([find(), "-version"], capture_output=True, text=True, check=False)
    except (FreshetError, OSError) as error:
        return note("Java", f"not found ({error})", advice)
    major = programs.major_version(answer.stderr)
    if not major.isdigit() or int(major) < OLDEST_JAVA:
        return note("Java", major, advice)
    return ok("Java", major)


def of_dependencies(dependencies: Dependencies, *, followed: bool) -> Iterator[Check]:
    """The checks of every stack: log, signals, model, dead letters."""
    yield run_check("log", lambda: log(dependencies.reader))
    for topic in topics.FACTS:
        check = partial(_signals_of, topic, dependencies, followed=followed)
        yield run_check(f"signals of {topic}", check)
    yield run_check("model", lambda: model(dependencies.models, datetime.now(UTC)))
    yield run_check("dead letters", lambda: letters(dependencies.reader))


def of_folder(path: Path, log: Address) -> Iterator[Check]:
    """The checks of an embedded folder itself. They stop at a broken one, because later checks would fail too."""
    folder_check = folder(path)
    yield folder_check
    if folder_check.state == "broken":
        return
    yield disk(path)
    if log.scheme == SQLITE and not (Path(log.location) / sqlite_log.FILE).is_file():
        yield broken(
            "log",
            f"there is none in {log.location}",
            "fill it with `freshet demo` or `freshet import`, or name another",
        )
        return
    yield running(holder(path))


def _signals_of(topic: str, dependencies: Dependencies, *, followed: bool) -> Check:
    return signals(topic, dependencies.reader, dependencies.signals, followed=followed)


def _bounds(reader: LogReader, topic: str) -> list[tuple[int, int]]:
    return [reader.bounds(topic, partition) for partition in range(reader.partitions(topic))]


def _follow(followed: bool, outcome: str) -> str:
    return f"wait a moment: {outcome}" if followed else f"start `freshet up` (or the nearline worker): {outcome}"
