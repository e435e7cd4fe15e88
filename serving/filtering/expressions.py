"""Filter expressions: a small language over items, users and requests, compiled once and evaluated on columns.

    genres has "RPG" and price < $max and not (platforms has "VR")

It has no loops, calls or side effects, its length, depth and number of tests are bounded, and whatever is missing is a
missing value, never an error. A test holds where *any* value of the field and any value that it is compared with
satisfy it; ``!=`` is ``not … =``. The whole language is described in ``docs/serving.md``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from models.structures.arrays import Ints
from schemas.answers import RecommendationRequest
from schemas.errors import FilterInvalid
from serving.filtering.fields import (
    Bools,
    Column,
    Doubles,
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
_ASKED: Final = ("user_id", "anonymous_id", "session_id", "item_id")

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
    """A field of items, and where the filter names it."""

    path: Path
    place: int


class Parameter(NamedTuple):
    """A value that the request brings: ``$now``, ``$user.…``, ``$context.…``, and ``$name`` for ``$context.name``."""

    path: Path

    @property
    def attribute(self) -> str | None:
        """The user's attribute that this reads, if it is one."""
        below = self.path[2:] if self.path[:2] == ("user", "attributes") else self.path[1:]
        return below[0] if self.path[0] == "user" and below else None

    def values(self, asked: RecommendationRequest) -> tuple[Value, ...]:
        """The values of this request; none where it does not say."""
        if self.path == ("now",):
            return (Value(moment=asked.now),)
        if self.path[0] == "user":
            return values_of(dig(asked.attributes, self.path[2 if self.path[1:2] == ("attributes",) else 1 :]))
        if self.path[0] in _ASKED and len(self.path) == 1:
            return values_of(getattr(asked, self.path[0]))
        found = asked.context.get(".".join(self.path[1:] if self.path[0] == "context" else self.path))
        return () if found is None else (read_loosely(found),)


Constant = tuple["Value | Parameter", ...]
"""What is known before any item is looked at, once the request has filled in its parameters."""


class Test(NamedTuple):
    """One field (or constant) against a constant, by the name of a test, such as ``<`` or ``contains``."""

    subject: Field | Constant
    name: str
    wanted: Constant = ()
    depth: int = 0


class Group(NamedTuple):
    """``and``, ``or`` or ``not`` of others."""

    name: str
    parts: tuple[Test | Group, ...]
    depth: int


class Expression(NamedTuple):
    """A filter ready to be asked of any catalogue, and the attributes of the user that it reads."""

    root: Test | Group
    attributes: frozenset[str]

    def holds(self, asked: RecommendationRequest, fields: Fields) -> Bools:
        """Of which positions it holds, shape (n,)."""
        return _holds(self.root, asked, fields)


@lru_cache(maxsize=512)
def compiled(text: str) -> Expression:
    """The expression that a text says; raises FilterInvalid, which names the column of the fault."""
    if len(text) > MAX_LENGTH:
        raise FilterInvalid(f"a filter has at most {MAX_LENGTH} characters", MAX_LENGTH + 1)
    try:
        root: Test | Group = _PARSER.parse(text)  # type: ignore[assignment]  # what the builder makes of a tree
    except UnexpectedInput as error:
        raise _fault(error, text) from error
    tests = list(_tests(root))
    if len(tests) > MAX_TESTS:
        raise FilterInvalid(f"a filter has at most {MAX_TESTS} tests, this one has {len(tests)}", 1)
    constants = (each for test in tests for each in (*_constant(test.subject), *test.wanted))
    read = (each.attribute for each in constants if isinstance(each, Parameter))
    return Expression(root, frozenset(name for name in read if name is not None))


