"""SECURITY.md names, for each threat, tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def test_every_threat_of_the_list_has_a_test():
    rows = re.findall(r"^\| API(\d+) .*$", PAGE, re.MULTILINE)
    assert rows == [str(number) for number in range(1, 11)]
    assert all("`tests/" in row for row in re.findall(r"^\| API\d+ .*$", PAGE, re.MULTILINE))


def test_every_test_that_is_named_exists():
    missing = [
        f"{path}::{name}"
        for path, name in NAMED
        if not (ROOT / path).is_file() or (name and f"def {name}(" not in (ROOT / path).read_text())
    ]
    assert missing == []
