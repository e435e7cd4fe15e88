"""Filter expressions: a small language over items, users and requests, compiled once and evaluated on columns.

    genres has "RPG" and price < $max and not (platforms has "VR")

It has no loops, calls or side effects. Its length, depth and number of tests are bounded. A missing field or parameter
is a missing value, never an error. A test holds if *any* value of the field and *any* value that it is compared with
satisfy it. ``!=`` is ``not … =``. ``docs/serving.md`` describes the whole language.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from models.structures.arrays import Bools, Doubles, Ints
from schemas.answers import RecommendationRequest
from schemas.errors import FilterInvalid
from serving.filtering.fields import (
    Column,
    Fields,
    Path,
    Value,
    dig,
    moment_of,
    read_loosely,
    values_of,
)

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 32
MAX_TESTS: Final = 64
MAX_LIST: Final = 500
_AGE: Final = ("age",)
_ITEM_ID: Final = ("item_id",)
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_REQUEST_FIELDS: Final = ("user_id", "anonymous_id", "session_id", "item_id")

_GRAMMAR: Final = r"""
?start: either
?either: both ("or"i both)*             -> either
?both: single ("and"i single)*          -> both
?single: "not"i single                  -> negated
    | "(" either ")"                    -> nested
    | operand COMPARISON operand        -> compared
    | operand "has"i value              -> has
    | operand "has"i "any"i values      -> has
    | operand "has"i "all"i values      -> has_all
    | operand "in"i values              -> has
    | operand "in"i field               -> within
    | operand "not"i "in"i values       -> lacks
    | operand "contains"i value         -> contains
    | operand "starts"i "with"i value   -> starts
    | operand "is"i "missing"i          -> missing
    | operand "is"i "not"i "missing"i   -> present
?operand: field | value
field: NAME ("." (NAME | STRING))*
?values: "[" [value ("," value)*] "]"   -> listed
    | parameter
?value: parameter
    | STRING                            -> text
    | NUMBER                            -> number
    | DURATION                          -> duration
    | DATE                              -> date
    | "true"i                           -> true
    | "false"i                          -> false
parameter: "$" NAME ("." (NAME | STRING))*

COMPARISON: "<=" | ">=" | "!=" | "==" | "=" | "<" | ">"
NAME: /[^\W\d]\w*/i
STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/
DATE.3: /\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?/
DURATION.2: /\d+(\.\d+)?[smhdw]\b/
NUMBER: /-?\d+(\.\d+)?([eE][+-]?\d+)?/
%ignore /\s+/
"""

_IN_WORDS: Final = {
    "COMPARISON": "a comparison such as = or <",
    "NAME": "a field",
    "STRING": "a text in quotes",
    "NUMBER": "a number",
    "DURATION": "a duration such as 7d",
    "DATE": "a date such as 2026-11-23",
    "DOLLAR": "a parameter such as $max",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "COMMA": "a comma",
    "DOT": "a dot",
    "$END": "the end",
}


class Field(NamedTuple):
    """A field of items, and the column of the filter's text that names it."""

    path: Path
    column: int


class Parameter(NamedTuple):
    """A value from the request: ``$now``, ``$user.…``, ``$context.…``, and ``$name`` for ``$context.name``."""

    path: Path

    @property
    def attribute(self) -> str | None:
        """The user's attribute that this parameter reads, if any."""
        below = self.path[2:] if self.path[:2] == ("user", "attributes") else self.path[1:]
        return below[0] if self.path[0] == "user" and below else None

    def values(self, request: RecommendationRequest) -> tuple[Value, ...]:
        """The values that the request has for this parameter; empty if it has none."""
        if self.path == ("now",):
            return (Value(moment=request.now),)
        if self.path[0] == "user":
            return values_of(dig(request.attributes, self.path[2 if self.path[1:2] == ("attributes",) else 1 :]))
        if self.path[0] in _REQUEST_FIELDS and len(self.path) == 1:
            return values_of(getattr(request, self.path[0]))
        value = request.context.get(".".join(self.path[1:] if self.path[0] == "context" else self.path))
        return () if value is None else (read_loosely(value),)


Constant = tuple["Value | Parameter", ...]
"""Values that do not depend on the item; parameters are resolved from the request."""


class Test(NamedTuple):
    """A comparison of one field (or constant) with a constant, by the name of a test, such as ``<`` or ``contains``."""

    subject: Field | Constant
    name: str
    wanted: Constant = ()
    depth: int = 0


class Group(NamedTuple):
    """``and``, ``or`` or ``not`` of tests and groups."""

    name: str
    parts: tuple[Test | Group, ...]
    depth: int


class Expression(NamedTuple):
    """A parsed filter, and the user's attributes that it reads."""

    root: Test | Group
    attributes: frozenset[str]

    def holds(self, request: RecommendationRequest, fields: Fields) -> Bools:
        """True for the catalogue positions where the filter holds, shape (n,)."""
        return _holds(self.root, request, fields)


