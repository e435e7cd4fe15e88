"""Runs ``freshet`` for shell scripts without the two seconds that each start of Python and its imports would take.

A server process imports the command once, and forks for each run. The script finds a small ``freshet`` on its PATH that
asks the server. The server also notes each run, and has each import write its counts.

    python command_server.py serve FOLDER      # waits on FOLDER/socket, until standard input ends
    python command_server.py run FOLDER ...    # what FOLDER/bin/freshet does
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import socketserver
import sys
import threading
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

RUN_SECONDS = 120
RUNS = "CASE_RUNS"
"""Variable with the file that gets one line of JSON for each run."""


class Handler(socketserver.StreamRequestHandler):
    """One run, in a process of its own."""

    def handle(self) -> None:
        signal.alarm(RUN_SECONDS)
        request = json.loads(self.rfile.readline())
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        run = run_command(request["arguments"])
        with Path(os.environ[RUNS]).open("a") as runs:
            runs.write(json.dumps(run) + "\n")
        self.wfile.write(json.dumps(run).encode())


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks for each run."""


def run_command(arguments: list[str]) -> dict[str, object]:
    """Runs the command in this process; its output, exit code, and the counts of an import."""
    counts = Path(f"{os.environ[RUNS]}.counts.{os.getpid()}")
    is_import = arguments[:1] == ["import"] and "--json" not in arguments
    output, code = captured([*arguments, "--json", str(counts)] if is_import else arguments)
    written = json.loads(counts.read_text()) if counts.exists() else None
    return {"arguments": arguments, "output": output, "exit_code": code, "counts": written}


def captured(arguments: list[str]) -> tuple[str, int]:
    """Runs ``main`` as the installed script does: a traceback is output, with exit code 1."""
    from deploy.commands.cli import main

    sys.argv = ["freshet", *arguments]
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        try:
            main()
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        except Exception:  # noqa: BLE001 - a traceback is output too
            traceback.print_exc()
            code = 1
        else:
            code = 0
    return output.getvalue(), code


def serve(folder: Path) -> None:
    """Serves until standard input ends."""
    import deploy.commands.cli  # noqa: F401 - what every run needs is imported before the forks

    with Server(str(folder / "socket"), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        server.shutdown()


def ask(folder: Path, arguments: list[str]) -> int:
    """Asks the server for a run; prints its output and returns its exit code."""
    request = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / "socket"))
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    run = json.loads(answer)
    sys.stdout.write(run["output"])
    return run["exit_code"]


if __name__ == "__main__":
    place = Path(sys.argv[2])
    if sys.argv[1] == "serve":
        serve(place)
    else:
        sys.exit(ask(place, sys.argv[3:]))
