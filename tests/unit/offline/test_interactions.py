"""Interactions: the events that count, the users they belong to, and retractions. On DuckDB, without a server."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys

import pytest
import sqlglot
from sqlglot import exp

from adapters.parquet.archive import ParquetArchive
from offline.interactions import Parameters, WeightStep, run_duckdb, steps
from schemas.errors import ConfigurationInvalid
from schemas.log.codec import decode_event
from schemas.log.records import Record
from signals import users

MIDNIGHT = 1_699_920_000  # 2023-11-14
NOW = MIDNIGHT + 86_400.0
ALLOWED = {
    "And", "Case", "Cast", "Coalesce", "Concat", "Count", "Exp", "Greatest", "If", "JSONExtractScalar", "Length",
    "Max", "Min", "Or", "RegexpLike", "RowNumber", "Sum", "TryCast", "UnixMicros",
}  # fmt: skip
"""sqlglot's names of what both engines are known to compute alike; a function joins the list with a case in the test of equality."""


@pytest.fixture
def interactions(tmp_path):
    """Archives events (dicts, in the order of their offsets) and reads them as ``{(user, item): row}``."""
    archive = ParquetArchive(tmp_path / "archive")

    def run(events, log_id="log", **parameters):
        for partition in {e.get("partition", 0) for e in events}:
            mine = [(i, e) for i, e in enumerate(events) if e.get("partition", 0) == partition]
            archive.write(log_id, [_record(i, event) for i, event in mine])
        table = run_duckdb(archive.files("events"), Parameters(**{"now": NOW, **parameters}))
        return {(row["user"], row["item"]): row for row in table.to_pylist()}

    return run


def _record(offset, event):
    second = event.get("at", offset)
    body = {
        "event_id": f"e{offset}",
        "type": "view",
        "occurred_at": f"2023-11-14T00:{second // 60:02d}:{second % 60:02d}Z",
        "received_at": "2023-11-14T00:00:00Z",
        **{key: value for key, value in event.items() if key not in {"partition", "at", "raw"}},
    }
    value = event.get("raw", json.dumps(body).encode())
    return Record("events", event.get("partition", 0), offset, (MIDNIGHT + second) * 1_000, b"", value)


def weights(found):
    return {pair: row["weight"] for pair, row in found.items()}


def view(user="1", item="i", **more):
    return {"user_id": user, "item_id": item, **more}


def test_a_pair_sums_what_its_events_weigh(interactions):
    found = interactions([view(), view(), view(type="like"), view(item="j")])
    assert weights(found) == {("u:1", "i"): 6.0, ("u:1", "j"): 1.0}
    assert found["u:1", "i"]["events"] == 3
    assert found["u:1", "i"]["at"] - found["u:1", "i"]["first_at"] == 2.0


def test_binary_interactions_weigh_one(interactions):
    found = interactions([view(), view(), view(type="like")], binary=True)
    assert weights(found) == {("u:1", "i"): 1.0}


def test_an_event_sent_twice_counts_once_and_as_it_first_was(interactions):
    events = [view(event_id="x"), view(event_id="x", item="j"), view(event_id="x")]
    assert weights(interactions(events)) == {("u:1", "i"): 1.0}


def test_the_same_id_of_two_people_is_two_events(interactions):
    assert len(interactions([view("1", event_id="x"), view("2", event_id="x")])) == 2


def test_an_event_counts_once_over_two_logs(interactions):
    events = [view(event_id="x"), view(event_id="y")]
    interactions(events, log_id="first")
    assert weights(interactions(events, log_id="second")) == {("u:1", "i"): 2.0}


def test_a_retracted_event_is_gone_and_stays_gone_when_sent_again(interactions):
    events = [view(event_id="x"), view(item="j"), view(event_id="x", type="retract"), view(event_id="x")]
    assert weights(interactions(events)) == {("u:1", "j"): 1.0}


def test_only_the_own_event_can_be_retracted(interactions):
    events = [view("1", event_id="x"), view("2", event_id="x", type="retract")]
    assert weights(interactions(events)) == {("u:1", "i"): 1.0}


def test_a_retraction_takes_nothing_back_that_comes_after_it(interactions):
    events = [view(event_id="x", type="retract"), view(event_id="x")]
    assert weights(interactions(events)) == {("u:1", "i"): 1.0}


