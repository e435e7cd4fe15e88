from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import stamina

from adapters.http.webhook import post
from offline.metrics import WEBHOOKS
from offline.publishing.webhooks import Notice, Webhooks, key_of, signature
from schemas.errors import ConfigurationInvalid, NotDelivered

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
PUBLISHED = Notice.of("model.published", "v2", "v1", AT.timestamp())


class Receiver:
    """A real HTTP server that answers with the given statuses, the last one for ever."""

    def __init__(self, *statuses):
        self.got = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status = statuses[min(len(receiver.got), len(statuses)) - 1]
                self.send_response(status)
                self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver():
    opened = []

    def receiver(*statuses):
        opened.append(Receiver(*statuses))
        return opened[-1]

    yield receiver
    for each in opened:
        each.close()


@pytest.fixture(autouse=True)
def at_once():
    with stamina.set_testing(True, attempts=5):
        yield


def hooks(*urls):
    return Webhooks(post, urls, SECRET, AT.timestamp, lambda: "1")


def test_the_signature_is_that_of_the_standards_own_example():
    # The example of the Standard Webhooks specification's reference libraries.
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_can_verify_what_it_gets(receiver):
    there = receiver(204)
    assert hooks(there.url).tell(PUBLISHED) == 0
    [(headers, body)] = there.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-timestamp"] == str(int(AT.timestamp()))
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "type": "model.published", "version": "v2", "previous": "v1", "at": "2026-01-01T00:00:00Z", "message": "",
    }  # fmt: skip


def test_a_receiver_that_is_busy_is_told_again_under_the_same_id(receiver):
    there = receiver(503, 429, 200)
    assert hooks(there.url).tell(PUBLISHED) == 0
    assert len(there.got) == 3
    assert len({headers["webhook-id"] for headers, _ in there.got}) == 1


def test_a_receiver_that_refuses_is_told_once_and_counted(receiver):
    failed = WEBHOOKS.labels("failed")._value.get()
    there = receiver(404)
    assert hooks(there.url).tell(PUBLISHED) == 1
    assert len(there.got) == 1
    assert WEBHOOKS.labels("failed")._value.get() == failed + 1


def test_a_receiver_that_stays_away_is_given_up_and_the_others_are_told(receiver):
    there = receiver(200)
    assert hooks("http://127.0.0.1:9/nobody", there.url).tell(PUBLISHED) == 1
    assert len(there.got) == 1


def test_redirects_are_not_followed(receiver):
    there = receiver(302)
    with pytest.raises(NotDelivered, match="302") as caught:
        post(there.url, {}, b"{}", 5.0)
    assert caught.value.final
    assert len(there.got) == 1


def test_without_addresses_nobody_is_told_and_no_secret_is_needed():
    assert Webhooks(post, (), "", AT.timestamp).tell(PUBLISHED) == 0


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_kurz", "a" * 32, "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"])
def test_a_secret_that_signs_nothing_is_refused_and_the_sentence_says_how_to_make_one(secret):
    with pytest.raises(ConfigurationInvalid, match=r"FRESHET_WEBHOOK_SECRET.*openssl"):
        Webhooks(post, ("https://example.org",), secret, AT.timestamp)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigurationInvalid, match="FRESHET_WEBHOOKS: 'ftp://x'"):
        Webhooks(post, ("ftp://x",), SECRET, AT.timestamp)
