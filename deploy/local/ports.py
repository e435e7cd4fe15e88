"""Finds out if a port is free, and names the process that uses it."""

import socket
from pathlib import Path

_LISTENING = "0A"


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As the servers do: connections of a run that just ended don't hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def holder(port: int) -> str | None:
    """The listening process as `name (pid 123)`, or None where this user may not see it."""
    sockets = _listening_sockets(port)
    for process in Path("/proc").glob("[0-9]*"):
        if sockets & _open_sockets(process):
            return f"{_name(process)} (pid {process.name})"
    return None


def _listening_sockets(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            inodes |= listening_inodes(table.read_text(), port)
    return {f"socket:[{inode}]" for inode in inodes}


def listening_inodes(table: str, port: int) -> set[str]:
    """The inodes of the sockets that listen on `port`, out of the text of /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port}


def _open_sockets(process: Path) -> set[str]:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return set()
    return {target for descriptor in descriptors if (target := _target(descriptor))}


def _target(descriptor: Path) -> str | None:
    try:
        return str(descriptor.readlink())
    except OSError:
        return None


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"
