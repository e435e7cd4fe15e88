"""What the README of each case with a ``cmd.sh`` expects, as checks of what its commands did.

Where a README leaves a choice ("read, or a sentence"), the check does too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.integration.cases.outcomes import Run, Script

EXPECTED: dict[str, Callable[[Script], None]] = {}
"""The check of each case, by the name of its folder."""

TABLE_OF_PEOPLE = re.compile(r"(\d+) questions")


def case(name: str) -> Callable[[Callable[[Script], None]], Callable[[Script], None]]:
    """Registers the check of a case."""

    def register(check: Callable[[Script], None]) -> Callable[[Script], None]:
        EXPECTED[name] = check
        return check

    return register


def is_refused(run: Run, *texts: str) -> bool:
    """True if nothing was kept, and the output has a sentence with all the texts."""
    return run.exit_code != 0 and not run.log() and run.names(*texts)


def values(run: Run) -> dict[tuple[str, str], Any]:
    """The value of each event on the log, by user and item."""
    return {(event["user_id"], event["item_id"]): event["value"] for event in run.log()}


def fields(run: Run) -> dict[str, dict[str, Any]]:
    """The fields of each item on the log, by its id."""
    return {record["id"]: record["fields"] for record in run.log("items")}


@case("01-header-word-trailing-blank")
def blanks_beside_times_are_no_fault(script: Script) -> None:
    times = ["2022-06-24T21:20:11Z", "2022-06-24T21:20:13Z", "2022-06-24T21:20:19Z", "2022-06-24T21:20:20Z"]
    assert script.last.times() == times


@case("02-mixed-dates")
def small_numbers_are_no_times(script: Script) -> None:
    run = script.last
    assert set(run.times()) == {"2021-01-29T07:01:00Z", "2021-01-30T08:01:00Z"}
    assert {("a", "1"), ("c", "2")} <= set(run.pairs()) <= {("a", "1"), ("c", "2"), ("b", "1")}
    assert run.names("'81'", "'152'", "'01:21.7'", "fb.csv line 3", "fb.csv line 6")


@case("03-us-dates")
def dates_of_the_united_states_can_be_said(script: Script) -> None:
    run = script.last
    assert run.times() == ["2000-11-01T00:00:00Z", "2000-11-13T00:00:00Z"] or is_refused(run, "--time-format")
    assert run.names("1-01-200") or not run.kept
    said = script.freshet(*run.arguments, "--time-format", "month-first", "--data", f"{run.data}.said")
    assert said.times() == ["2000-11-01T00:00:00Z", "2000-11-13T00:00:00Z"]
    assert said.names("tafeng.csv line 4", "1-01-200")


@case("04-online-retail")
def an_invoice_file_is_read_once_its_dates_are_said(script: Script) -> None:
    run = script.last
    assert is_refused(run, "12/1/2010 8:26", "--time-format") or run.kept == 4
    said = script.freshet(*run.arguments, "--time-format", "month-first", "--data", f"{run.data}.said")
    customers = {user.removesuffix(".0") for user, _ in said.pairs()}
    assert (said.kept, said.refused, customers) == (4, 1, {"17850", "14527", "13047"})
    assert said.times()[0] == "2010-12-01T08:26:00Z"


@case("05-utc-suffix")
def a_time_may_end_in_utc(script: Script) -> None:
    run = script.last
    assert run.times() == ["2019-10-01T00:00:00Z", "2019-10-01T00:00:01Z", "2019-10-01T00:00:09Z"]
    assert run.names("remove_from_cart", "line 4")


@case("06-tmall-mmdd")
def month_and_day_are_no_time(script: Script) -> None:
    assert is_refused(script.last, "0829", "time_stamp")


@case("07-yyyymmdd")
def eight_digits_are_a_day_or_refused(script: Script) -> None:
    run = script.last
    days = ["2019-01-01T00:00:00Z", "2019-01-02T00:00:00Z", "2019-01-03T00:00:00Z"]
    assert is_refused(run, "20190101") or run.times() == days


@case("09-taobao-outliers")
def columns_are_numbers_and_outliers_are_named(script: Script) -> None:
    known, unknown = script.runs
    assert [time[:7] for time in known.times()] == ["2017-11"] * 4
    assert known.names("-1511593493", "UserBehavior.csv line 4", "UserBehavior.csv line 5")
    assert unknown.kept == 1
    assert unknown.names("'pv'", "line 1")
    mapped = script.freshet(*unknown.arguments, "--types", "pv=view,fav=bookmark", "--data", f"{unknown.data}.mapped")
    assert [event["type"] for event in mapped.log()].count("view") == 3


@case("10-id-nan")
def ids_that_look_like_nothing_stay_ids(script: Script) -> None:
    imported, trained, recommended = script.runs
    names = {"NULL", "None", "NA", "null", "nan", "-", "True", "1e5", "007", "7"}
    assert (imported.kept, {item for _, item in imported.pairs()}) == (72, names)
    assert trained.exit_code == 0
    assert names <= set(re.findall(r"(?<=│ )\S+(?= +│)", recommended.output))


@case("11-few-rows")
def four_rows_are_enough_for_lists(script: Script) -> None:
    imported, trained, known, unknown, compared = script.runs
    assert imported.kept == 4
    assert trained.exit_code == 0 or trained.names("Not trained")
    assert (known.exit_code, unknown.exit_code) == (0, 0)
    assert all(run.names("popular with everyone") for run in (known, unknown))
    assert compared.names("too little data")


@case("12-handmade")
def an_action_may_stand_in_the_middle(script: Script) -> None:
    run = script.last
    pairs = [("k1", "pad"), ("k1", "phone"), ("k2", "covers"), ("k2", "tab"), ("k3", "covers")]
    assert (run.pairs(), run.refused) == (pairs, 1)
    assert run.names("set", "actions.txt line 6")


@case("13-sniffer-blanks")
def the_delimiter_is_found(script: Script) -> None:
    assert [run.kept for run in script.runs] == [3, 3, 3, 3, 2]
    titled, quoted, piped, genres, blanks = [run.pairs() for run in script.runs]
    assert titled == quoted == [("u1", "10"), ("u2", "11"), ("u3", "12")]
    assert piped == [("u1", "a|b"), ("u2", "a|c"), ("u3", "b|c")]
    assert genres == [("u1", "1"), ("u2", "2"), ("u3", "3")]
    assert blanks == [("u 1", "i 1"), ("u 2", "i 2")]


@case("14-stray-quote")
def a_stray_quote_swallows_no_line(script: Script) -> None:
    tsv, csv = script.runs
    assert (tsv.kept + tsv.refused, csv.kept + csv.refused) == (13, 9)
    assert (len(tsv.log()), len(csv.log())) == (tsv.kept, csv.kept)
    assert {("u3", "i3"), ("u12", "i12")} <= set(tsv.pairs())
    assert {("u0", "i0"), ("u8", "i8")} <= set(csv.pairs())


@case("15-cr-only")
def lines_of_an_old_mac_are_lines(script: Script) -> None:
    run = script.last
    assert run.pairs() == [("u1", "i1"), ("u2", "i2"), ("u3", "i3")] or is_refused(run, "carriage return")


@case("16-utf16")
def utf_16_is_read_or_named(script: Script) -> None:
    marked, unmarked = script.runs
    assert marked.pairs() == [("u2", "i2"), ("zoë", "i1")] or is_refused(marked, "UTF-16")
    assert unmarked.pairs() == [("u1", "i1"), ("u2", "i2")] or is_refused(unmarked, "UTF-16")


@case("17-excel-semicolon")
def a_decimal_comma_is_no_thousand(script: Script) -> None:
    run, right = script.last, {("änne", "A-1"): 4.5, ("bert", "A-1"): 3.0, ("bert", "A-2"): 1.5}
    assert values(run).items() <= (right | {("cem", "A-2"): 1000.5}).items()
    assert (run.exit_code, values(run)[("bert", "A-1")]) == (0, 3.0)
    assert all(run.names(f"noten.csv line {line}") for line, row in _NOTES.items() if row not in values(run))


_NOTES = {2: ("änne", "A-1"), 4: ("bert", "A-2"), 5: ("cem", "A-2")}


@case("18-cp1252-header")
def the_encoding_of_windows_is_read_or_named(script: Script) -> None:
    run = script.last
    assert run.pairs() == [("anna", "XL"), ("bernd", "M")] or is_refused(run, "UTF-8")


@case("19-json-array")
def an_array_of_objects_is_read(script: Script) -> None:
    pairs = [("00041077", "BM/55"), ("00041077", "BM/56"), ("00041272", "BM/57")]
    assert [run.pairs() for run in script.runs] == [pairs, pairs]


@case("20-jsonl-number-ids")
def ids_that_are_numbers_keep_their_digits(script: Script) -> None:
    run = script.last
    users, items = map(set, zip(*run.pairs(), strict=True))
    assert items <= {"634866135153775564", "98765432109876543210987", "18446744073709551617", "i", "12"}
    assert users <= {"123", "124", "u", "1000000000000000000000"} or users <= {"123.0", "124", "u"}
    assert run.kept + run.refused == 6
    assert run.names("line 4")


@case("21-jsonl-nan")
def nan_is_neither_a_value_nor_a_name(script: Script) -> None:
    run = script.last
    assert (run.pairs(), run.refused) == ([("b", "y")], 4)
    assert run.names("line 1", "line 2", "line 4", "line 5")


@case("22-amazon-null-ids")
def null_is_no_id_and_a_comma_no_thousand(script: Script) -> None:
    run, items = script.last, fields(script.last)
    assert run.pairs() == [("A1", "0001388703"), ("A3", "B01")]
    assert {"0001388703"} <= items.keys() <= {"0001388703", "B01", "B02", "B03"}
    assert items["0001388703"]["price"] == 12.5
    assert items.get("B01", {}).get("price") in {None, 12.5}
    assert {items.get(item, {}).get("price") for item in ("B02", "B03")} == {None}
    assert run.refused >= 4
    assert run.names("reviews_Toys.json line 2", "reviews_Toys.json line 3")


@case("23-goodbooks-year")
def a_year_of_20015_ends_no_import(script: Script) -> None:
    run = script.last
    assert (run.exit_code, len(run.log())) == (0, 3)
    assert fields(run)["3"]["published_at"] == "1999-01-01T00:00:00Z"
    assert "published_at" not in fields(run).get("2", {})


@case("25-mind-labels")
def a_test_set_without_labels_is_named(script: Script) -> None:
    unlabelled, narrow = script.runs
    assert is_refused(unlabelled, "behaviors.tsv line 1", "impressions")
    assert is_refused(narrow, "behaviors.tsv line 1", "4 columns")


@case("26-movielens-uuids")
def ids_of_36_characters_are_read(script: Script) -> None:
    run = script.last
    assert (len(run.log()), len(run.log("items")), run.refused) == (4, 3, 0)
    assert {len(name) for pair in run.pairs() for name in pair} == {36}


@case("27-daily-export")
def each_day_is_read_whatever_its_file_is_called(script: Script) -> None:
    monday, tuesday, wednesday = script.imports
    assert (monday.kept, tuesday.kept, wednesday.kept) == (2, 2, 3)
    assert len({event["event_id"] for event in wednesday.log()}) == 7


@case("28-epoch-small")
def the_first_seconds_of_1970_are_no_time(script: Script) -> None:
    run = script.last
    assert [(event["item_id"], event["occurred_at"]) for event in run.log()] == [("Rammlied", "2009-10-12T13:01:13Z")]
    assert run.refused == 3
    assert run.names("scrobbles.tsv line 2", "scrobbles.tsv line 3", "scrobbles.tsv line 4")


@case("29-recbole-inter")
def an_atomic_file_is_read_as_tsv(script: Script) -> None:
    atomic, tsv = script.runs
    rated = {("A1ZC", "0001388703"): 5.0, ("AC2P", "0001388703"): 4.0, ("AC2P", "B000009"): 2.0}
    assert values(tsv) == rated
    assert tsv.times() == ["2013-09-11T00:00:00Z", "2013-09-11T00:00:00Z", "2013-12-22T00:00:00Z"]
    assert values(atomic) == rated or is_refused(atomic, ".tsv", ".csv")


@case("30-bx-scale")
def a_scale_to_ten_is_noticed(script: Script) -> None:
    imported, trained, recommended = script.runs
    assert (imported.kept, max(values(imported).values())) == (42, 10.0)
    assert imported.names("Ratings are from 0 to 10")
    assert (trained.exit_code, recommended.exit_code) == (0, 0)


@case("31-duplicate-header")
def a_column_that_is_named_twice_is_refused(script: Script) -> None:
    assert is_refused(script.last, "'id'", "more than once")


@case("32-blank-after-comma")
def blanks_after_a_comma_are_no_part_of_an_id(script: Script) -> None:
    named, numbered = script.runs
    assert values(named) == {("u1", "50"): 4.0, ("u1", "51"): 3.0} or is_refused(named, "blank")
    assert numbered.pairs() == [("u1", "50"), ("u1", "50"), ("u1", "51")] or is_refused(numbered, "blank")


@case("33-header-by-number")
def a_header_is_no_person(script: Script) -> None:
    run = script.last
    assert run.pairs() in ([("u1", "i1"), ("u2", "i2")], [])
    assert run.names("header") or run.names("h.csv line 1")


@case("34-map-typo-jsonl")
def a_column_that_no_row_has_is_an_error(script: Script) -> None:
    user, item_and_time = script.runs
    assert is_refused(user, "usr")
    assert is_refused(item_and_time, "itm") or is_refused(item_and_time, "tss")


@case("36-scrubbler-dates")
def a_day_before_its_month_is_read_or_named(script: Script) -> None:
    run = script.last
    assert {"Wait", "Intro"} <= {item for _, item in run.pairs()}
    assert {time[:19] for time in run.times()} == {"2019-02-26T08:34:33"}
    assert run.kept == 3 or run.names("'26/02/2019 08:34:33 +00:00'")


@case("37-growing-export")
def each_event_counts_once_however_often_its_file_is_imported(script: Script) -> None:
    first, grown = script.runs
    assert (first.kept, grown.kept, grown.repeated) == (300, 1, 300)
    assert len({event["event_id"] for event in grown.log()}) == len(grown.log()) == 301


@case("39-jsonl-list-filter")
def objects_are_no_ids_with_a_filter_too(script: Script) -> None:
    for run in script.runs:
        assert (run.pairs(), run.refused) == ([("b", "20")], 2)
        assert run.names("l.jsonl line 1", "l.jsonl line 3")


@case("40-blank-lines-ends")
def blank_lines_are_no_fault_and_a_bad_row_ends_nothing(script: Script) -> None:
    mixed, blank, only_header, empty, bad = script.runs
    assert mixed.exit_code == 0
    assert {("a", "x/y"), ("e", "w")} <= set(mixed.pairs())
    assert mixed.names("d.csv line 6", "d.csv line 7", "d.csv line 9")
    assert not re.search(r"d\.csv line [28]\b", mixed.text)
    assert all(run.exit_code != 0 and run.text for run in (blank, only_header, empty))
    assert is_refused(bad, "allbad.csv line 2", "allbad.csv line 3")


@case("41-sniffer-apostrophes")
def apostrophes_and_blanks_are_no_delimiters(script: Script) -> None:
    named, numbered, piped = script.runs
    pairs = [("u1", "i1"), ("u2", "i2"), ("u3", "i3")]
    assert (named.pairs(), numbered.pairs()) == (pairs, pairs)
    assert values(piped) == {("u1", "a b"): 5.0, ("u2", "c d"): 4.0, ("u3", "e f"): 3.0}


@case("42-underscore-number")
def an_underscore_is_no_part_of_a_number(script: Script) -> None:
    run = script.last
    assert (values(run), run.refused) == ({("b", "2"): 4.5}, 2)
    assert run.names("'1_5'", "'2_020'")


@case("43-amazon-category-text")
def text_where_a_list_is_wanted_is_one_category(script: Script) -> None:
    texts, number = script.runs
    games, shoes = fields(texts)["A1"], fields(texts).get("A2", {})
    assert games["categories"] == ["Video Games"]
    assert shoes.get("categories") in (None, ["Apparel > Shoes"], ["Apparel", "Shoes"])
    assert fields(number).get("A1", {}).get("categories") in (None, [], ["5"])


@case("44-import-count")
def an_import_that_kept_nothing_says_so(script: Script) -> None:
    run = script.last
    assert is_refused(run, "0 kept", "3 refused", "pageview", "购买")


@case("45-evaluate-silent")
def an_evaluation_says_what_it_leaves_out(script: Script) -> None:
    imported, compared, views_only = script.runs
    assert imported.kept == 600
    assert compared.names("600 events read: 600 kept")
    assert int(TABLE_OF_PEOPLE.findall(compared.text)[0]) > 6 or compared.names("480", "pv", "weight")
    assert views_only.exit_code == 0 or views_only.names("360", "pv", "weight")
