"""Filter expressions: a small language over items, users and requests, compiled once and evaluated on columns.

    genres has "RPG" and price < $max and not (platforms has "VR")

It has no loops, calls or side effects. Its length, depth and number of tests are bounded. A missing field or parameter
is a missing value, never an error. A test holds if *any* value of the field and *any* value that it is compared with
satisfy it. ``!=`` is ``not … =``. ``docs/serving.md`` describes the whole language.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from models.structures.arrays import Bools
from schemas.answers import RecommendationRequest
from schemas.errors import FilterInvalid
from serving.filtering.columns import Steps
from serving.filtering.evaluation import AGE, matching
from serving.filtering.fields import Fields, Path
from serving.filtering.syntax import Constant, Field, Group, Parameter, Test, resolved
from serving.filtering.values import Value, moment_of, values_of

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 32
MAX_TESTS: Final = 64
MAX_LIST: Final = 500
MAX_TOKENS: Final = 1_100
"""Words, values and signs of a filter: a list of MAX_LIST values has 1,001. Parsing takes some microseconds for each."""
_TOKEN: Final = re.compile(
    r"""
    "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'  # a text
    | -?\d[\w.:+-]*  # a number, duration or date
    | \w+ | [<>=!]+ | [^\s\w]  # a word, a comparison, any other sign
    """,
    re.VERBOSE | re.DOTALL,
)
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}

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


class Expression(NamedTuple):
    """A parsed filter."""

    text: str
    root: Test | Group
    attributes: frozenset[str]
    """The user's attributes that it reads."""
    paths: frozenset[Path]
    """The fields of items that it reads."""
    parameters: tuple[Constant, ...]
    """What a request gives it."""
    tests: int
    """The number of its tests."""

    def holds(self, request: RecommendationRequest, fields: Fields) -> Bools:
        """True for the catalogue positions where the filter holds, shape (n,); read-only."""
        steps = self.steps(request, fields)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                matches: Bools = end.value
                return matches

    def steps(self, request: RecommendationRequest, fields: Fields) -> Steps[Bools]:
        """As ``holds``, in steps of about a millisecond; the result is remembered until an item changes."""
        key = self._key(request)
        remembered = fields.results.get(key, fields.version)
        if remembered is not None:
            return remembered
        version = fields.version
        matches = yield from matching(self.root, request, fields)
        if fields.version == version:
            fields.results.put(key, version, matches)
        return matches

    def is_remembered(self, request: RecommendationRequest, fields: Fields) -> bool:
        """Whether ``holds`` costs next to nothing now."""
        return fields.results.get(self._key(request), fields.version) is not None

    def _key(self, request: RecommendationRequest) -> Hashable:
        now = request.now if AGE in self.paths else None
        return self.text, now, tuple(resolved(parameter, request) for parameter in self.parameters)


@lru_cache(maxsize=512)
def compiled(text: str) -> Expression:
    """Parse a filter; raises FilterInvalid, which names the column of the fault."""
    if len(text) > MAX_LENGTH:
        raise FilterInvalid(f"a filter has at most {MAX_LENGTH} characters", MAX_LENGTH + 1)
    if len(_TOKEN.findall(text)) > MAX_TOKENS:
        raise FilterInvalid(f"a filter has at most {MAX_TOKENS} words, values and signs", 1)
    try:
        root: Test | Group = _PARSER.parse(text)  # type: ignore[assignment]  # the transformer's result
    except UnexpectedInput as error:
        raise _fault(error, text) from error
    tests = list(_tests(root))
    if len(tests) > MAX_TESTS:
        raise FilterInvalid(f"a filter has at most {MAX_TESTS} tests, this one has {len(tests)}", 1)
    return _expression(text, root, tests)


def _expression(text: str, root: Test | Group, tests: Sequence[Test]) -> Expression:
    values = (value for test in tests for value in (*_constant(test.subject), *test.wanted))
    parameters = list(dict.fromkeys(value for value in values if isinstance(value, Parameter)))
    return Expression(
        text,
        root,
        attributes=frozenset(read for parameter in parameters if (read := parameter.attribute) is not None),
        paths=frozenset(test.subject.path for test in tests if isinstance(test.subject, Field)),
        parameters=tuple((parameter,) for parameter in parameters),
        tests=len(tests),
    )


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
