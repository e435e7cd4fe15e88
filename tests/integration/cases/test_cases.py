"""Every case under FRESHET_CASES gives what its README expects. Each new case needs a check in ``expected_imports`` or ``expected_calls``."""

from __future__ import annotations

import pytest

from tests.integration.cases import expected_calls, expected_imports
from tests.integration.cases.conftest import CASES, RunCalls, RunScript

PENDING: dict[str, str] = {
    "01-header-word-trailing-blank": "blanks beside a time are refused",
    "02-mixed-dates": "81 is a time of 1970",
    "03-us-dates": "there is no --time-format",
    "04-online-retail": "there is no --time-format",
    "05-utc-suffix": "a time that ends in UTC is refused",
    "06-tmall-mmdd": "0511 is a time of 1970",
    "07-yyyymmdd": "20190101 is a time of 1970",
    "09-taobao-outliers": "a time of 1922 is taken, and there is no --types",
    "14-stray-quote": "a stray quote swallows lines",
    "15-cr-only": "CR alone ends in a traceback",
    "16-utf16": "UTF-16 is not recognised",
    "18-cp1252-header": "the encoding is not named",
    "19-json-array": "an array is not read",
    "20-jsonl-number-ids": "numbers as ids lose their digits",
    "21-jsonl-nan": "NaN becomes a person",
    "22-amazon-null-ids": "null becomes a person",
    "28-epoch-small": "1 is a time of 1970",
    "31-duplicate-header": "the last column of a name is taken",
    "32-blank-after-comma": "blanks are part of ids",
    "33-header-by-number": "a header is a person",
    "41-sniffer-apostrophes": "a blank is taken for the delimiter",
    "42-underscore-number": "1_5 is a number",
    "43-amazon-category-text": "text becomes letters",
}
"""Cases that fail today, and why. A case that is mended turns its test red until it is taken out here."""

FOUND = sorted(path.name for path in CASES.iterdir() if path.is_dir()) if CASES.is_dir() else []

pytestmark = [
    pytest.mark.skipif(not FOUND, reason=f"there are no cases in {CASES}; name their folder with FRESHET_CASES"),
    pytest.mark.timeout(180),
]


def found_with(program: str) -> list[object]:
    """The cases that have this program, those of PENDING as expected failures."""
    names = [name for name in FOUND if (CASES / name / program).exists()]
    return [pytest.param(name, marks=pending(name)) for name in names]


def pending(name: str) -> tuple[pytest.MarkDecorator, ...]:
    """The mark of an expected failure, for a case of PENDING."""
    return (pytest.mark.xfail(reason=PENDING[name], strict=True),) if name in PENDING else ()


@pytest.mark.parametrize("name", found_with("cmd.sh"))
def test_the_commands_of_a_case_do_what_its_readme_expects(name: str, run_script: RunScript) -> None:
    check = expected_imports.EXPECTED[name]
    script = run_script(name)
    script.check_counts()
    check(script)


@pytest.mark.parametrize("name", found_with("case.py"))
def test_the_calls_of_a_case_get_what_its_readme_expects(name: str, run_calls: RunCalls) -> None:
    check = expected_calls.EXPECTED[name]
    calls = run_calls(name)
    assert "Traceback" not in calls.output, calls.output
    assert not calls.server_errors, calls.output
    check(calls)


def test_each_case_has_an_expectation() -> None:
    assert set(FOUND) <= expected_imports.EXPECTED.keys() | expected_calls.EXPECTED.keys()
    assert not PENDING.keys() - set(FOUND)
