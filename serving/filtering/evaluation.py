"""Evaluates a parsed filter on the columns of all items, in steps that hold the event loop for about a millisecond."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from models.structures.arrays import Bools, Ints
from schemas.answers import RecommendationRequest
from serving.filtering.columns import Column, Entries, Steps
from serving.filtering.fields import Fields, Path
from serving.filtering.syntax import Field, Group, Test, resolved
from serving.filtering.values import Value

_COMPARED: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    **_COMPARED,
    "contains": operator.contains,
    "starts with": str.startswith,
}
AGE: Final = ("age",)
_ITEM_ID: Final = ("item_id",)


class _Rows(NamedTuple):
    """A column's values as one request reads them; ``exact``: case matters."""

    column: Column
    entries: Entries
    exact: bool = False


class _Run(NamedTuple):
    """One evaluation: of a request, for the first ``size`` items; more items may come while it goes on."""

    request: RecommendationRequest
    fields: Fields
    size: int

    def items_of(self, owners: Ints) -> Bools:
        """True for the items (n,) that own these values."""
        matches = np.zeros(max(len(self.fields), self.size), np.bool_)
        matches[owners] = True
        return matches[: self.size]


def matching(node: Test | Group, request: RecommendationRequest, fields: Fields) -> Steps[Bools]:
    """True for the items (n,) that match; of one state of the catalogue only where no item changed between two steps."""
    return _holds(node, _Run(request, fields, len(fields)))


def _holds(node: Test | Group, run: _Run) -> Steps[Bools]:
    if isinstance(node, Test):
        return (yield from _test_matches(node, run))
    matches = yield from _holds(node.parts[0], run)
    if node.name == "not":
        return ~matches
    for part in node.parts[1:]:
        part_matches = yield from _holds(part, run)
        matches = matches & part_matches if node.name == "and" else matches | part_matches
    return matches


def _test_matches(test: Test, run: _Run) -> Steps[Bools]:
    wanted = resolved(test.wanted, run.request)
    if isinstance(test.subject, Field):
        rows = yield from _rows(test.subject.path, run)
        return (yield from _satisfying_items(rows, test.name, wanted, run))
    values = resolved(test.subject, run.request)
    column = Column(lambda _: values, 1)
    column.refresh()
    rows = _Rows(column, column.entries)
    matches = yield from _satisfying_items(rows, test.name, wanted, run._replace(size=1))
    return np.repeat(matches, run.size)


def _rows(path: Path, run: _Run) -> Steps[_Rows]:
    column = yield from run.fields.column_steps(path)
    entries = column.entries
    if path == AGE:
        moments = np.full(entries.moments.size, np.nan)
        return _Rows(column, entries._replace(numbers=run.request.now - entries.moments, moments=moments))
    return _Rows(column, entries, exact=path == _ITEM_ID)


def _satisfying_items(rows: _Rows, name: str, wanted: Sequence[Value], run: _Run) -> Steps[Bools]:
    """True for the items with a value that passes the test against a wanted one; ``has all`` needs one for each of them."""
    owners = rows.entries.owners
    if name == "present":
        return run.items_of(owners)
    if name == "has all":
        matches = np.full(run.size, bool(wanted))
        for value in wanted:
            matches &= run.items_of(owners[_equal(rows, (value,))])
            yield False
        return matches
    passed = _equal(rows, wanted) if name == "=" else (yield from _passing(rows, name, wanted))
    yield False
    return run.items_of(owners[passed])


def _equal(rows: _Rows, wanted: Sequence[Value]) -> Bools:
    """True for the values (E,) that equal one of the wanted ones."""
    texts = (value.exact if rows.exact else value.text for value in wanted)
    codes = [code for text in texts if text is not None and (code := rows.column.term(text)) is not None]
    equal = rows.column.having(codes, rows.entries.terms)
    for column, numbers in (
        (rows.entries.numbers, [value.number for value in wanted if value.number is not None]),
        (rows.entries.moments, [value.moment for value in wanted if value.moment is not None]),
    ):
        if numbers:
            equal |= np.isin(column, numbers)
    return equal


def _passing(rows: _Rows, name: str, wanted: Sequence[Value]) -> Steps[Bools]:
    """True for the values (E,) that pass an ordering or text test against any of the wanted ones."""
    passed = np.zeros(rows.entries.numbers.size, np.bool_)
    compare = _COMPARED.get(name)
    for value in wanted:
        if compare and value.number is not None:
            passed |= compare(rows.entries.numbers, value.number)
        if compare and value.moment is not None:
            passed |= compare(rows.entries.moments, value.moment)
        if isinstance(text := value.exact if rows.exact else value.text, str):
            passed |= yield from rows.column.matching(name, _TEXT_TESTS[name], text, rows.entries.terms)
        yield False
    return passed
