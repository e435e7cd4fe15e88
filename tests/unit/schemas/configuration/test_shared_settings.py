"""Where the log and the stores are follows from the stack, unless their addresses are set."""

from __future__ import annotations

from pathlib import Path

from schemas.configuration.settings import SharedSettings


def urls(settings: SharedSettings) -> list[str]:
    addresses = (settings.log_address, settings.signals_address, settings.models_address, settings.archive_address)
    return [address.url for address in addresses]


def test_an_embedded_stack_keeps_everything_in_the_data_folder():
    settings = SharedSettings(data=Path("some/folder"))
    assert urls(settings) == ["sqlite://some/folder"] * 3 + ["file://some/folder/archive"]


def test_a_cluster_is_at_the_addresses_of_its_servers():
    settings = SharedSettings(
        stack="cluster", kafka="a:9092,b:9092", redis="rediss://c:6379/1", cassandra="d:9042", archive=Path("/long")
    )
    assert urls(settings) == ["kafka://a:9092,b:9092", "rediss://c:6379/1", "cassandra://d:9042", "file:///long"]


def test_an_address_that_is_set_counts_on_every_stack():
    settings = SharedSettings(log="memory://", signals="redis://e", model_store="sqlite://other")
    assert urls(settings)[:3] == ["memory://", "redis://e", "sqlite://other"]


def test_an_address_carries_the_name_and_the_partitions_of_the_site():
    address = SharedSettings(prefix="shop", partitions=3).log_address
    assert (address.site, address.partitions) == ("shop", 3)
