"""``python -m tests.golden record|compare``: make the recording of behaviour anew, or compare all of it with today's.

The embedded stack is recorded; the cluster's answers, bytes and training must be the same. ``--stack cluster`` uses
the servers that ``FRESHET_KAFKA``, ``FRESHET_REDIS`` and ``FRESHET_CASSANDRA`` name, by default those of ``make stack``.
Replays take long (``ml-100k`` an hour), so each is recorded and compared only where it is asked for.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.golden import recording, subject
from tests.golden.requests import calls

_AS_SESSIONS: Final = (
    "--map session=SessionId,item=ItemId,time=Time --limit 6000 --retrain-days 0.1 --retrain-share 0.2"
)
STREAMS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "deskdrop": ("deskdrop", ("--limit", "12000")),
    # The whole set asks for nothing before its last file: as sessions of a shop, that file asks from the first on.
    "rsc15": ("rsc15/test.tsv.gz", _AS_SESSIONS.split()),
    "ml-100k": ("ml-100k", ()),
}
"""What is replayed: a path in the folder of data sets, and the command's options."""
_SHOWN: Final = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("--stack", choices=["embedded", "cluster"], default="embedded")
    parser.add_argument(
        "--replays", nargs="*", choices=list(STREAMS), help="replay these alone; all where none is named"
    )
    parser.add_argument("--datasets", type=Path, default=Path(os.environ.get("FRESHET_DATASETS", "../shared/data")))
    parser.add_argument(
        "--reports",
        type=Path,
        help="a folder of <data set>.json that freshet evaluate replay wrote: not replayed again",
    )
    arguments = parser.parse_args()
    if arguments.stack == "cluster" and arguments.what == "record":
        parser.error("the cluster is compared with what the embedded stack gave")
    sys.exit(_replays(arguments) if arguments.replays is not None else _site(arguments))


def _site(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "data"
        if arguments.stack == "embedded":
            site = subject.embedded_site(folder)
        else:
            site = subject.cluster_site(folder, os.environ)
        made = recording.record(site)
    if arguments.what == "compare":
        return _compare(recording.read(), made)
    recording.write(made)
    print(f"recorded {len(made['answers']):,} answers in {recording.FILE.name}")
    return 0


def _compare(recorded: Mapping[str, Any], made: Mapping[str, Any]) -> int:
    differing = _line("signals", recorded["signals"], made["signals"])
    differing += _line("training", recorded["training"], made["training"])
    asked, start = Counter(call.route for call in calls()), 0
    for route, count in asked.items():
        part = slice(start, start + count)
        differing += _line(f"answers: {route}", recorded["answers"][part], made["answers"][part])
        start += count
    return 1 if differing else 0


def _replays(arguments: argparse.Namespace) -> int:
    differing = 0
    for name in arguments.replays or STREAMS:
        if arguments.reports:
            rows = subject.replay_rows(arguments.reports / f"{name}.json")
        else:
            print(f"replaying {name} ...", flush=True)
            path, options = STREAMS[name]
            rows = subject.replay(arguments.datasets / path, options)
        if arguments.what == "record":
            recording.write_replays({name: rows})
        else:
            recorded = recording.read_replays()[name]
            differing += _line(f"replay: {name}", recorded, recording.by_name(recording.rounded(rows)))
    return 1 if differing else 0


def _line(part: str, recorded: Any, made: Any) -> int:
    """Print how much was compared and what differs; the number of differences."""
    differing = recording.differences(recorded, made)
    print(f"{part:<26}{len(recorded):>7,} compared  {len(differing):>6,} differences", flush=True)
    for line in differing[:_SHOWN]:
        print(f"    {line}")
    return len(differing)


if __name__ == "__main__":
    main()
