"""`freshet rebuild signals` and `freshet signals verify` on a data folder."""

from __future__ import annotations

import time

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from nearline.loop import EmbeddedLoop
from schemas.erasures import REBUILDS, encode_times
from schemas.log import topics
from schemas.log.records import LogEntry


@pytest.fixture
def shop(tmp_path, hands):
    """A folder with forty folded clicks of one user in one partition."""
    settings = CommandSettings(stack="embedded", data=tmp_path)
    for offset in range(40):
        hands.log.add(offset)
    entries = [LogEntry(b"k", record.value) for record in hands.log.records[topics.EVENTS, 0]]
    with open_dependencies(settings) as dependencies:
        dependencies.writer.append(topics.EVENTS, entries).result(timeout=20)
        loop = EmbeddedLoop(dependencies.reader, dependencies.signals, hands.refuse, hands.time)
        hands.settle(loop)
    return settings


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_the_command_names_what_differs_replaces_it_and_then_finds_nothing_more(shop, hands):
    code, said = run("rebuild", "signals", "--data", shop.data)
    assert (code, "0 differ; nothing was replaced" in said) == (0, True)
    with open_dependencies(shop) as dependencies:
        store = dependencies.signals
        partition = next(n for n in range(8) if store.fence(n, "users") and store.fence(n, "users").offset >= 0)
        fence = store.fence(partition, "users")
        store.commit(partition, "users", fence, fence, {"u:user3": b"tampered"})
    assert run("signals", "verify", "--data", shop.data)[0] == 1
    code, said = run("rebuild", "signals", "--data", shop.data)
    assert (code, "u:user3" in said, "1 partitions were replaced" in said) == (0, True, True)
    with open_dependencies(shop) as dependencies:
        hands.settle(EmbeddedLoop(dependencies.reader, dependencies.signals, hands.refuse, hands.time))
    code, said = run("signals", "verify", "--data", shop.data)
    assert (code, "all equal" in said) == (0, True)


def test_a_job_rebuilds_only_if_the_log_has_removed_records_of_erased_people(shop):
    def rebuild() -> str:
        code, said = run("rebuild", "signals", "--if-due", "--data", shop.data)
        assert code == 0
        return said

    def note(due: float) -> None:
        with open_dependencies(shop) as dependencies:
            dependencies.documents.write(REBUILDS, encode_times([due]))

    assert rebuild() == "No rebuild is due."
    note(time.time() + 3_600)
    assert rebuild() == "No rebuild is due."
    note(time.time() - 1)
    assert "nothing was replaced" in rebuild()
    assert rebuild() == "No rebuild is due."
