"""What OpenAPI only names or cannot say: schemathesis loads this module (``SCHEMATHESIS_HOOKS``) to make valid requests."""

from datetime import datetime

import schemathesis
from hypothesis import strategies as st

from ingest.validation.bounds import NestedFault, check_nested
from schemas.http.cursors import after_shown
from schemas.http.described import BOOST, CURSOR, FILTER, OFFSET_TOKEN

_tests = st.sampled_from(
    [
        'genres has "RPG"',
        "price < 20",
        "price >= $context.max",
        "hidden = false",
        'title starts with "Ein"',
        'tags has any ["a", "b"]',
        "published_at > 2026-01-01",
        "discount is missing",
    ]
)
_filters = st.recursive(
    _tests,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=4,
)


def _cursor(hashes: list[int]) -> str:
    return after_shown(b"".join(number.to_bytes(4) for number in hashes)) or ""


def _utc(moment: datetime) -> str:
    """No time ahead of the clock, and none before 1900: JSON Schema has no word for either."""
    return f"{moment.isoformat()}Z"


_factors = st.decimals("0.1", "9.9", places=1).map(str)

schemathesis.openapi.format(FILTER, st.one_of(st.just(""), _filters))
schemathesis.openapi.format(BOOST, st.tuples(_factors, st.just(":"), _tests).map("".join))
schemathesis.openapi.format(OFFSET_TOKEN, st.from_regex(r"\A[0-3]:[0-9]{1,18}\Z"))
schemathesis.openapi.format(CURSOR, st.lists(st.integers(0, 2**32 - 1), max_size=3).map(_cursor))
schemathesis.openapi.format("date-time", st.datetimes(datetime(1900, 1, 2), datetime(2026, 1, 1)).map(_utc))


@schemathesis.hook
def filter_body(context, body) -> bool:
    """Leaves out integers of more than 64 bits in free fields: to JSON Schema 1e30, which is taken, is an integer too."""
    try:
        check_nested(body)
    except NestedFault as fault:
        return fault.code != "integer-size"
    return True


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    """Makes the valid rows of a model fit each other: JSON Schema has no words for what rows must not repeat."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or not case.operation.path.startswith("/v1/models/"):
        return
    rows = case.body if isinstance(case.body, list) else []
    if rows and all(isinstance(row, dict) for row in rows):
        for number, row in enumerate(rows):
            _make_distinct(row, number, len(rows[0].get("vector", ())))


def _make_distinct(row: dict, number: int, width: int) -> None:
    """Gives a row ids of its own, and a vector as long as that of the first row; the first row of factors is of an item."""
    for name in {"item_id", "neighbour_id", "user_id", "id"} & row.keys():
        row[name] = f"{name}{number}"
    if "vector" in row:
        row["vector"] = (row["vector"] * width)[:width]
        row["of"] = "item" if number == 0 else row["of"]
