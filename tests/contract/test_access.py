"""Following keys on every log: a key counts, and no longer counts, within two seconds."""

from __future__ import annotations

import time

from deploy.access.follower import AccessFollower
from deploy.access.known_keys import KnownKeys
from ingest.access import append_access
from schemas.access import keys
from schemas.access.scopes import Scope
from schemas.access.uses import KeyUse, last_uses, use_entry
from schemas.log import topics

KEY = keys.make_key(bytes(keys.ENTROPY_BYTES), [Scope.ADMIN], 0.0)
PROMISED_SECONDS = 2.0


def seconds_until(holds) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < 30
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_key_counts_and_no_longer_counts_within_two_seconds(open_log, tmp_path):
    follower = AccessFollower(open_log.reader, KnownKeys(tmp_path / "access.json"), time.time)
    writer = open_log.writer()
    follower.start(open_log.patience)
    assert seconds_until(lambda: follower.view.is_known) < open_log.patience
    assert not follower.view.had_keys
    append_access(writer, [keys.key_entry(KEY.record)])
    assert seconds_until(lambda: follower.view.find(KEY.text) is not None) <= PROMISED_SECONDS
    append_access(writer, [keys.key_entry(keys.revoke(KEY.record, 1.0))])
    assert seconds_until(lambda: not follower.view.keys[KEY.record.id].is_live(2.0)) <= PROMISED_SECONDS
    follower.stop()


def test_the_last_use_of_a_key_is_read_from_all_partitions(open_log):
    writer = open_log.writer()
    uses = [KeyUse(f"frk_{number % 5:012x}", number) for number in range(40)]
    writer.append(topics.KEY_USES, [use_entry(use) for use in uses]).result(open_log.patience)
    assert last_uses(open_log.reader()) == {f"frk_{key:012x}": 35 + key for key in range(5)}
