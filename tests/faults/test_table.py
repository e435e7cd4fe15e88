"""The short form of the fault table: some faults of each stack, a few times. ``make faults`` plays the whole table."""

from __future__ import annotations

import pytest

from tests.faults.built import cluster_world, embedded_world
from tests.faults.declared import faults
from tests.faults.disk import CannotMount
from tests.faults.results import show
from tests.faults.run import play

SEED = 20
SECONDS = 60.0


def _short(stack):
    return [fault for fault in faults().values() if stack in fault.short]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", _short("embedded"), ids=lambda fault: fault.name)
def test_nothing_acknowledged_is_lost_or_counts_twice_embedded(fault, tmp_path):
    try:
        with embedded_world(fault, tmp_path) as world:
            _assert_clean(fault, world)
    except CannotMount as error:
        pytest.skip(str(error))


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", _short("cluster"), ids=lambda fault: fault.name)
def test_nothing_acknowledged_is_lost_or_counts_twice_on_real_servers(fault, cluster, cassandra_hosts, tmp_path):
    with cluster_world(fault, tmp_path, cluster.config, {"FRESHET_CASSANDRA": cassandra_hosts}) as world:
        _assert_clean(fault, world)


def _assert_clean(fault, world):
    row = play(fault, world, SEED, fault.short[world.stack], SECONDS)
    show(row)
    assert row.clean, row.notes
    assert row.repetitions == fault.short[world.stack]
    assert row.acknowledged > 50
