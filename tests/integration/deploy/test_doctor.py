"""``freshet doctor``: a line each, and an exit code."""

import os
from contextlib import closing
from datetime import UTC, datetime

from adapters.files.folder_lock import folder_lock
from adapters.sqlite.models import SqliteModelStore
from deploy.commands.checks import setup
from schemas.log import topics


def test_a_healthy_folder_has_a_tick_a_line_and_exit_code_0(trained_shop, freshet):
    done = freshet("doctor", "--data", trained_shop.folder)
    assert done.exit_code == 0, done.output
    ticks = [line.split(":")[0] for line in done.output.splitlines() if line.startswith("✓")]
    assert {f"✓ {name}" for name in ("Python", "log", "model", "signals of events", "dead letters")} <= set(ticks)
    assert "✗" not in done.output


def test_a_folder_that_is_not_there_is_broken_and_not_made(tmp_path, freshet):
    done = freshet("doctor", "--data", tmp_path / "nowhere")
    assert done.exit_code == 1
    assert "✗ data folder" in done.output
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_without_a_log_stays_as_it_is(tmp_path, freshet):
    done = freshet("doctor", "--data", tmp_path)
    assert done.exit_code == 1
    assert "✗ log: there is none" in done.output
    assert list(tmp_path.iterdir()) == []


def test_no_model_and_signals_behind_are_things_to_do_not_failures(empty_shop, freshet):
    empty_shop.append(topics.EVENTS, b"ann", b"{}")
    done = freshet("doctor", "--data", empty_shop.folder)
    assert done.exit_code == 0, done.output
    assert "! model: none is active" in done.output
    assert "! signals of events: up to 1 records behind" in done.output


def test_a_record_that_could_not_be_applied_waits_as_a_dead_letter(empty_shop, freshet):
    empty_shop.append(topics.EVENTS, b"ann", b"not json")
    empty_shop.follow()
    done = freshet("doctor", "--data", empty_shop.folder)
    assert "! dead letters: 1 wait" in done.output
    assert "✓ signals of events" in done.output


def test_a_model_whose_values_are_damaged_is_broken(empty_shop, trained_shop, freshet):
    with closing(SqliteModelStore(trained_shop.folder)) as store, closing(SqliteModelStore(empty_shop.folder)) as other:
        manifest = store.manifest(store.active())
        other.write(manifest, dict.fromkeys(manifest.values, b"rubbish"), {})
        other.activate(manifest.version, None)
        assert setup.model(store, datetime.now(UTC)).state == "ok"
    done = freshet("doctor", "--data", empty_shop.folder)
    assert done.exit_code == 1
    assert "✗ model" in done.output


def test_the_process_that_holds_the_folder_is_named(tmp_path):
    assert setup.holder(tmp_path) is None
    with folder_lock(tmp_path):
        assert setup.holder(tmp_path) == str(os.getpid())
    assert setup.holder(tmp_path) is None
