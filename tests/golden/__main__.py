"""``python -m tests.golden record|compare``: make the recording of behaviour anew, or compare all of it with today's.

Replays are recorded and compared where the data sets are found; the longest of them takes an hour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.golden import recording, subject

REPLAYS: Final = {"deskdrop": 12_000, "rsc15": 12_000, "ml-100k": None}
"""Data sets that are replayed, with how many of their first events; None: the whole stream."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("--datasets", type=Path, help="the folder of the data sets; without it nothing is replayed")
    parser.add_argument("--replays", nargs="*", choices=list(REPLAYS), default=list(REPLAYS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = recording.record(Path(folder))
    replays = {}
    if arguments.datasets:
        for name in arguments.replays:
            print(f"replaying {name} ...", flush=True)
            replays[name] = subject.replay(arguments.datasets / name, REPLAYS[name])
    if arguments.what == "record":
        recording.write(made, replays)
        print(f"recorded {len(made['answers']):,} answers in {recording.FILE.name}")
    else:
        sys.exit(_compare(made | {"replays": replays}))


def _compare(made: dict[str, object]) -> int:
    recorded = recording.read()
    recorded["replays"] = {name: recorded["replays"][name] for name in made["replays"] if name in recorded["replays"]}
    found = 0
    for part in ("signals", "training", "answers", "replays"):
        differing = recording.differences(recorded[part], made[part], part)
        print(f"{part}: {len(recorded[part]):,} compared, {len(differing)} differences")
        for line in differing[:20]:
            print(f"  {line}")
        found += len(differing)
    return 1 if found else 0


if __name__ == "__main__":
    main()
