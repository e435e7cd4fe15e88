"""Fetching a data set from a server on this machine: whole, broken off, gone on with, damaged and missing."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adapters.http.download import fetch
from ingest.import_pipeline.base import PublishedFiles
from ingest.import_pipeline.published import _published, downloaded
from ingest.importers.recognise import published, recognise
from schemas.errors import ConfigurationInvalid, DatasetUnknown, NotFetched


class Server(ThreadingHTTPServer):
    """Files by path; ``breaks`` bytes into the next answer the connection ends."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.breaks, self.asked, self.ranges = {}, None, [], True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body, asked = self.server.files.get(self.path[1:]), self.headers.get("Range")
        self.server.asked.append((self.path[1:], asked))
        if body is None:
            self.send_error(404)
            return
        begin = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and self.server.ranges else 0
        if begin and begin >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        end, self.server.breaks = self.server.breaks, None
        self.wfile.write(body[begin:end])

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server():
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


DATA = bytes(range(256)) * 400


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on_where_it_was(server, tmp_path, ranges):
    server.files["a.bin"], server.breaks, server.ranges = DATA, 70_000, ranges
    told = []
    with pytest.raises(NotFetched, match="goes on"):
        fetch(server.url + "a.bin", tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists()
    assert fetch(server.url + "a.bin", tmp_path / "a.bin", lambda *each: told.append(each)).read_bytes() == DATA
    assert server.asked[-1] == ("a.bin", "bytes=70000-")
    assert told[-1] == (len(DATA), len(DATA))


def test_what_was_whole_already_is_taken_as_it_is(server, tmp_path):
    server.files["a.bin"] = DATA
    (tmp_path / "a.bin.part").write_bytes(DATA)
    assert fetch(server.url + "a.bin", tmp_path / "a.bin").read_bytes() == DATA


def test_without_a_server_or_a_file_it_says_what_to_do(server, tmp_path):
    with pytest.raises(NotFetched, match="404 Not Found: fetch the data set by hand"):
        fetch(server.url + "none", tmp_path / "none")
    with pytest.raises(NotFetched, match=r"is there internet\? Run it again"):
        fetch("http://127.0.0.1:9/none", tmp_path / "none")


@pytest.fixture
def movies(server, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ml-tiny/movies.csv", "movieId,title,genres\n1,Toy Story (1995),Comedy\n")
        archive.writestr("ml-tiny/ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n")
    server.files["ml-tiny.zip"] = packed.getvalue()
    server.files["ml-tiny.zip.md5"] = f"{hashlib.md5(packed.getvalue()).hexdigest()}  ml-tiny.zip\n".encode()
    where = PublishedFiles((server.url + "ml-tiny.zip",), server.url + "ml-tiny.zip.md5")
    server.known = {"ml-tiny": where}
    return server


def test_a_data_set_is_fetched_once_checked_unpacked_and_recognised(movies, tmp_path):
    for _ in range(2):
        assert recognise(downloaded("ml-tiny", tmp_path / "ml", fetch, movies.known)).dataset == "movielens"
    assert [name for name, _ in movies.asked] == ["ml-tiny.zip", "ml-tiny.zip.md5"]


def test_a_file_that_is_not_the_published_one_is_refused_and_fetched_anew(movies, tmp_path):
    good, movies.files["ml-tiny.zip"] = movies.files["ml-tiny.zip"], b"PK but not really"
    with pytest.raises(DatasetUnknown, match="not the file that was published"):
        downloaded("ml-tiny", tmp_path, fetch, movies.known)
    movies.files["ml-tiny.zip"] = good
    assert (downloaded("ml-tiny", tmp_path, fetch, movies.known) / "movies.csv").exists()


def test_a_damaged_archive_without_a_sum_is_said_to_be_damaged(movies, tmp_path, monkeypatch):
    movies.files["ml-tiny.zip"] = b"PK but not really"
    movies.known = {"ml-tiny": PublishedFiles((movies.url + "ml-tiny.zip",))}
    with pytest.raises(DatasetUnknown, match="damaged"):
        downloaded("ml-tiny", tmp_path, fetch, movies.known)
    assert not (tmp_path / "ml-tiny.zip").exists()


def test_one_category_of_amazon_is_reviews_and_products():
    assert [url.rpartition("/")[2] for url in _published("amazon:Video_Games", published()).urls] == [
        "Video_Games.jsonl.gz",
        "meta_Video_Games.jsonl.gz",
    ]


@pytest.mark.parametrize("name", ["netflix", "amazon", "amazon:../x"])
def test_a_set_that_cannot_be_fetched_names_those_that_can(tmp_path, name):
    with pytest.raises(ConfigurationInvalid, match="ml-25m"):
        downloaded(name, tmp_path, fetch, published())
