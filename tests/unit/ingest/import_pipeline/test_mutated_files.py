"""Damaged files of every importer: an import never ends in a traceback, and every row is counted."""

from __future__ import annotations

import gzip
import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.filtered import Filtered
from ingest.import_pipeline.hash_set import HashSet
from ingest.import_pipeline.k_core import parse_filter
from ingest.import_pipeline.refused import RefusedFile
from ingest.import_pipeline.run import ImportDependencies, run_import
from ingest.importers.catalogue import CatalogueFile
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import file_importers, recognise
from schemas.errors import ConfigurationInvalid, DatasetUnknown
from tests.unit.ingest.conftest import NOON, MemoryLog

MOVIE = "1|Heat (1995)|01-Jan-1995||http://x|" + "|".join("01" + "0" * 17) + "\n"
DESKDROP = "timestamp,eventType,contentId,personId,sessionId,userAgent,userRegion,userCountry\n"
SETS = {
    "movielens": {
        "movies.csv": 'movieId,title,genres\n1,Heat (1995),Crime|Drama\n2,"Odd, The",(no genres listed)\n',
        "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,1,3.5,964981247\n2,2,1,964981249\n",
        "tags.csv": "userId,movieId,tag,timestamp\n1,1,Fun,964982703\n",
        "links.csv": "movieId,imdbId,tmdbId\n1,0114709,862\n",
    },
    "ml-100k": {
        "u.item": MOVIE,
        "u.user": "1|24|M|technician|85711\n",
        "u.data": "1\t1\t3\t881250949\n1\t1\t4\t881250950\n",
    },
    "ml-1m": {
        "movies.dat": "1::Heat (1995)::Crime|Drama\n",
        "users.dat": "1::F::25::10::94043\n",
        "ratings.dat": "1::1::5::978300760\n2::1::3::978300700\n",
    },
    "amazon": {
        "meta.json": '{"asin": "B1", "title": "Lamp", "category": ["Home"], "price": "$9.99"}\n',
        "reviews.json": '{"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1400000000}\n' * 2,
    },
    "goodbooks": {
        "books.csv": "book_id,title,authors,original_publication_year\n258,The Shadow of the Wind,C. R. Z.,2001.0\n",
        "ratings.csv": "user_id,book_id,rating\n2,258,5\n1,258,4\n",
    },
    "steam-200k": {"plays.csv": "user_id,content_id,game,hours\n1,7,Portal,3.5\n2,7,Portal,0.1\n"},
    "steam-reviews": {
        "steam_reviews.json": "{u'username': u'ann', u'hours': 1.5, u'product_id': u'7', u'date': u'2017-12-17'}\n" * 2,
        "steam_games.json": "{u'id': u'7', u'app_name': u'Portal', u'genres': [u'Puzzle'], u'tags': [u'fun']}\n",
    },
    "deskdrop": {"events.csv": DESKDROP + "1465413032,VIEW,-349,-8845,126,,SP,BR\n1465413033,LIKE,-349,-8845,126,,,\n"},
    "retailrocket": {
        "events.csv": "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n",
        "item_properties_part1.csv": "timestamp,itemid,property,value\n1435460400000,355908,categoryid,1338\n",
    },
    "mind": {
        "behaviors.tsv": "1\tU1\t11/13/2019 8:36:57 AM\tN1\tN2-1 N3-0\n2\tU2\t11/13/2019 8:36:58 AM\t\tN2-1 N3-1\n",
        "news.tsv": "N2\tsports\tgolf\tA title\tAn abstract\thttp://x\t[]\t[]\n",
    },
    "rsc15": {
        "train.tsv": "SessionId\tItemId\tTime\n1\t214536502\t1396861309.277\n",
        "test.tsv": "SessionId\tItemId\tTime\n2\t214536502\t1396861709.277\n",
    },
    "yoochoose": {
        "yoochoose-clicks.dat": "1,2014-04-07T10:51:09.277Z,214536502,0\n2,2014-04-07T10:54:09.868Z,214536500,0\n",
        "yoochoose-buys.dat": "1,2014-04-07T10:54:10.000Z,214536502,12462,1\n",
    },
    "diginetica": {"period_0.txt": "1 7\n1 8\n", "period_1.txt": "2 7\n2 7\n"},
    "diginetica-views": {
        "train-item-views.csv": "sessionId;userId;itemId;timeframe;eventdate\n1;NA;7;526309;2016-05-09\n",
        "train-purchases.csv": "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n1;3;540000;2016-05-09;8;7\n",
        "product-categories.csv": "itemId;categoryId\n7;1096\n",
    },
    "csv": {"views.csv": "u,i,t,v\nann,x,1700000000,4\nbo,y,1700000060,2.5\nbo,y,1700000060,2.5\n"},
    "tsv": {"views.tsv": "u\ti\tt\tv\nann\tx\t2023-11-14T22:13:20Z\t4\nbo\ty\t2023-11-14T22:14:20Z\t5\n"},
    "jsonl": {
        "views.jsonl": '{"u": "ann", "i": 7, "t": 1700000000, "v": 3}\n{"u": "bo", "i": "y", "t": "1700000060", "v": 4.5}\n'
    },
    "orders": {
        "orders.csv": "u,i,t,v,title,price,tags\nann,x,1700000000,4,Lamp,9.99 EUR,home|light\nbo,x,1700000060,2,Lamp,,\n"
    },
    "json": {
        "views.json": '[{"u": "ann", "i": 7, "t": 1700000000, "v": 3},\n {"u": "bo", "i": "y", "t": 1700000060, "v": 4.5}]'
    },
    "quoted": {
        "views.csv": 'u;i;t;v\n"ann; the first";"x ""y""";2023-11-14 22:13;4,5\n"bo";"z";2023-11-15 22:13;3,0\n'
    },
    "items": {
        "shop.csv": "id,title,price,tags,availability\n7,Lamp,9.99 EUR,home|light,in_stock\n8,Chair,20,,sold_out\n"
    },
    "feed": {"shop.xml": "<rss><channel><item><id>7</id><title>Lamp</title></item></channel></rss>"},
}
MAP = "user=u,item=i,time=t,value=v"
MAPS = {
    "json": MAP,
    "quoted": MAP,
    "csv": MAP,
    "tsv": MAP,
    "jsonl": MAP,
    "orders": f"{MAP},title=title,price=price,tags=tags",
}


