"""The filter language: what it means, and that columns say the same as a look at each item."""

import operator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.answers import RecommendationRequest
from schemas.catalogue import Item
from schemas.errors import FilterInvalid
from serving.filtering.expressions import compiled
from serving.state.catalogue import Catalogue

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WORDS = ("RPG", "rpg", "VR", "puzzle", "Straße", "it's", 'say "x"', "")
ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def a_catalogue(*items):
    catalogue = Catalogue()
    for item in items:
        catalogue.put(item)
    return catalogue


def found(text, *items, **request):
    catalogue = a_catalogue(*items)
    held = compiled(text).holds(RecommendationRequest(now=NOW.timestamp(), **request), catalogue.fields)
    return [catalogue.ids[at] for at in held.nonzero()[0]]


GAMES = (
    Item(
        item_id="Quest",
        title="The long quest",
        price=30.0,
        tags=("indie", "hard"),
        published_at=datetime(2026, 11, 20, tzinfo=UTC),
        attributes={"genres": ["RPG", "Action"], "platforms": ["PC", "VR"], "online": True, "maker": {"country": "SE"}},
    ),
    Item(
        item_id="tiles",
        title="Tiles",
        price=5.0,
        published_at=datetime(2025, 1, 1, tzinfo=UTC),
        attributes={"genres": "Puzzle", "players": 2, "online": False},
    ),
    Item(item_id="saga", title="Saga", price=12.0, attributes={"genres": ["rpg"], "players": [1, 4], "maker": None}),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('genres has "RPG" and price < $max and not (platforms has "VR")', ["saga"]),
        ('attributes.genres = "puzzle"', ["tiles"]),
        ('genres has any ["puzzle", "action"]', ["Quest", "tiles"]),
        ("genres has all ['RPG', 'action']", ["Quest"]),
        ("genres has all []", []),
        ("'VR' in platforms or price = 5", ["Quest", "tiles"]),
        ("platforms is missing AND maker is Missing", ["tiles", "saga"]),
        ('maker.country = "se"', ["Quest"]),
        ('attributes.maker."country" is not missing', ["Quest"]),
        ("nowhere.to.be.found != 3", ["Quest", "tiles", "saga"]),
        ("nowhere = 3 or nowhere < 3", []),
        ("players >= 4 or players = 2", ["tiles", "saga"]),
        ("10 > price", ["tiles"]),
        ("item_id in ['Quest', 'SAGA']", ["Quest"]),
        ("item_id not in ['Quest']", ["tiles", "saga"]),
        ("title starts with 't'", ["Quest", "tiles"]),
        ("title contains 'LONG'", ["Quest"]),
        ("title < 'T'", ["saga"]),
        ("age < 1w", ["Quest"]),
        ("age > 52w", ["tiles"]),
        ("published_at >= 2026-11-20", ["Quest"]),
        ("published_at < 2026-11-20T00:00:01Z and published_at > '2026-01-01'", ["Quest"]),
        ("published_at < $now", ["Quest", "tiles"]),
        ("online = true", ["Quest"]),
        ("online = $flag", ["tiles"]),
        ("tags has $tag", ["Quest"]),
        ("price < $nothing", []),
        ("$context.device = 'phone' and price > 10", ["Quest", "saga"]),
        ("$user.country = 'SE' and price > 10", ["Quest", "saga"]),
        ("genres has any $user.attributes.likes", ["tiles"]),
        ("$user_id = 'ann'", ["Quest", "tiles", "saga"]),
        ("not not price = 5 and price = 5 or price = 12", ["tiles", "saga"]),
        ("price = -1e3 or price=5.0", ["tiles"]),
    ],
)
def test_an_expression_selects(text, expected):
    context = {"max": "20", "flag": "False", "tag": "Hard", "device": "phone"}
    assert (
        found(text, *GAMES, user_id="ann", context=context, attributes={"country": "SE", "likes": ["puzzle"]})
        == expected
    )


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "ends too early"),
        ("price <", 8, "ends too early"),
        ("price < 3 )", 11, "cannot stand here"),
        ("price < ?", 9, "'?' cannot stand here"),
        ("title = 'open", 9, "no closing '"),
        ("price < cost", 9, "two fields cannot be compared"),
        ("published_at > 2026-13-45", 16, "there is no date 2026-13-45"),
        ("(" * 33 + "a = 1" + ")" * 33, 1, "nests at most 32 deep"),
        ("not " * 400 + "a = 1", 1, "nests at most 32 deep"),
        (" or ".join(["a = 1"] * 65), 1, "at most 64 tests"),
        ("a in [" + ",".join("1" * 501) + "]", 1, "at most 500 values"),
        ("a" * 2_001, 2_001, "at most 2000 characters"),
    ],
)
def test_a_fault_is_said_with_its_column(text, column, said):
    with pytest.raises(FilterInvalid) as caught:
        compiled(text)
    assert caught.value.column == column
    assert said in str(caught.value)


def test_an_expression_says_which_of_the_users_attributes_it_reads():
    text = "$user.country = 'SE' and (price < $max or genres has any $user.attributes.likes)"
    assert compiled(text).attributes == {"country", "likes"}


def test_columns_follow_the_catalogue():
    catalogue = a_catalogue(*GAMES)

    def cheap():
        held = compiled("price < 10 or genres has 'new'").holds(RecommendationRequest(now=0.0), catalogue.fields)
        return [catalogue.ids[at] for at in held.nonzero()[0]]

    assert cheap() == ["tiles"]
    catalogue.put(Item(item_id="saga", price=1.0))
    catalogue.put(Item(item_id="tiles", price=11.0))
    catalogue.put(Item(item_id="fresh", attributes={"genres": ["New"]}))
    catalogue.ensure("bare")
    assert cheap() == ["saga", "fresh"]
    catalogue.forget("saga")
    assert cheap() == ["fresh"]