def test_unlike_takes_back_earlier_likes_of_that_item_alone(interactions):
    events = [view(type="like"), view(), view(type="like", item="j"), view(type="unlike"), view(type="like", item="k")]
    assert weights(interactions(events)) == {("u:1", "i"): 1.0, ("u:1", "j"): 4.0, ("u:1", "k"): 4.0}


def test_a_retracted_unlike_has_taken_back_its_likes_as_in_nearline(interactions):
    events = [view(type="like"), view(type="unlike", event_id="u"), view(type="retract", event_id="u"), view(item="j")]
    value = users.EMPTY
    for offset, event in enumerate(events):
        value = users.fold(value, decode_event(_record(offset, event).value), offset)
    assert [(entry.type, entry.item) for entry in value.recent] == [("view", "j")]
    assert weights(interactions(events)) == {("u:1", "j"): 1.0}


def test_a_like_after_a_retracted_unlike_counts(interactions):
    events = [view(type="unlike", event_id="u"), view(type="retract", event_id="u"), view(type="like")]
    assert weights(interactions(events)) == {("u:1", "i"): 4.0}


def test_a_like_after_an_unlike_counts(interactions):
    assert weights(interactions([view(type="unlike"), view(type="like")])) == {("u:1", "i"): 4.0}


def test_a_guest_who_becomes_a_user_takes_the_history_along(interactions):
    events = [
        {"anonymous_id": "g", "item_id": "i", "partition": 1},
        {"type": "identify", "anonymous_id": "g", "user_id": "1"},
        {"anonymous_id": "g", "item_id": "j", "partition": 1},
        view(item="i"),
    ]
    assert weights(interactions(events)) == {("u:1", "i"): 2.0, ("u:1", "j"): 1.0}


def test_a_guest_whom_two_users_claim_is_the_later_ones(interactions):
    events = [
        {"anonymous_id": "g", "item_id": "i", "partition": 1},
        {"type": "identify", "anonymous_id": "g", "user_id": "1"},
        {"type": "identify", "anonymous_id": "g", "user_id": "2", "partition": 2},
    ]
    assert set(interactions(events)) == {("u:2", "i")}


def test_guests_and_sessions_count_under_their_own_keys_unless_left_out(interactions):
    events = [view("x"), {"anonymous_id": "x", "item_id": "i"}, {"session_id": "x", "item_id": "i"}]
    assert set(interactions(events)) == {("u:x", "i"), ("a:x", "i"), ("s:x", "i")}
    assert set(interactions(events, guests=False)) == {("u:x", "i")}


def test_who_asks_to_be_forgotten_begins_anew(interactions):
    events = [view(item="i"), view("2"), {"type": "forget", "user_id": "1"}, view(item="j")]
    assert set(interactions(events)) == {("u:2", "i"), ("u:1", "j")}


def test_a_forget_is_obeyed_even_when_its_id_was_used_before(interactions):
    assert interactions([view(event_id="x"), {"type": "forget", "user_id": "1", "event_id": "x"}]) == {}


def test_an_event_from_before_a_forget_does_not_come_back_when_it_is_sent_again(interactions):
    assert interactions([view(event_id="x"), {"type": "forget", "user_id": "1"}, view(event_id="x")]) == {}


def test_a_forgotten_users_guests_are_forgotten_and_no_longer_theirs(interactions):
    events = [
        {"anonymous_id": "g", "item_id": "i", "partition": 1},
        {"type": "identify", "anonymous_id": "g", "user_id": "1"},
        {"type": "forget", "user_id": "1"},
        {"anonymous_id": "g", "item_id": "j", "partition": 1},
    ]
    assert set(interactions(events)) == {("a:g", "j")}


def test_a_forgotten_guest_stays_with_nobody(interactions):
    events = [
        {"anonymous_id": "g", "item_id": "i", "partition": 1},
        {"type": "forget", "anonymous_id": "g", "partition": 1},
        {"type": "identify", "anonymous_id": "g", "user_id": "1"},
    ]
    assert interactions(events) == {}


@pytest.mark.parametrize("kind", ["dislike", "dismiss", "impression", "search", "no_such_type"])
def test_what_says_nothing_for_an_item_is_left_out(interactions, kind):
    assert interactions([view(type=kind, query="q")]) == {}


def test_ratings_weigh_by_their_stars_and_low_ones_nothing(interactions):
    events = [view(type="rating", item=str(stars), value=stars) for stars in (0.5, 2.5, 3.0, 4.5, 5.0)]
    expected = {("u:1", "3.0"): 1.0, ("u:1", "4.5"): 3.0, ("u:1", "5.0"): 5.0}
    assert weights(interactions(events)) == expected


