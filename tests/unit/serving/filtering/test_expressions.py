"""The filter language: what it means, and that columns say the same as a look at each item."""

import operator
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.answers import RecommendationRequest
from schemas.catalogue import Item
from schemas.errors import FilterInvalid
from serving.filtering import columns
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
        (" or ".join(["a in [" + ",".join("1" * 8) + "]"] * 64), 1, "at most 1100 words"),
    ],
)
def test_a_fault_is_said_with_its_column(text, column, said):
    with pytest.raises(FilterInvalid) as caught:
        compiled(text)
    assert caught.value.column == column
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a in [" + ",".join("1" * 990) + "]",
        "a=1 or " * 280 + "a=1 a",
        ("(" * 31 + "a=1" + ")" * 31 + " or ") * 28 + "a=1",
        "(" * 31 + "a=1 or " * 240 + "a",
        "a in [" + "$b," * 640 + "=",
        "a" + ".b" * 990 + "=1",
        "not(" * 30 + "a.b.c.d=$a.b.c or " * 100 + "a",
        "a and not (" * 180,
        "\"'" * 1_000,
    ],
)
def test_no_filter_takes_long_to_parse(text):
    seconds = []
    for _ in range(3):
        compiled.cache_clear()
        begun = time.thread_time()
        with suppress(FilterInvalid):
            compiled(text[:2_000])
        seconds.append(time.thread_time() - begun)
    assert min(seconds) < 0.02


@given(
    values=st.integers(0, 500), tests=st.integers(0, 30), depth=st.integers(0, 15), word=st.sampled_from(["1", "'x'"])
)
def test_filters_within_the_other_bounds_are_parsed(values, tests, depth, word):
    listed = f"a in [{','.join([word] * values)}]"
    others = "".join(" or a=1" for _ in range(min(tests, (1_090 - 2 * values - 2 * depth) // 4)))
    text = "(" * depth + listed + others + ")" * depth
    assume(len(text) <= 2_000)
    assert compiled(text).tests == 1 + others.count("or")


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


@settings(max_examples=150, deadline=None)
@given(
    before=st.lists(attributes, max_size=6),
    changes=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), attributes), max_size=6),
    node=expressions,
)
def test_items_that_change_between_two_steps_never_spoil_a_column(before, changes, node):
    catalogue = a_catalogue(*(Item(item_id=str(n), attributes=said) for n, said in enumerate(before)))
    request, expression, said = RecommendationRequest(now=0.0), compiled(spelled(node)), dict(enumerate(before))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "ITEMS", 1)
        patch.setattr(columns, "TEXTS", 1)
        two = [expression.steps(request, catalogue.fields) for _ in range(2)]
        for pause, number, fields in changes:
            for _ in range(pause):
                next(two[pause % 2], None)
            catalogue.put(Item(item_id=str(number), attributes=fields))
            said[number] = fields
        interrupted = two[0]
        interrupted.close()
        list(two[1])
        found = {catalogue.ids[at] for at in expression.holds(request, catalogue.fields).nonzero()[0]}
    assert found == {str(number) for number, fields in said.items() if naive(node, fields)}


def test_invented_fields_get_no_columns_and_push_none_out():
    catalogue = a_catalogue(*GAMES)
    request = RecommendationRequest(now=0.0)
    compiled("price > 3 and genres has 'rpg'").holds(request, catalogue.fields)
    kept = dict(catalogue.fields._columns)
    invented = " or ".join(f"attributes.genres.x{n} = {n}" for n in range(64))
    assert not compiled(invented).holds(request, catalogue.fields).any()
    assert catalogue.fields._columns == kept


def test_a_field_is_known_while_an_item_has_it():
    catalogue = a_catalogue(*GAMES)
    assert catalogue.fields.is_known(("maker", "country"))
    assert catalogue.fields.is_known(("attributes", "maker"))
    assert not catalogue.fields.is_known(("maker", "city"))
    catalogue.put(Item(item_id="Quest", attributes={"maker": {"city": "Bern"}}))
    assert catalogue.fields.is_known(("maker", "city"))
    assert not catalogue.fields.is_known(("maker", "country"))
    catalogue.forget("Quest")
    assert not catalogue.fields.is_known(("maker", "city"))
    assert catalogue.fields.is_known(("title",))


def test_an_attribute_has_one_column_under_both_of_its_names():
    fields = a_catalogue(*GAMES).fields
    assert fields.column(("genres",)) is fields.column(("attributes", "genres"))


def test_a_column_is_read_in_short_steps_and_each_item_once(monkeypatch):
    monkeypatch.setattr(columns, "ITEMS", 10)
    read, steps = [], []
    column = columns.Column(read.append, 95)
    first, second = column.refresh_steps(), column.refresh_steps()
    for waits in first:
        steps.append(len(read))
        assert next(second) is True
        assert not waits
    assert list(second) == []
    assert read == list(range(95))
    assert max(after - before for before, after in zip([0, *steps], [*steps, 95], strict=True)) <= 10


def test_texts_are_tested_in_short_steps_and_each_once(monkeypatch):
    monkeypatch.setattr(columns, "TEXTS", 10)
    tested = []
    column = columns.Column(lambda position: f"text {position}", 35)
    column.refresh()

    def contains(text, wanted):
        tested.append(text)
        return wanted in text

    steps = [len(tested) for _ in column.matching("contains", contains, "3", column.entries.terms)]
    assert steps == [10, 20, 30, 35]
    assert list(column.matching("contains", contains, "3", column.entries.terms)) == []
    assert len(tested) == 35


def test_a_column_of_texts_that_no_item_has_any_more_is_made_anew(monkeypatch):
    monkeypatch.setattr(columns, "_SPARE_TEXTS", 5)
    catalogue = a_catalogue(Item(item_id="a", title="first"))
    first = catalogue.fields.column(("title",))
    for number in range(20):
        catalogue.put(Item(item_id="a", title=f"title {number}"))
        assert compiled(f"title = 'title {number}'").holds(RecommendationRequest(now=0.0), catalogue.fields).all()
    now = catalogue.fields.column(("title",))
    assert now is not first
    assert len(now._texts) <= 8


def test_a_result_is_remembered_until_an_item_changes():
    catalogue, request = a_catalogue(*GAMES), RecommendationRequest(now=0.0)
    expression = compiled("price < $max")
    cheap = RecommendationRequest(now=9.0, context={"max": "10"})
    first = expression.holds(cheap, catalogue.fields)
    assert expression.holds(cheap, catalogue.fields) is first
    assert not expression.is_remembered(request, catalogue.fields)
    assert expression.is_remembered(cheap, catalogue.fields)
    catalogue.put(GAMES[0])
    assert not expression.is_remembered(cheap, catalogue.fields)


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


@settings(max_examples=100, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 3), st.none() | attributes), max_size=12))
def test_the_known_fields_are_those_of_the_items_as_they_are(changes):
    catalogue, said = Catalogue(), {}
    for number, fields in changes:
        if fields is None:
            catalogue.forget(str(number))
            said.pop(number, None)
        else:
            nested = {"deep": {"er": fields}} if number == 3 else fields
            catalogue.put(Item(item_id=str(number), attributes=nested))
            said[number] = nested
    names = {name for fields in said.values() for name in fields}
    assert all(catalogue.fields.is_known((name,)) == (name in names) for name in (*"abcd", "deep"))
    assert catalogue.fields.is_known(("deep", "er")) == ("deep" in names)