@lru_cache(maxsize=512)
def compiled(text: str) -> Expression:
    """Parse a filter; raises FilterInvalid, which names the column of the fault."""
    if len(text) > MAX_LENGTH:
        raise FilterInvalid(f"a filter has at most {MAX_LENGTH} characters", MAX_LENGTH + 1)
    try:
        root: Test | Group = _PARSER.parse(text)  # type: ignore[assignment]  # the transformer's result
    except UnexpectedInput as error:
        raise _fault(error, text) from error
    tests = list(_tests(root))
    if len(tests) > MAX_TESTS:
        raise FilterInvalid(f"a filter has at most {MAX_TESTS} tests, this one has {len(tests)}", 1)
    values = (value for test in tests for value in (*_constant(test.subject), *test.wanted))
    read = (value.attribute for value in values if isinstance(value, Parameter))
    return Expression(root, frozenset(name for name in read if name is not None))


class _Builder(Transformer[Token, Any]):
    """Builds tests and groups while the parser runs, innermost first, so that deep nesting needs no recursion."""

    def either(self, parts: list[Test | Group]) -> Test | Group:
        return _group("or", parts) if len(parts) > 1 else parts[0]

    def both(self, parts: list[Test | Group]) -> Test | Group:
        return _group("and", parts) if len(parts) > 1 else parts[0]

    def negated(self, parts: list[Test | Group]) -> Group:
        return _group("not", parts)

    def nested(self, parts: list[Test | Group]) -> Test | Group:
        return parts[0]._replace(depth=_deeper(parts))

    def compared(self, parts: list[Any]) -> Test | Group:
        subject, comparison, wanted = parts
        name = "=" if comparison in ("==", "!=") else str(comparison)
        if isinstance(wanted, Field) and not isinstance(subject, Field):
            subject, name, wanted = wanted, _FLIPPED[name], subject
        test = _test(subject, name, wanted)
        return _group("not", [test]) if comparison == "!=" else test

    def has(self, parts: list[Any]) -> Test:
        return _test(parts[0], "=", parts[1])

    def within(self, parts: list[Any]) -> Test:
        return _test(parts[1], "=", parts[0])

    def lacks(self, parts: list[Any]) -> Group:
        return _group("not", [self.has(parts)])

    def has_all(self, parts: list[Any]) -> Test:
        return _test(parts[0], "has all", parts[1])

    def contains(self, parts: list[Any]) -> Test:
        return _test(parts[0], "contains", parts[1])

    def starts(self, parts: list[Any]) -> Test:
        return _test(parts[0], "starts with", parts[1])

    def missing(self, parts: list[Any]) -> Group:
        return _group("not", [self.present(parts)])

    def present(self, parts: list[Any]) -> Test:
        return _test(parts[0], "present", ())

    def field(self, parts: list[Token]) -> Field:
        return Field(_path(parts), (parts[0].start_pos or 0) + 1)

    def parameter(self, parts: list[Token]) -> Constant:
        return (Parameter(_path(parts)),)

    def listed(self, parts: list[Constant | None]) -> Constant:
        values = tuple(value for constant in parts for value in constant or ())
        if len(values) > MAX_LIST:
            raise FilterInvalid(f"a list has at most {MAX_LIST} values", 1)
        return values

    def text(self, parts: list[Token]) -> Constant:
        return values_of(_unquoted(parts[0]))

    def number(self, parts: list[Token]) -> Constant:
        return (Value(number=float(parts[0])),)

    def duration(self, parts: list[Token]) -> Constant:
        return (Value(number=float(parts[0][:-1]) * _SECONDS[parts[0][-1]]),)

    def date(self, parts: list[Token]) -> Constant:
        moment = moment_of(parts[0])
        if moment is None:
            raise FilterInvalid(f"there is no date {parts[0]}", (parts[0].start_pos or 0) + 1)
        return (Value(moment=moment),)

    def true(self, _: list[Token]) -> Constant:
        return (Value(True),)

    def false(self, _: list[Token]) -> Constant:
        return (Value(False),)


_PARSER: Final = Lark(_GRAMMAR, parser="lalr", transformer=_Builder())
_FLIPPED: Final = {"=": "=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
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


def _test(subject: Field | Constant, name: str, wanted: Field | Constant) -> Test:
    if isinstance(wanted, Field):
        raise FilterInvalid("two fields cannot be compared; compare a field with a value or a parameter", wanted.column)
    return Test(subject, name, wanted)


def _group(name: str, parts: Sequence[Test | Group]) -> Group:
    return Group(name, tuple(parts), _deeper(parts))


def _deeper(parts: Sequence[Test | Group]) -> int:
    depth = 1 + max(part.depth for part in parts)
    if depth > MAX_DEPTH:
        raise FilterInvalid(f"a filter nests at most {MAX_DEPTH} deep", 1)
    return depth


def _tests(node: Test | Group) -> Iterator[Test]:
    if isinstance(node, Test):
        yield node
    else:
        for part in node.parts:
            yield from _tests(part)


def _constant(subject: Field | Constant) -> Constant:
    return () if isinstance(subject, Field) else subject


def _path(parts: list[Token]) -> Path:
    return tuple(_unquoted(part) if part.type == "STRING" else str(part) for part in parts)


def _unquoted(token: Token) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)


