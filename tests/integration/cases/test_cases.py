"""Every case under FRESHET_CASES gives what its README expects. Each new case needs a check in ``expected_imports`` or ``expected_calls``."""

from __future__ import annotations

import pytest

from tests.integration.cases import expected_calls, expected_imports
from tests.integration.cases.conftest import CASES, RunCalls, RunScript

PENDING: dict[str, str] = {}
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
