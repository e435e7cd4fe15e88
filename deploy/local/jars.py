"""The Java servers' jars: fetched once by Maven, shared by all stacks of this machine."""

import fcntl
import hashlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import programs
from deploy.local.errors import DownloadFailed

CONF = Path(__file__).parent / "conf"

Report = Callable[[str], None]


def classpath(server: str, jars: Path, report: Report) -> str:
    """The server's class path, its jars downloaded first where they aren't there yet."""
    pom = CONF / f"{server}.pom.xml"
    folder = jars / f"{server}-{_fingerprint(pom)}"
    if not _complete(folder):
        jars.mkdir(parents=True, exist_ok=True)
        with locked(jars / ".lock"):
            # Another stack may have fetched them while this one waited.
            if not _complete(folder):
                _fetch(server, pom, folder, report)
    return str(folder / "*")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file against other processes; a process that dies lets go of it."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _fetch(server: str, pom: Path, folder: Path, report: Report) -> None:
    maven = programs.find("mvn", "maven")
    log = folder.with_suffix(".log")
    report(f"downloading {server}'s jars, once (about 60 MB)")
    command = [
        maven,
        "--batch-mode",
        "--quiet",
        "--file",
        str(pom),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={folder}",
        "-DincludeScope=runtime",
    ]
    with log.open("w") as output:
        ended = subprocess.run(command, stdout=output, stderr=output, check=False)
    if ended.returncode != 0:
        raise DownloadFailed(server, log)
    _mark(folder).touch()


def _fingerprint(pom: Path) -> str:
    """Changes with the pom, so that a new version never meets the old one's jars."""
    return hashlib.sha256(pom.read_bytes()).hexdigest()[:8]


def _complete(folder: Path) -> bool:
    return _mark(folder).exists()


def _mark(folder: Path) -> Path:
    return folder / ".complete"
