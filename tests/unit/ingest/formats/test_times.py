"""A number is a time only in a plausible year, or because somebody said so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.formats.columns import CellInvalid
from ingest.import_pipeline.formats.times import read_time, time_reader
from schemas.errors import ConfigurationInvalid

SECONDS = 1_600_000_000
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))
READ_ALIKE = [
    *(SECONDS, "1600000000", "1600000000.0", " 1600000000 ", "1.6e+09", 1_600_000_000_000, "1600000000000"),
    *(
        "1600000000000000",
        "1600000000000000000",
        "2020-09-13T12:26:40Z",
        "2020-09-13 12:26:40",
        "2020-09-13 12:26:40 UTC",
    ),
    *("2020-09-13 12:26:40 ", " 2020-09-13 12:26:40", "2020-09-13 14:26:40 +02:00", "2020-09-13T12:26:40.000000000Z"),
    *("2020-09-13T12:26:40+0000", "2020-09-13 12:26:40 GMT", "2020-09-13T12:26:40 Z"),
]
REFUSED = {
    "20190101": "%Y%m%d",
    20190101: "%Y%m%d",
    "20190101123000": "%Y%m%d%H%M%S",
    "0829": "a month and a day need a year",
    "44197.35": "--time-format excel",
    "81": "between 1990 and tomorrow",
    "1": "between 1990 and tomorrow",
    3: "between 1990 and tomorrow",
    "0": "between 1990 and tomorrow",
    "-1511593493": "between 1990 and tomorrow",
    "637455744000000000": "ticks",
    "132537600000000000": "ticks",
    "13253760000000000": "between 1990 and tomorrow|ticks",
    "2_020": "is not a time",
    "1_600_000_000": "is not a time",
    "１６０００００００0": "is not a time",
    "11/13/2000": "--time-format day-first or month-first",
    "26/02/2019 08:34:33 +00:00": "--time-format day-first or month-first",
    "29-01-2021 07:01": "--time-format day-first or month-first",
    "1/2/99": "century",
    "01:21.7": "is not a time",
    "20120-01-01": "four digits",
    "99999999999999999999": "is not a time",
    "nan": "is not a time",
    "inf": "is not a time",
    "1e400": "is not a time",
    "": "is not a time",
    "   ": "is not a time",
    "noon": "is not a time",
    "2020-09-13 12:26 PST": "is not a time",
    True: "is not a time",
    None: "is not a time",
}
SAID = [
    ("unix", "81", 81.0),
    ("unix", 1, 1.0),
    ("unix-ms", "1600000000000", SECONDS),
    ("unix-us", "1600000000000000", SECONDS),
    ("iso", "2020-09-13T12:26:40Z", SECONDS),
    ("day-first", "13/09/2020 12:26:40", SECONDS),
    ("day-first", "13.9.2020, 12:26:40", SECONDS),
    ("day-first", "13-09-2020 14:26:40 +02:00", SECONDS),
    ("day-first", "2020-09-13 12:26:40", SECONDS),
    ("month-first", "9/13/2020 12:26:40 PM", SECONDS),
    ("month-first", "09/13/2020 12:26:40 UTC", SECONDS),
    ("month-first", "9/13/2020", SECONDS - 44_800),
    ("excel", "44087.5185185185", SECONDS),
    ("%Y%m%d", "20200913", SECONDS - 44_800),
    ("%d %b %Y, %H:%M:%S", "13 Sep 2020, 12:26:40", SECONDS),
    ("%Y-%m-%dT%H:%M:%S%z", "2020-09-13T14:26:40+0200", SECONDS),
]


@pytest.mark.parametrize("cell", READ_ALIKE)
def test_the_unit_of_a_time_is_known_by_its_size_or_form(cell):
    assert read_time(cell) == SECONDS


@pytest.mark.parametrize("cell", REFUSED)
def test_what_is_no_time_is_refused_with_a_hint(cell):
    with pytest.raises(CellInvalid, match=REFUSED[cell]) as refused:
        read_time(cell)
    assert refused.value.reason == "not-a-time"


@pytest.mark.parametrize(("form", "cell", "seconds"), SAID)
def test_a_form_that_is_said_is_read(form, cell, seconds):
    assert time_reader(form)(cell) == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("unix", "2020-09-13"),
        ("unix", "1600000000000000"),
        ("unix", "1_6"),
        ("iso", "1600000000"),
        ("day-first", "9/13/2020"),
        ("month-first", "13/9/2020"),
        ("month-first", "9/13/2020 13:00 PM"),
        ("day-first", "1/9/2020 12:61"),
        ("day-first", "1/9/2020 10:00:75"),
        ("day-first", "1/9/20"),
        ("excel", "1600000000"),
        ("excel", "12"),
        ("%Y%m%d", "2020-09-13"),
        ("%Y%m%d", 5),
    ],
)
def test_a_cell_of_another_form_than_the_one_said_is_refused(form, cell):
    with pytest.raises(CellInvalid):
        time_reader(form)(cell)


@pytest.mark.parametrize("form", ["%m%d", "%Y-%Q", "epoch", "day", "%Y-%m-%d %"])
def test_a_form_that_cannot_be_read_is_an_error_at_once(form):
    with pytest.raises(ConfigurationInvalid):
        time_reader(form)


def test_a_time_after_the_latest_one_is_refused_by_its_cell():
    read = time_reader("", latest=SECONDS)
    assert read("1600000000") == SECONDS
    with pytest.raises(CellInvalid, match="after tomorrow"):
        read("2037278300")


@given(TIMES, st.sampled_from([1, 1_000, 1_000_000]))
def test_every_plausible_time_is_read_in_each_unit(time, unit):
    whole = time.replace(microsecond=0)
    assert read_time(str(int(whole.timestamp()) * unit)) == whole.timestamp()


@given(TIMES)
def test_an_iso_time_and_its_epoch_are_the_same(time):
    assert read_time(time.isoformat()) == pytest.approx(time.timestamp(), abs=1e-6)


@given(TIMES)
def test_day_first_and_month_first_differ_only_in_their_order(time):
    whole = time.replace(microsecond=0)
    assert time_reader("day-first")(f"{whole:%d/%m/%Y %H:%M:%S}") == whole.timestamp()
    assert time_reader("month-first")(f"{whole:%m/%d/%Y %I:%M:%S %p}") == whole.timestamp()


@given(st.integers(0, 10**20) | st.floats() | st.text())
def test_whatever_a_cell_holds_is_a_time_of_these_years_or_refused(cell):
    for value in (cell, str(cell)):
        try:
            seconds = read_time(value)
        except CellInvalid:
            continue
        if not isinstance(value, str) or value.strip().replace(".", "").isdigit():
            assert datetime(1990, 1, 1, tzinfo=UTC) <= datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
