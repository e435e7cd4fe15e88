"""What validation refused, in memory."""

from ingest.http.rejections import KEPT, Rejections
from ingest.validation.validate import Rejection


def test_the_newest_comes_first_and_the_oldest_is_let_go():
    rejections = Rejections(lambda: 7.0)
    for number in range(KEPT + 5):
        rejections.note("events", Rejection("missing", "item_id is missing", "item_id"), {"n": number})
    rows = rejections.rows().rejected
    assert len(rows) == KEPT
    assert (rows[0].value, rows[0].field, rows[0].code) == (f"{{'n': {KEPT + 4}}}", "item_id", "missing")


def test_a_large_object_is_cut():
    rejections = Rejections(lambda: 7.0)
    rejections.note("events", Rejection("too-long", "too long", None), {"text": "x" * 100_000})
    assert len(rejections.rows().rejected[0].value) == 1_000
