"""What the README of each case with a ``case.py`` expects, as checks of what its calls got."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable

from tests.e2e.systems import eventually
from tests.integration.cases.outcomes import Calls

EXPECTED: dict[str, Callable[[Calls], None]] = {}
"""The check of each case, by the name of its folder."""

SECONDS = 10.0
NULL_UUID = "00000000-0000-0000-0000-000000000000"


def case(name: str) -> Callable[[Callable[[Calls], None]], Callable[[Calls], None]]:
    """Registers the check of a case."""

    def register(check: Callable[[Calls], None]) -> Callable[[Calls], None]:
        EXPECTED[name] = check
        return check

    return register


def statuses(line: str) -> list[str]:
    """The status of each event in a printed answer of ``POST /v1/events``, in order."""
    return re.findall(r'"status": "(accepted|rejected)"', line)


@case("51-surrogate-nul")
def half_an_emoji_spoils_its_event_alone(calls: Calls) -> None:
    array = calls.line("array: ")
    assert statuses(array) == ["rejected", "accepted", "rejected", "rejected", "accepted", "accepted"]
    assert all(f'"field": "{field}"' in array for field in ("properties.q", "query", "user_id"))
    named = {"bad utf8": 400, "item": 400, "user": 400, "rec": 200, "search": 200}
    assert {label: calls.status(label) for label in named} == named
    assert '"field": "title"' in calls.line("item: ")
    assert '"field": "attributes.bio"' in calls.line("user: ")


@case("52-batch-poison")
def every_event_of_a_batch_has_its_own_result(calls: Calls) -> None:
    assert calls.status("mixed") == calls.status("ndjson") == 207
    assert statuses(calls.line("mixed: ")) == ["accepted", *["rejected"] * 8, "accepted"]
    assert statuses(calls.line("ndjson: ")) == ["accepted", "rejected", "accepted"]
    expected = {"empty": 400, "[]": 400, "gzip promised": 400, "gzip": 202, "2001": 413, "envelope": 400}
    assert {label: calls.status(label) for label in expected} == expected


@case("53-numbers")
def a_number_keeps_its_digits_or_is_refused(calls: Calls) -> None:
    results = calls.line("events: ")
    assert calls.status("events") == 207
    # NaN, a rating, two ids that are numbers, two long numbers, text, three values out of their range, and true as an id.
    assert statuses(results) == ["rejected", "accepted", *["rejected"] * 9]
    assert [calls.status(label) for label in ("price", "price text", "attr big")] == [400, 400, 400]
    assert {calls.status(label) for label in ("rec", "scores")} == {200}


@case("54-dups-in-batch")
def the_later_upsert_wins_and_an_event_id_counts_once(calls: Calls) -> None:
    assert calls.status("items") == calls.status("events") == 202
    assert '"title": "new"' in calls.line("d1: ")
    user = eventually(lambda: calls.get("/v1/users/d")[1].get("counters"), SECONDS, "the likes are counted")
    assert user == {"like": 1}


@case("55-clock")
def a_time_of_the_future_or_without_a_zone_is_refused_by_name(calls: Calls) -> None:
    without_zone = ("'2020-01-01T10:00:00'", "'2020-01-01'", "'1600000000'", "1600000000", "''", "'now'")
    impossible = ("'2037-01-01T00:00:00Z'", "'50000-01-01T00:00:00Z'", "'2020-02-30T00:00:00Z'")
    for time in (*without_zone, *impossible):
        assert re.match("400 .*occurred_at", calls.line(f"{time} "))
    for time in ("'1956-12-31T23:00:00Z'", "'2020-01-01 10:00:00Z'", "'2020-01-01T10:00:00+0530'", "None"):
        assert calls.line(f"{time} ").startswith("202")
    for field in ("timestamp", "userId"):
        assert re.match(f'400 .*"field": "{field}"', calls.line(f"{field}: "))


@case("56-identify-undefined")
def a_placeholder_joins_nobody(calls: Calls) -> None:
    for placeholder in ("undefined", "null", "0", "[object Object]", "None", "NaN", NULL_UUID):
        guest = {"type": "like", "anonymous_id": placeholder, "item_id": "m1"}
        status, answer = calls.post("/v1/events", guest)
        assert (status, answer["field"]) == (400, "anonymous_id")
        assert calls.status(f"guest {placeholder}") == 400
        assert all(calls.line(f"{user} {placeholder} ").startswith("400") for user in ("alice", "bob"))
    assert "bob sees" not in calls.output
    assert calls.status("user undefined") == 400


@case("57-identify-chain")
def the_second_person_of_a_device_gets_nothing_of_the_first(calls: Calls) -> None:
    assert calls.status("events") == 202
    seen = {user: set(re.findall(r"k\d+", calls.line(f"{user} seen: "))) for user in ("ua", "ub")}
    assert seen["ua"] == {"k1", "k2"}
    assert seen["ub"] in ({"k3"}, {"k1", "k3"})
    assert "k2" not in calls.line("ub after merging ua: ")


@case("58-beacon-cors")
def a_beacon_is_taken_or_told_what_to_send(calls: Calls) -> None:
    for beacon in ("text/plain;charset=UTF-8", "text/plain"):
        assert calls.status(beacon) == 202 or "application/json" in calls.line(f"{beacon}: 415")
    taken = ("application/json;charset=UTF-8", "application/json; charset=utf-8; v=1", "application/json;")
    assert [calls.status(content_type) for content_type in (*taken, "APPLICATION/JSON", "BOM")] == [202] * 5
    # A page of another site can send these without asking (no preflight), so they are refused.
    refused = ("application/json; charset=iso-8859-1", "application/x-www-form-urlencoded", "None")
    assert [calls.status(content_type) for content_type in refused] == [415] * 3


@case("59-one-id-two-payloads")
def an_event_id_counts_once_a_person(calls: Calls) -> None:
    assert calls.status("events") == 202
    assert calls.line("w seen ") == "['w1']"
    assert calls.line("v seen ") == "['w3']"


@case("60-hidden")
def what_is_hidden_is_in_no_list(calls: Calls) -> None:
    lists = re.findall(r"^/v1/.* (\d{3} (?:ok|BAD)) \d+$", calls.output, re.MULTILINE)
    assert lists == ["200 ok"] * 10
    for path in ("/v1/popular", "/v1/latest", "/v1/users/new/recommendations"):
        assert calls.line(f"{path} ha ").startswith("False")
        assert calls.line(f"{path} hc ").startswith("True")
    assert calls.status("naive date") == 400
    assert calls.line("h2 back in popular: ") == "False"


@case("62-retract")
def a_retracted_item_comes_back(calls: Calls) -> None:
    assert calls.line("hidden before ") == "True back after True"
    assert calls.line("t2 back after forget ") == "True"


@case("63-big-integers")
def an_integer_beyond_64_bits_is_refused(calls: Calls) -> None:
    taken, read = calls.line("9007199254740993 "), calls.line("9007199254740993 ", 1)
    assert (taken, read) == ("202 202 202", "{'ean': 9007199254740993} {'no': 9007199254740993}")
    assert calls.line("9223372036854775807 ") == "202 202 202"
    for refused in ("9223372036854775808", "18446744073709551615", "18446744073709551616", "98765432109876543210987"):
        assert calls.line(f"{refused} ") == "400 400 400"
    assert calls.line("-9223372036854775809 ") == "400 400 400"


@case("64-extreme-values")
def one_rating_moves_not_everybody(calls: Calls) -> None:
    assert [calls.line(f"rating {rating} ") for rating in ("1e+308", "1.7e+308")] == ["400", "400"]
    assert calls.line("dwell ") == "400"
    assert not re.search(r"\b(inf|nan|Infinity|NaN)\b", calls.output)
    after = json.loads(calls.line("after: ")[5:-1])
    predictions = [score["predicted_rating"] for score in after["scores"] if score.get("predicted_rating") is not None]
    assert all(math.isfinite(score["score"]) for score in after["scores"])
    assert all(0 <= prediction <= 5 for prediction in predictions)


@case("65-latin1-forms")
def a_mistake_in_an_address_is_a_problem_and_no_failure(calls: Calls) -> None:
    codes = re.findall(r"^(\d{3}) /v1/", calls.output, re.MULTILINE)
    assert len(codes) == 24
    assert set(codes) <= {"200", "400", "404"}
    bodies = re.findall(r"(\d{3}) (\d{3}) (\d{3})$", calls.output, re.MULTILINE)
    assert bodies == [("400", "400", "400")] * 6


@case("66-latin1-path")
def a_path_that_is_no_utf_8_names_nothing(calls: Calls) -> None:
    labels = ("PUT caf%E9", "PUT caf%E8", "DELETE caf%EA", "PUT user Ren%E9", "PUT user Ren%E8", "GET user Ren%EA")
    assert {calls.status(label) for label in (*labels, "exclude")} == {400}
    assert "\ufffd" not in str(calls.get("/v1/items?limit=500"))
