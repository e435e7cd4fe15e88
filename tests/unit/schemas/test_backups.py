"""The list of backups that were made, which receipts of erasures name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schemas.backups import NotedBackup, decode_noted, encode_noted
from schemas.errors import Undecodable

AT = datetime(2026, 11, 23, tzinfo=UTC)


def test_a_backup_is_noted_once_and_without_the_password_of_its_address():
    once = decode_noted(encode_noted([], "s3://key:secret@bucket/monday", AT))
    assert once == [NotedBackup(place="s3://bucket/monday", created_at=AT)]
    assert decode_noted(encode_noted(once, "s3://bucket/monday", AT)) == once
    assert [backup.place for backup in decode_noted(encode_noted(once, "/backups/a@b", AT))][1] == "/backups/a@b"


def test_without_a_list_no_backup_is_known_and_a_broken_one_is_said():
    assert decode_noted(None) == []
    with pytest.raises(Undecodable, match="not a list of backups"):
        decode_noted(b"{")