def test_a_site_can_weigh_types_of_its_own(interactions):
    own = {"stream": (WeightStep(0.0, 0.25), WeightStep(30.0, 2.0)), "view": 0.0}
    events = [view(), view(type="stream", item="short", value=29.9), view(type="stream", item="long", value=30)]
    events.append(view(type="stream", item="unknown"))
    expected = {("u:1", "short"): 0.25, ("u:1", "long"): 2.0, ("u:1", "unknown"): 0.25}
    assert weights(interactions(events, weights=own)) == expected


def test_an_event_counts_half_after_a_half_life(interactions):
    now = MIDNIGHT + 5 * 86_400.0
    found = interactions([view()], now=now, half_life_days=2.5)
    assert found["u:1", "i"]["weight"] == pytest.approx(0.25, rel=1e-12)


def test_an_event_later_than_now_is_not_worth_more(interactions):
    assert weights(interactions([view()], now=0.0, half_life_days=1.0)) == {("u:1", "i"): 1.0}


def test_rare_items_go_first_and_then_people_who_have_too_few(interactions):
    events = [view("1", "a"), view("2", "a"), view("1", "b"), view("2", "b"), view("3", "a"), view("3", "rare")]
    found = interactions(events, item_minimum=2, user_minimum=2)
    assert set(found) == {("u:1", "a"), ("u:1", "b"), ("u:2", "a"), ("u:2", "b")}


def test_what_is_no_event_is_left_out_and_its_neighbours_stay(interactions):
    raws = [b"", b"\xff\xfe", b"{", b'{"event_id": "x", "type": "view"', b"[1]", b'"text"', b"null", b"7"]
    broken = [
        view(event_id=None),
        view(event_id=""),
        view(type=None),
        view(user=None),
        view(user=""),
        view(item="x" * 129),
        view(item=None),
        view(occurred_at="yesterday"),
        view(occurred_at="2023-11-14"),
        view(occurred_at="2023-02-31T00:00:00Z"),
        view(occurred_at="2999-01-01T00:00:00Z"),
        view(occurred_at=None),
    ]
    assert set(interactions([view(), *({"raw": raw} for raw in raws), *broken, view(item="j")])) == {
        ("u:1", "i"),
        ("u:1", "j"),
    }


def test_no_files_are_no_interactions():
    table = run_duckdb([], Parameters(now=NOW))
    assert table.num_rows == 0
    assert table.column_names == ["user", "item", "weight", "events", "first_at", "at"]


def test_nothing_is_asked_of_the_network(interactions, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    assert interactions([view()])


@pytest.mark.parametrize(
    "wrong",
    [
        {"now": math.nan},
        {"half_life_days": 0.0},
        {"half_life_days": -1.0},
        {"weights": {"view": math.nan}},
        {"weights": {"dwell": (WeightStep(10.0, 1.0), WeightStep(5.0, 2.0))}},
    ],
)
def test_parameters_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationInvalid):
        Parameters(**{"now": NOW, **wrong})


def test_parameters_can_be_kept_in_a_manifest():
    assert json.loads(json.dumps(Parameters(now=NOW).as_dict()))["weights"]["view"] == 1.0


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.table)
def test_a_step_uses_only_functions_known_to_agree(step):
    tree = sqlglot.parse_one(step.sql, read="spark")
    used = {node.name if isinstance(node, exp.Anonymous) else type(node).__name__ for node in tree.find_all(exp.Func)}
    assert used <= ALLOWED


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.table)
def test_a_step_reads_only_the_tables_before_it(step):
    tables = [each.table for each in steps()]
    known = {"records", "weights", *tables[: tables.index(step.table)]}
    tree = sqlglot.parse_one(step.sql, read="spark")
    named = {cte.alias for cte in tree.find_all(exp.CTE)}
    assert {table.name for table in tree.find_all(exp.Table)} <= known | named


def test_every_parameter_that_the_steps_take_is_given_and_taken():
    taken = frozenset().union(*(step.parameters for step in steps()))
    assert taken == set(Parameters(now=NOW).arguments())


def test_the_embedded_way_never_loads_spark():
    code = "import sys, adapters.parquet.archive, offline.data.archive, offline.data.dataset, offline.interactions, offline.engines.spark_session\n"
    code += "sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
