"""Encodings and line ends are recognised, and a file that is no text is named."""

from __future__ import annotations

import bz2
import gzip
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.formats import lines as reader
from ingest.import_pipeline.formats.dialect import find_encoding
from ingest.import_pipeline.formats.encoding import detect, known_encoding
from ingest.import_pipeline.formats.lines import lines
from schemas.errors import ConfigurationInvalid, DatasetUnknown

TEXT = "user,item\nzoë,Größe\nu2,i2\n"


def written(tmp_path, data, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def read(path, faults=None):
    return list(lines(path, find_encoding(path), faults or RowFaults()))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_text_is_read_however_it_is_encoded(tmp_path, encoding, end, packed):
    data = TEXT.replace("\n", end).encode(encoding)
    path = written(tmp_path, gzip.compress(data) if packed else data)
    assert read(path) == TEXT.split("\n")[:3]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_line_or_a_letter_may_begin_in_one_block_and_end_in_the_next(tmp_path, monkeypatch, size):
    monkeypatch.setattr(reader, "_CHUNK", size)
    path = written(tmp_path, "zoë\r\n日本\r\rx".encode())
    assert read(path) == ["zoë", "日本", "", "x"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Привет, мир", "cp1251"),
        ("日本語のテキスト", "shift_jis"),
        ("中文的商品名称", "gbk"),
        ("한국어 상품", "euc_kr"),
    ],
)
def test_an_encoding_that_is_not_recognised_is_asked_for(tmp_path, text, encoding):
    path = written(tmp_path, f"user,item\nu1,{text}\n".encode(encoding))
    with pytest.raises(DatasetUnknown, match=r"a\.csv line 2 is not UTF-8 text: say what it is with --encoding"):
        find_encoding(path)
    assert list(lines(path, find_encoding(path, encoding), RowFaults()))[1] == f"u1,{text}"


def test_one_damaged_line_does_not_change_the_encoding_of_a_file(tmp_path):
    faults = RowFaults()
    path = written(tmp_path, "zoë\nfaçade\nnaïve\n".encode() + b"caf\xe9\nend\n")
    assert read(path, faults) == ["zoë", "façade", "naïve", "", "end"]
    assert (faults.examples, faults.reasons) == (["a.csv line 4: is not utf-8 text"], {"encoding": 1})


def test_a_file_of_two_encodings_has_damaged_lines(tmp_path):
    faults = RowFaults()
    assert read(written(tmp_path, "žluť,x\n".encode() + b"m\xfcller,y\n"), faults) == ["žluť,x", ""]
    assert faults.reasons == {"encoding": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        (b"PAR1\x15\x04\x15", "Parquet"),
        (bz2.compress(TEXT.encode()), "bzip2"),
        (b"SQLite format 3\0rest", "SQLite"),
        (b"<!DOCTYPE html><html>", "web page"),
        (bytes(range(256)) * 8, "binary"),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path, data, message):
    with pytest.raises(DatasetUnknown, match=message):
        read(written(tmp_path, data))


def test_a_zip_archive_that_is_called_csv_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.csv", "w") as archive:
        archive.writestr("b.csv", TEXT)
    with pytest.raises(DatasetUnknown, match="zip archive"):
        read(tmp_path / "a.csv")


def test_a_file_without_line_ends_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "_LONGEST_LINE", 1_000_000)
    with pytest.raises(DatasetUnknown, match="a line of more than 1,000,000 characters"):
        read(written(tmp_path, b"x" * 3_000_000))


def test_words_that_begin_like_a_packed_file_are_text(tmp_path):
    for text in ("PAR1,PAR2", "BZhang,x", "PK,item", "html,b"):
        assert read(written(tmp_path, text.encode())) == [text]


@pytest.mark.parametrize("name", ["latin1", "cp1251", "gbk", "utf-16"])
def test_an_encoding_can_be_said(name):
    assert known_encoding(name)


@pytest.mark.parametrize("name", ["martian", "hex", "rot13", "zip", "undefined", ""])
def test_what_is_no_encoding_of_text_is_an_error(name):
    with pytest.raises(ConfigurationInvalid, match="is not an encoding"):
        known_encoding(name)


LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff", exclude_categories=["Cc", "Cs"]), min_size=1),
    min_size=1,
)


@given(LINES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_every_line_of_a_text_is_read_as_it_is(tmp_path_factory, text, end):
    path = tmp_path_factory.mktemp("lines") / "a.csv"
    path.write_bytes(end.join(text).encode())
    assert list(lines(path, "utf-8", RowFaults())) == text


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_named(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("lines") / "a.csv"
    path.write_bytes(data)
    try:
        read(path)
    except DatasetUnknown:
        assert detect(data) is None or data[:1] in b"\x1f" or b"\0" in data or not data.isascii()
