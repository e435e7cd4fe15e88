"""Every process does its work on servers that encrypt, as a user who may do that and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from adapters.registry import adapter
from deploy.local.security import ADMIN
from deploy.processes.cluster import Ports, alive, services
from deploy.processes.supervisor import Supervisor
from schemas.errors import (
    ConfigurationInvalid,
    LogUnavailable,
    ModelStoreUnavailable,
    ServerMissing,
    StoreUnavailable,
)
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.log.records import LogEntry
from schemas.offline.manifest import DataWindow, Manifest
from tests.e2e.systems import call, eventually, free_port
from tests.integration.secured.certificates import Authority

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture
def chain(settings_of, tmp_path) -> Iterator[Ports]:
    """Collector, worker and online API, each as its own user."""
    ports = Ports(free_port(), free_port(), free_port())
    of_user = {
        user: {each.name.partition("-")[0]: each for each in services(settings_of(user), ports, 1, tmp_path)}
        for user in ("collector", "worker", "api")
    }
    own = [of_user[user][user] for user in of_user]
    quick = {"FRESHET_LOG_LEVEL": "INFO"}
    supervisor = Supervisor(
        [replace(each, environment={**each.environment, **quick}) for each in own], tmp_path / "logs"
    )
    supervisor.start()
    yield ports
    supervisor.stop()


def test_an_event_counts_and_nothing_in_a_log_tells_a_password(chain, tmp_path):
    ports = chain
    collector, api = (f"http://127.0.0.1:{port}" for port in (ports.collector, ports.api))

    def said() -> str:
        return "\n".join(path.read_text()[-3_000:] for path in (tmp_path / "logs").iterdir())

    for address in (collector, api):
        eventually(lambda address=address: alive(address), 120, f"{address} answers\n{said()}")
    status, answer = call(f"{collector}/v1/events", {"type": "like", "user_id": "ann", "item_id": "i1"})
    assert status == 202, answer
    token = answer["results"][0]["offset"]

    def counted() -> bool:
        status, answer = call(f"{api}/v1/users/ann/recommendations")
        return status == 200 and answer["signals_offset"] == token

    eventually(counted, 120, f"the event counts\n{said()}")
    assert "pass word" not in said()


def version(number: int) -> Manifest:
    """The manifest of a version that holds next to nothing."""
    return Manifest(
        version=f"v{number}",
        created_at=datetime.now(UTC),
        algorithm="als",
        engine="single",
        parameters={},
        window=DataWindow(interactions=0, users=0, items=0),
        offsets={},
        values=("some",),
        lists={"users": 1},
    )


def test_who_trains_publishes_and_who_answers_only_reads(settings_of):
    trainer, api = (settings_of(user).models_address for user in ("trainer", "api"))
    with closing(adapter(trainer).model_store(trainer)) as store:
        store.write(version(1), {"some": b"value"}, {"users": iter([("u:ann", b"list")])})
        store.activate("v1", store.active())
    with closing(adapter(api).model_store(api)) as store:
        assert store.active() == "v1"
        with pytest.raises(ModelStoreUnavailable, match=r"lacks a right that docs/security\.md names"):
            store.activate("v1", "v1")

    async def read() -> bytes | None:
        reader = adapter(api).list_reader(api)
        try:
            return await reader.read("v1", "users", "u:ann")
        finally:
            await reader.close()

    assert asyncio.run(read()) == b"list"


@pytest.mark.parametrize("user", ["collector", "api"])
def test_who_takes_signed_requests_notes_their_nonces_and_nothing_else(settings_of, user):
    address = settings_of(user).signals_address
    with closing(adapter(address).nonce_store(address)) as store:
        assert store.add(f"nonce of {user}", 60.0)
        assert not store.add(f"nonce of {user}", 60.0)


def test_the_collector_cannot_write_signals_and_the_api_cannot_change_them(settings_of):
    as_api = settings_of("api").signals_address
    with closing(adapter(as_api).signal_store(as_api)) as store, pytest.raises(StoreUnavailable, match="forbids a"):
        store.commit(7, Signal.USERS, None, Fence("log", 1), {"a": b"1"})
    as_collector = settings_of("collector").signals_address
    with (
        closing(adapter(as_collector).signal_store(as_collector)) as store,
        pytest.raises(StoreUnavailable, match="forbids a"),
    ):
        store.fence(0, Signal.USERS)


def test_a_worker_cannot_write_facts(settings_of):
    address = settings_of("worker").log_address
    with closing(adapter(address).log_writer(address)) as writer:
        refused = writer.append(topics.EVENTS, [LogEntry(b"k", b"v")]).result(30)[0]
    assert isinstance(refused, LogUnavailable)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    """An authority that the servers' certificates are not of."""
    return Authority(tmp_path_factory.mktemp("stranger"))


def sentence_of_kafka(settings) -> str:
    address = settings.log_address
    with pytest.raises(ServerMissing) as caught:
        adapter(address).prepare(address)
    return str(caught.value)


def sentence_of_redis(settings) -> str:
    address = settings.signals_address
    with pytest.raises(StoreUnavailable) as caught:
        adapter(address).prepare(address)
    return str(caught.value)


def sentence_of_cassandra(settings) -> str:
    address = settings.models_address
    with closing(adapter(address).model_store(address)) as store, pytest.raises(ModelStoreUnavailable) as caught:
        store.active()
    return str(caught.value)


OPENERS = {"kafka": sentence_of_kafka, "redis": sentence_of_redis, "cassandra": sentence_of_cassandra}


@pytest.mark.parametrize("server", OPENERS)
def test_a_wrong_password_is_one_sentence_that_names_the_setting(settings_of, server):
    sentence = OPENERS[server](settings_of(ADMIN, **{f"{server}_password": "wrong-geheim"}))
    assert f"FRESHET_{server.upper()}_PASSWORD" in sentence
    assert "\n" not in sentence
    assert "geheim" not in sentence


@pytest.mark.parametrize("server", OPENERS)
def test_a_certificate_of_a_strange_authority_is_one_sentence_that_names_the_setting(settings_of, stranger, server):
    sentence = OPENERS[server](settings_of(ADMIN, **{f"{server}_ca": stranger.ca}))
    assert f"FRESHET_{server.upper()}_CA" in sentence
    assert "\n" not in sentence


def test_a_server_is_not_spoken_to_in_plain_text(settings_of):
    secured = settings_of(ADMIN, redis_ca=None)
    address = secured.model_copy(update={"redis": secured.redis.replace("rediss", "redis")}).signals_address
    with pytest.raises(StoreUnavailable):
        adapter(address).prepare(address)
    with pytest.raises(ConfigurationInvalid, match="has an effect only if"):
        _ = settings_of(ADMIN, kafka_security_protocol="SASL_PLAINTEXT").log_address
