"""Records of the audit log stay readable."""

from __future__ import annotations

import pytest

from schemas.access.audit import AuditRecord, audit_entry, decode_audit
from schemas.errors import Undecodable


def test_a_record_of_an_earlier_release_that_says_stranger_is_read():
    stored = b'{"type":"audit","at":1.0,"actor_kind":"stranger","actor":"","action":"PUT /v1/items/{item_id}"}'
    assert decode_audit(stored) == AuditRecord(
        at=1.0, actor_kind="stranger", actor="", action="PUT /v1/items/{item_id}"
    )


def test_a_caller_without_a_key_is_stored_as_anonymous():
    record = AuditRecord(at=1.0, actor_kind="anonymous", actor="", action="POST /v1/events")
    assert decode_audit(audit_entry(record).value) == record


def test_a_kind_of_caller_that_never_existed_is_not_read():
    with pytest.raises(Undecodable, match="actor_kind"):
        decode_audit(b'{"type":"audit","at":1.0,"actor_kind":"visitor","actor":"","action":""}')