class _Builder(Transformer[Token, Any]):
    """Makes tests and groups as the parser goes, from the inside out: nothing recurses, however deep a text nests."""

    def either(self, parts: list[Test | Group]) -> Test | Group:
        return _group("or", parts) if len(parts) > 1 else parts[0]

    def both(self, parts: list[Test | Group]) -> Test | Group:
        return _group("and", parts) if len(parts) > 1 else parts[0]

    def negated(self, parts: list[Test | Group]) -> Group:
        return _group("not", parts)

    def nested(self, parts: list[Test | Group]) -> Test | Group:
        return parts[0]._replace(depth=_deeper(parts))

    def compared(self, parts: list[Any]) -> Test | Group:
        left, sign, right = parts
        name = "=" if sign in ("==", "!=") else str(sign)
        if isinstance(right, Field) and not isinstance(left, Field):
            left, name, right = right, _FLIPPED[name], left
        test = _test(left, name, right)
        return _group("not", [test]) if sign == "!=" else test

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
        found = tuple(each for constant in parts for each in constant or ())
        if len(found) > MAX_LIST:
            raise FilterInvalid(f"a list has at most {MAX_LIST} values", 1)
        return found

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
        raise FilterInvalid("two fields cannot be compared; compare a field with a value or a parameter", wanted.place)
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
    """What the parser did not expect, in words."""
    ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    place = len(text) if ended or error.pos_in_stream is None else error.pos_in_stream
    found = text[place : place + 1] if isinstance(error, UnexpectedCharacters) else str(getattr(error, "token", ""))
    if isinstance(error, UnexpectedCharacters) and found in ('"', "'"):
        return FilterInvalid(f"the text that begins here has no closing {found}", place + 1)
    names = error.allowed if isinstance(error, UnexpectedCharacters) else getattr(error, "accepts", None)
    words = sorted(_IN_WORDS.get(name, name.lower()) for name in names or ())
    said = f"'{found}' cannot stand here" if found and not ended else "the filter ends too early"
    return FilterInvalid(f"{said}; expected one of: {', '.join(words)}", place + 1)


class _Rows(NamedTuple):
    """A column's values as one request reads them, shape (E,) each; ``exact`` where case counts."""

    column: Column
    numbers: Doubles
    moments: Doubles
    exact: bool


def _holds(node: Test | Group, asked: RecommendationRequest, fields: Fields) -> Bools:
    if isinstance(node, Test):
        return _tested(node, asked, fields)
    found = _holds(node.parts[0], asked, fields)
    if node.name == "not":
        return ~found
    for part in node.parts[1:]:
        more = _holds(part, asked, fields)
        found = found & more if node.name == "and" else found | more
    return found


def _tested(test: Test, asked: RecommendationRequest, fields: Fields) -> Bools:
    wanted = _filled(test.wanted, asked)
    if isinstance(test.subject, Field):
        return _satisfied(_rows(test.subject.path, asked, fields), test.name, wanted, len(fields))
    values = _filled(test.subject, asked)
    column = Column(lambda _: values, 1)
    column.refresh(1)
    held = _satisfied(_Rows(column, column.numbers, column.moments, exact=False), test.name, wanted, 1)
    return np.repeat(held, len(fields))


def _rows(path: Path, asked: RecommendationRequest, fields: Fields) -> _Rows:
    column = fields.column(path)
    if path == _AGE:
        return _Rows(column, asked.now - column.moments, np.full(column.moments.size, np.nan), exact=False)
    return _Rows(column, column.numbers, column.moments, exact=path == _ITEM_ID)


def _filled(constant: Constant, asked: RecommendationRequest) -> tuple[Value, ...]:
    return tuple(
        value for each in constant for value in (each.values(asked) if isinstance(each, Parameter) else (each,))
    )


def _satisfied(rows: _Rows, name: str, wanted: Sequence[Value], size: int) -> Bools:
    """Which items have a value that passes the test against a wanted one; for ``has all`` one for each."""
    if name == "present":
        return _owned(rows.column.owners, size)
    if name == "has all":
        held = np.full(size, bool(wanted))
        for value in wanted:
            held &= _owned(rows.column.owners[_equal(rows, (value,))], size)
        return held
    passed = _equal(rows, wanted) if name == "=" else _passed(rows, name, wanted)
    return _owned(rows.column.owners[passed], size)


def _owned(owners: Ints, size: int) -> Bools:
    held = np.zeros(size, np.bool_)
    held[owners] = True
    return held


def _equal(rows: _Rows, wanted: Sequence[Value]) -> Bools:
    """Which values (E,) are one of the wanted ones."""
    texts = (value.exact if rows.exact else value.text for value in wanted)
    codes = [code for text in texts if text is not None and (code := rows.column.term(text)) is not None]
    found = rows.column.having(codes)
    for column, numbers in (
        (rows.numbers, [value.number for value in wanted if value.number is not None]),
        (rows.moments, [value.moment for value in wanted if value.moment is not None]),
    ):
        if numbers:
            found |= np.isin(column, numbers)
    return found


def _passed(rows: _Rows, name: str, wanted: Sequence[Value]) -> Bools:
    """Which values (E,) pass a test that orders or looks into texts, against any of the wanted ones."""
    found = np.zeros(rows.numbers.size, np.bool_)
    for value in wanted:
        compare = _COMPARED.get(name)
        if compare and value.number is not None:
            found |= compare(rows.numbers, value.number)
        if compare and value.moment is not None:
            found |= compare(rows.moments, value.moment)
        if (text := value.exact if rows.exact else value.text) is not None and isinstance(text, str):
            found |= rows.column.matching(name, _TEXT_TESTS[name], text)
    return found