def _fault(error: UnexpectedInput, text: str) -> FilterInvalid:
    """The parser's error as a sentence."""
    ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    offset = len(text) if ended or error.pos_in_stream is None else error.pos_in_stream
    rejected = (
        text[offset : offset + 1] if isinstance(error, UnexpectedCharacters) else str(getattr(error, "token", ""))
    )
    if isinstance(error, UnexpectedCharacters) and rejected in ('"', "'"):
        return FilterInvalid(f"the text that begins here has no closing {rejected}", offset + 1)
    names = error.allowed if isinstance(error, UnexpectedCharacters) else getattr(error, "accepts", None)
    words = sorted(_IN_WORDS.get(name, name.lower()) for name in names or ())
    problem = f"'{rejected}' cannot stand here" if rejected and not ended else "the filter ends too early"
    return FilterInvalid(f"{problem}; expected one of: {', '.join(words)}", offset + 1)


class _Rows(NamedTuple):
    """A column's values as one request reads them, shape (E,) each; ``exact``: case matters."""

    column: Column
    numbers: Doubles
    moments: Doubles
    exact: bool


def _holds(node: Test | Group, request: RecommendationRequest, fields: Fields) -> Bools:
    if isinstance(node, Test):
        return _test_matches(node, request, fields)
    matches = _holds(node.parts[0], request, fields)
    if node.name == "not":
        return ~matches
    for part in node.parts[1:]:
        part_matches = _holds(part, request, fields)
        matches = matches & part_matches if node.name == "and" else matches | part_matches
    return matches


def _test_matches(test: Test, request: RecommendationRequest, fields: Fields) -> Bools:
    wanted = _resolved(test.wanted, request)
    if isinstance(test.subject, Field):
        return _satisfying_items(_rows(test.subject.path, request, fields), test.name, wanted, len(fields))
    values = _resolved(test.subject, request)
    column = Column(lambda _: values, 1)
    column.refresh(1)
    matches = _satisfying_items(_Rows(column, column.numbers, column.moments, exact=False), test.name, wanted, 1)
    return np.repeat(matches, len(fields))


def _rows(path: Path, request: RecommendationRequest, fields: Fields) -> _Rows:
    column = fields.column(path)
    if path == _AGE:
        return _Rows(column, request.now - column.moments, np.full(column.moments.size, np.nan), exact=False)
    return _Rows(column, column.numbers, column.moments, exact=path == _ITEM_ID)


def _resolved(constant: Constant, request: RecommendationRequest) -> tuple[Value, ...]:
    return tuple(
        value
        for member in constant
        for value in (member.values(request) if isinstance(member, Parameter) else (member,))
    )


def _satisfying_items(rows: _Rows, name: str, wanted: Sequence[Value], size: int) -> Bools:
    """True for the items with a value that passes the test against a wanted one; ``has all`` needs one for each of them."""
    if name == "present":
        return _items_of(rows.column.owners, size)
    if name == "has all":
        matches = np.full(size, bool(wanted))
        for value in wanted:
            matches &= _items_of(rows.column.owners[_equal(rows, (value,))], size)
        return matches
    passed = _equal(rows, wanted) if name == "=" else _passing(rows, name, wanted)
    return _items_of(rows.column.owners[passed], size)


def _items_of(owners: Ints, size: int) -> Bools:
    matches = np.zeros(size, np.bool_)
    matches[owners] = True
    return matches


def _equal(rows: _Rows, wanted: Sequence[Value]) -> Bools:
    """True for the values (E,) that equal one of the wanted ones."""
    texts = (value.exact if rows.exact else value.text for value in wanted)
    codes = [code for text in texts if text is not None and (code := rows.column.term(text)) is not None]
    equal = rows.column.having(codes)
    for column, numbers in (
        (rows.numbers, [value.number for value in wanted if value.number is not None]),
        (rows.moments, [value.moment for value in wanted if value.moment is not None]),
    ):
        if numbers:
            equal |= np.isin(column, numbers)
    return equal


def _passing(rows: _Rows, name: str, wanted: Sequence[Value]) -> Bools:
    """True for the values (E,) that pass an ordering or text test against any of the wanted ones."""
    passed = np.zeros(rows.numbers.size, np.bool_)
    for value in wanted:
        compare = _COMPARED.get(name)
        if compare and value.number is not None:
            passed |= compare(rows.numbers, value.number)
        if compare and value.moment is not None:
            passed |= compare(rows.moments, value.moment)
        if (text := value.exact if rows.exact else value.text) is not None and isinstance(text, str):
            passed |= rows.column.matching(name, _TEXT_TESTS[name], text)
    return passed
