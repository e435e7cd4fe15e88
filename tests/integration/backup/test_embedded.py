"""A data folder is backed up while it is used, and restored as a whole or not at all."""

from __future__ import annotations

import threading
import time

import pytest

from deploy.config import CommandSettings
from deploy.embedded.app import nearline
from deploy.wiring.dependencies import open_dependencies
from nearline.recovery.verify import verify
from schemas.log import topics
from tests.integration.backup.conftest import contents, events


@pytest.fixture
def shop(tmp_path, fill):
    settings = CommandSettings(stack="embedded", data=tmp_path / "shop")
    with nearline(settings) as running, open_dependencies(settings) as dependencies:
        fill(dependencies)
        _wait(running)
    (settings.data / "refused").mkdir()
    (settings.data / "refused" / "rows.jsonl").write_text("{}\n")
    (settings.data / "logs").mkdir()
    (settings.data / "logs" / "train.log").write_text("long\n")
    return settings


def _wait(running) -> None:
    until = time.monotonic() + 20
    while running.missing() is not None:
        assert time.monotonic() < until, running.missing()
        time.sleep(0.01)


def folder_of(settings, name: str):
    return settings.model_copy(update={"data": settings.data.with_name(name)})


def test_a_restored_site_holds_everything_and_its_signals_are_at_their_fences(shop, freshet, tmp_path):
    code, said = freshet("backup", tmp_path / "backup", "--data", shop.data)
    assert (code, "every digest is right" in said) == (0, True)
    restored = folder_of(shop, "restored")
    code, said = freshet("restore", tmp_path / "backup", "--data", restored.data)
    assert code == 0, said
    with open_dependencies(shop) as before, open_dependencies(restored) as after:
        assert contents(after) == contents(before)
        assert after.reader.log_id(topics.EVENTS) != before.reader.log_id(topics.EVENTS)
        report = verify(after.reader, after.signals)
        assert report.equal
        assert all(check.fence is None or check.fence.offset >= 0 for check in report.checks if check.values)
    assert (restored.data / "refused" / "rows.jsonl").exists()
    assert not (restored.data / "logs").exists()


def test_a_restored_site_goes_on_from_where_it_was(shop, freshet, tmp_path):
    freshet("backup", tmp_path / "backup", "--data", shop.data)
    restored = folder_of(shop, "restored")
    freshet("restore", tmp_path / "backup", "--data", restored.data)
    with nearline(restored) as running, open_dependencies(restored) as dependencies:
        [token, *_] = running.writer.append(topics.EVENTS, events(50, seed=2)).result(timeout=20)
        until = time.monotonic() + 20
        while dependencies.signals.fence(token.partition, "users").offset < token.offset:
            assert time.monotonic() < until
            time.sleep(0.01)
        _wait(running)
        assert verify(dependencies.reader, dependencies.signals).equal


def test_a_backup_under_traffic_is_of_one_moment(shop, freshet, tmp_path):
    stop = threading.Event()
    with nearline(shop) as running:

        def send() -> None:
            seed = 10
            while not stop.is_set():
                running.writer.append(topics.EVENTS, events(20, seed=(seed := seed + 1))).result(timeout=20)

        sending = threading.Thread(target=send)
        sending.start()
        try:
            time.sleep(0.2)
            code, said = freshet("backup", tmp_path / "backup", "--data", shop.data)
        finally:
            stop.set()
            sending.join()
    assert code == 0, said
    restored = folder_of(shop, "restored")
    assert freshet("restore", tmp_path / "backup", "--data", restored.data)[0] == 0
    with open_dependencies(restored) as dependencies:
        assert verify(dependencies.reader, dependencies.signals).equal
    with nearline(restored) as running, open_dependencies(restored) as dependencies:
        _wait(running)
        assert verify(dependencies.reader, dependencies.signals).equal


def test_a_damaged_or_incomplete_backup_is_refused_and_leaves_the_target_as_it_was(shop, freshet, tmp_path):
    freshet("backup", tmp_path / "backup", "--data", shop.data)
    path = tmp_path / "backup" / "log.sqlite"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    before = sorted(shop.data.parent.iterdir())
    for options in (["--data", shop.data.with_name("new")], ["--data", shop.data, "--force"], ["--check"]):
        code, said = freshet("restore", tmp_path / "backup", *options)
        assert (code, "log.sqlite" in said, "digest" in said) == (1, True, True)
    path.unlink()
    assert "lacks the file log.sqlite" in freshet("restore", tmp_path / "backup", "--check")[1]
    (tmp_path / "backup" / "manifest.json").unlink()
    code, said = freshet("restore", tmp_path / "backup", "--data", shop.data.with_name("new"))
    assert (code, "no complete backup" in said) == (1, True)
    assert sorted(shop.data.parent.iterdir()) == before
    with open_dependencies(shop) as dependencies:
        assert verify(dependencies.reader, dependencies.signals).equal


def test_a_site_that_holds_something_is_replaced_only_with_force_and_never_while_it_runs(shop, freshet, tmp_path):
    freshet("backup", tmp_path / "backup", "--data", shop.data)
    code, said = freshet("restore", tmp_path / "backup", "--data", shop.data)
    assert (code, "not empty" in said) == (1, True)
    with nearline(shop):
        code, said = freshet("restore", tmp_path / "backup", "--data", shop.data, "--force")
        assert (code, "another process" in said.lower() or "pid" in said) == (1, True), said
    with open_dependencies(shop) as dependencies:
        before = contents(dependencies)
    code, said = freshet("restore", tmp_path / "backup", "--data", shop.data, "--force")
    assert (code, "replaced-" in said) == (0, True), said
    with open_dependencies(shop) as dependencies:
        assert contents(dependencies) == before


def test_a_backup_goes_to_a_new_place_only_and_to_its_own_stack(shop, freshet, tmp_path):
    freshet("backup", tmp_path / "backup", "--data", shop.data)
    code, said = freshet("backup", tmp_path / "backup", "--data", shop.data)
    assert (code, "is not empty" in said) == (1, True)
    code, said = freshet("restore", tmp_path / "backup", "--data", tmp_path / "new", "--stack", "cluster")
    assert (code, "embedded stack" in said) == (1, True)
    code, said = freshet("backup", tmp_path / "other", "--data", tmp_path / "nothing")
    assert (code, "no Freshet data" in said) == (1, True)


def test_a_backup_may_be_at_an_address_of_fsspec(shop, freshet, site):
    assert freshet("backup", f"memory://{site}", "--data", shop.data)[0] == 0
    assert freshet("restore", f"memory://{site}", "--data", shop.data.with_name("new"))[0] == 0


def test_a_manifest_cannot_name_a_file_outside_of_the_backup(shop, freshet, tmp_path):
    freshet("backup", tmp_path / "backup", "--data", shop.data)
    path = tmp_path / "backup" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"data/refused/rows.jsonl"', b'"data/../../rows.jsonl"'))
    code, said = freshet("restore", tmp_path / "backup", "--data", tmp_path / "new")
    assert (code, "outside of it" in said) == (1, True)
