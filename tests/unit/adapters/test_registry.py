"""Adapters are found by the scheme of an address, and imported when one is opened."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from adapters import registry
from adapters.registry import adapter, declarations
from schemas.configuration.addresses import Address, parse_address
from schemas.errors import ConfigurationInvalid

ADAPTERS = Path(__file__).resolve().parents[3] / "adapters"


def test_every_file_that_declares_an_adapter_is_found_by_its_schemes():
    found = {module for modules in declarations().values() for module in modules}
    paths = [path for path in ADAPTERS.rglob("*.py") if "\nADAPTER: " in path.read_text()]
    declaring = {".".join(path.relative_to(ADAPTERS.parent).with_suffix("").parts) for path in paths}
    assert found == declaring
    assert {"kafka", "sqlite", "redis", "rediss", "cassandra", "file"} <= set(declarations())


def test_two_threads_never_parse_declarations_at_the_same_time(monkeypatch):
    parsing, together = threading.Lock(), []

    def parse(source: str) -> tuple[str, ...]:
        if not parsing.acquire(blocking=False):
            together.append(source)
            return ()
        time.sleep(0.001)
        parsing.release()
        return ()

    monkeypatch.setattr(registry, "_declared_schemes", parse)
    monkeypatch.setattr(registry, "_read_declarations", cache(registry._read_declarations.__wrapped__))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: declarations(), range(4)))
    assert not together


def test_several_files_of_one_scheme_are_one_adapter(tmp_path):
    address = Address("sqlite", str(tmp_path))
    opened = [
        adapter(address).log_writer(address),
        adapter(address).model_store(address),
        adapter(address).runs(address),
    ]
    for each in opened:
        each.close()
    assert sorted(path.name for path in tmp_path.glob("*.sqlite")) == ["log.sqlite", "models.sqlite"]


def test_looking_for_adapters_imports_no_driver():
    asked = (
        "import sys; from adapters.registry import declarations; declarations();"
        "print({'confluent_kafka', 'redis', 'cassandra', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ADAPTERS.parent
    )
    assert done.stdout.strip() == "set()"


def test_a_scheme_that_nobody_declares_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigurationInvalid, match=r"no adapter is declared for carrier://.*kafka.*sqlite"):
        adapter(parse_address("carrier://pigeon"))


def test_what_a_scheme_does_not_offer_is_refused_by_name(tmp_path):
    address = Address("file", str(tmp_path))
    with pytest.raises(ConfigurationInvalid, match="there is no log at file:// addresses"):
        adapter(address).log_writer(address)


@pytest.mark.parametrize("text", ["kafka", "://host", "host:9092"])
def test_an_address_without_a_scheme_is_refused(text):
    with pytest.raises(ConfigurationInvalid, match="is not an address"):
        parse_address(text)


def test_an_address_is_its_url_again():
    assert parse_address("redis://:secret@host:6379/0").url == "redis://:secret@host:6379/0"