def test_an_attribute_is_found_once_an_item_has_it():
    catalogue = a_catalogue(*GAMES)
    later = compiled("edition = 2")
    assert not later.holds(RecommendationRequest(now=0.0), catalogue.fields).any()
    catalogue.put(Item(item_id="saga", attributes={"edition": 2}))
    assert later.holds(RecommendationRequest(now=0.0), catalogue.fields).sum() == 1


scalars = st.one_of(st.sampled_from(WORDS), st.integers(-3, 3), st.sampled_from([0.5, 2.5]), st.booleans(), st.none())
attributes = st.dictionaries(st.sampled_from("abc"), st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=3)
literals = st.one_of(st.sampled_from(WORDS), st.integers(-3, 3), st.booleans())
lists = st.lists(literals, max_size=3)
fields = st.sampled_from("abcd")
tests = st.one_of(
    st.tuples(st.just("compared"), fields, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), literals),
    st.tuples(st.sampled_from(["in", "not in", "has any", "has all"]), fields, lists),
    st.tuples(st.sampled_from(["has", "contains", "starts with"]), fields, st.sampled_from(WORDS)),
    st.tuples(st.sampled_from(["is missing", "is not missing"]), fields),
)
expressions = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=6,
)


def written(literal):
    if isinstance(literal, list):
        return "[" + ", ".join(map(written, literal)) + "]"
    if isinstance(literal, bool):
        return str(literal).lower()
    return '"' + literal.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(literal, str) else str(literal)


def spelled(node):
    match node:
        case "not", inner:
            return f"not ({spelled(inner)})"
        case ("and" | "or") as joint, left, right:
            return f"({spelled(left)}) {joint} ({spelled(right)})"
        case "compared", field, sign, literal:
            return f"{field} {sign} {written(literal)}"
        case name, field:
            return f"{field} {name}"
        case name, field, literal:
            return f"{field} {name} {written(literal)}"


def kind_of(value):
    return bool if isinstance(value, bool) else str if isinstance(value, str) else float


def satisfied(test, value, wanted):
    """Whether one value passes against one other, both as a person would read them."""
    if kind_of(value) is not kind_of(wanted):
        return False
    if kind_of(value) is str:
        value, wanted = value.casefold(), wanted.casefold()
    if test in ORDERS:
        return kind_of(value) is not bool and ORDERS[test](value, wanted)
    if test == "=":
        return value == wanted
    return kind_of(value) is str and (wanted in value if test == "contains" else value.startswith(wanted))


def naive(node, said):
    match node:
        case "not", inner:
            return not naive(inner, said)
        case "and", left, right:
            return naive(left, said) and naive(right, said)
        case "or", left, right:
            return naive(left, said) or naive(right, said)
        case _, field, *_:
            held = said.get(field)
            return passes(node, [each for each in (held if isinstance(held, list) else [held]) if each is not None])


def passes(node, held):
    """Whether a field with these values passes."""
    match node:
        case "compared", _, "!=", literal:
            return not any(satisfied("=", value, literal) for value in held)
        case "compared", _, sign, literal:
            return any(satisfied(sign, value, literal) for value in held)
        case "has all", _, wanted:
            return bool(wanted) and all(any(satisfied("=", v, each) for v in held) for each in wanted)
        case (("in" | "has any"), _, wanted):
            return any(satisfied("=", v, each) for v in held for each in wanted)
        case "not in", _, wanted:
            return not any(satisfied("=", v, each) for v in held for each in wanted)
        case "has", _, literal:
            return any(satisfied("=", v, literal) for v in held)
        case "is missing", _:
            return not held
        case "is not missing", _:
            return bool(held)
        case test, _, literal:
            return any(satisfied(test, v, literal) for v in held)


@settings(max_examples=150, deadline=None)
@given(before=st.lists(attributes, max_size=5), after=st.lists(attributes, max_size=7), node=expressions)
def test_columns_say_what_a_look_at_each_item_says(before, after, node):
    catalogue = a_catalogue(*(Item(item_id=str(n), attributes=said) for n, said in enumerate(before)))
    expression = compiled(spelled(node))
    expression.holds(RecommendationRequest(now=0.0), catalogue.fields)
    for number, said in enumerate(after):
        catalogue.put(Item(item_id=str(number), attributes=said))
    now = after + before[len(after) :]
    assert expression.holds(RecommendationRequest(now=0.0), catalogue.fields).tolist() == [
        naive(node, said) for said in now
    ]


pieces = st.one_of(
    st.sampled_from(["price", "and", "or", "not", "(", ")", "[", "]", ",", "has", "any", "all", "in", "is", "missing"]),
    st.sampled_from(
        ["=", "<", "!=", "$", "$max", "$user.a", ".", '"x"', "'", "3", "-", "7d", "2026-11-23", "true", "٣", "\n"]
    ),
    st.text(max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(pieces, max_size=12))
def test_any_text_is_an_expression_or_a_fault_at_a_column_in_it(parts):
    text = " ".join(parts)
    try:
        shape, column = compiled(text).holds(RecommendationRequest(now=0.0), a_catalogue(*GAMES).fields).shape, 1
    except FilterInvalid as error:
        shape, column = (3,), error.column
    assert shape == (3,)
    assert 1 <= column <= len(text) + 1
