from pathlib import Path

import pytest

from deploy.local.config import StackConfig
from deploy.local.servers import KNOWN
from deploy.local.servers.cassandra import yaml_text
from deploy.local.servers.kafka import new_cluster_id, properties_text
from deploy.local.servers.redis import conf_text


@pytest.fixture
def config(tmp_path: Path) -> StackConfig:
    return StackConfig(folder=tmp_path / "a stack", kafka_port=1001, redis_port=1002, cassandra_port=1003)


def test_every_server_listens_on_the_loopback_and_the_chosen_port(config: StackConfig) -> None:
    assert "listeners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:19093" in properties_text(config)
    assert "bind 127.0.0.1\nport 1002\n" in conf_text(config)
    assert "native_transport_port: 1003" in yaml_text(config)
    assert "rpc_address: 127.0.0.1" in yaml_text(config)


def test_data_stays_inside_the_stacks_own_folder(config: StackConfig) -> None:
    assert f"log.dirs={config.folder}/kafka/data" in properties_text(config)
    assert f'dir "{config.folder}/redis/data"' in conf_text(config)
    assert f"commitlog_directory: {config.folder}/cassandra/data/commitlog" in yaml_text(config)


def test_redis_keeps_what_it_accepted_and_never_evicts(config: StackConfig) -> None:
    settings = conf_text(config)
    assert "maxmemory-policy noeviction" in settings
    assert "appendonly yes" in settings
    assert "appendfsync everysec" in settings
    assert "auto-aof-rewrite-min-size 1gb" in settings


def test_a_misspelt_topic_is_not_created(config: StackConfig) -> None:
    assert "auto.create.topics.enable=false" in properties_text(config)


def test_cassandra_acknowledges_a_write_only_when_it_is_on_the_disk(config: StackConfig) -> None:
    assert "commitlog_sync: batch" in yaml_text(config)


def test_a_relative_folder_is_made_absolute_for_the_servers() -> None:
    assert StackConfig(folder=Path("somewhere")).folder == Path.cwd() / "somewhere"


def test_two_stacks_on_free_ports_share_none(tmp_path: Path) -> None:
    config = StackConfig.with_free_ports(tmp_path)
    numbers = [port.number for server in KNOWN.values() for port in server.ports(config)]
    assert len(set(numbers)) == len(numbers)


def test_the_environment_names_only_the_servers_that_run(config: StackConfig) -> None:
    assert config.environment() == {
        "FRESHET_STACK": "cluster",
        "FRESHET_KAFKA": "127.0.0.1:1001",
        "FRESHET_REDIS": "redis://127.0.0.1:1002/0",
        "FRESHET_CASSANDRA": "127.0.0.1:1003",
    }
    assert config.environment(["redis"]).keys() == {"FRESHET_STACK", "FRESHET_REDIS"}


def test_a_new_log_gets_a_new_cluster_id_that_is_no_option() -> None:
    ids = {new_cluster_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(each) == 22 and not each.startswith("-") for each in ids)