@st.composite
def mutated(draw, content: bytes) -> bytes:
    """The bytes of a file after one to three damages."""
    for _ in range(draw(st.integers(1, 3))):
        content = draw(st.sampled_from(DAMAGES))(draw, content)
    return content


def cut(draw, content):
    return content[: draw(st.integers(0, len(content)))]


def with_a_byte_flipped(draw, content):
    at = draw(st.integers(0, max(0, len(content) - 1)))
    return content[:at] + bytes([draw(st.integers(0, 255))]) + content[at + 1 :]


def with_something_put_in(draw, content):
    at = draw(st.integers(0, len(content)))
    put_in = (
        b'"',
        b"'",
        b"\x00",
        b"\r",
        b"\n",
        b",",
        b"\t",
        b"\\",
        b"\xff",
        b"[]",
        b"{}",
        b"nan",
        b"1e400",
        b"9",
        b"9" * 400,
    )
    return content[:at] + draw(st.sampled_from(put_in)) + content[at:]


def with_lines_in_another_order(draw, content):
    return b"".join(draw(st.permutations(content.splitlines(keepends=True))))


def with_a_line_twice(draw, content):
    lines = content.splitlines(keepends=True) or [b""]
    at = draw(st.integers(0, len(lines) - 1))
    return b"".join([*lines, lines[at] * draw(st.integers(1, 300))])


def with_columns_in_another_order(draw, content):
    delimiter = draw(st.sampled_from([b",", b"\t", b";", b"|", b"::", b" "]))
    return b"\n".join(delimiter.join(draw(st.permutations(line.split(delimiter)))) for line in content.split(b"\n"))


def in_another_encoding(draw, content):
    return content.decode("latin-1").encode(draw(st.sampled_from(["utf-16", "utf-16-le", "utf-8-sig", "utf-8"])))


DAMAGES = [
    cut,
    with_a_byte_flipped,
    with_something_put_in,
    with_lines_in_another_order,
    with_a_line_twice,
    with_columns_in_another_order,
    in_another_encoding,
]


@st.composite
def damaged(draw, name: str) -> dict[str, bytes]:
    """The files of a set, one of them damaged; some packed, and then damaged or not."""
    files = {file: text.encode() for file, text in SETS[name].items()}
    victim = draw(st.sampled_from(sorted(files)))
    files[victim] = draw(mutated(files[victim]))
    if draw(st.integers(0, 4)) == 0:
        packed = gzip.compress(files.pop(victim))
        files[f"{victim}.gz"] = draw(st.one_of(st.just(packed), mutated(packed)))
    return files


def reader_of(name, folder):
    if name in {"items", "feed"}:
        return CatalogueFile(next(folder.iterdir()))
    return recognise(folder, parse_map(MAPS[name]) if name in MAPS else None)


def checked_import(folder, name, filtered):
    """The counts of an import and of the same one again, after they have been compared with the log and the files."""
    importer = reader_of(name, folder)
    importer = Filtered(importer, parse_filter("min-user=1")) if filtered else importer
    log, refused = MemoryLog(), RefusedFile(folder / "data", name)
    parts = ImportDependencies(log, NOON.timestamp, lambda _: None, HashSet(), reader=log)
    done = run_import(importer, parts, faults=RowFaults(refuse=refused.add))
    written = refused.close(importer)
    again = run_import(importer, parts)
    assert done.total.read == done.total.kept + done.total.repeated + done.total.refused
    assert done.total.kept == sum(len(log.all(topic)) for topic in ("items", "users", "events"))
    assert sum(done.refused.values()) == done.total.refused
    assert (written is not None) == (done.total.refused > 0)
    if written is not None:
        rows = [json.loads(line) for line in written.read_bytes().splitlines()]
        assert 0 < len(rows) <= done.total.refused
        assert all(row["reason"] and row["detail"] for row in rows)
    assert (again.total.kept, again.total.read) == (0, done.total.read)


@pytest.mark.parametrize("name", SETS)
def test_an_import_of_the_whole_files_keeps_every_row(tmp_path, name):
    for file, text in SETS[name].items():
        (tmp_path / file).write_text(text)
    parts = ImportDependencies(MemoryLog(), NOON.timestamp, lambda _: None, HashSet())
    done = run_import(reader_of(name, tmp_path), parts)
    assert (done.total.refused, done.error) == (0, None)
    assert done.total.kept > 0


@pytest.mark.parametrize("name", SETS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_damage_ends_an_import_in_a_traceback_and_all_rows_are_counted(name, data):
    files = data.draw(damaged(name))
    with tempfile.TemporaryDirectory() as place:
        for file, content in files.items():
            Path(place, file).write_bytes(content)
        with suppress(DatasetUnknown, ConfigurationInvalid):
            checked_import(Path(place), name, data.draw(st.booleans()))


def test_every_importer_has_files_to_damage():
    assert {importer.dataset for importer in file_importers()} <= SETS.keys()
