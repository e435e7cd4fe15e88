"""The short form of the fault table: some faults of each stack, a few times. ``make faults`` plays the whole table."""

from __future__ import annotations

import pytest

from tests.faults.declared import faults
from tests.faults.results import show
from tests.faults.run import play
from tests.faults.world import ClusterWorld, EmbeddedWorld

SHORT = [fault for fault in faults().values() if fault.short]
SEED = 20
SECONDS = 60.0


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "fault", [fault for fault in SHORT if "embedded" in fault.stacks], ids=lambda fault: fault.name
)
def test_nothing_acknowledged_is_lost_or_counts_twice_embedded(fault, tmp_path):
    _assert_clean(fault, EmbeddedWorld(tmp_path))


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", [fault for fault in SHORT if "cluster" in fault.stacks], ids=lambda fault: fault.name)
def test_nothing_acknowledged_is_lost_or_counts_twice_on_real_servers(fault, cluster, cassandra_hosts, tmp_path):
    world = ClusterWorld(cluster.config, tmp_path, addresses={"FRESHET_CASSANDRA": cassandra_hosts})
    _assert_clean(fault, world)


def _assert_clean(fault, world):
    try:
        row = play(fault, world, SEED, fault.short, SECONDS)
    finally:
        world.close()
    show(row)
    assert row.clean, row.notes
    assert row.repetitions == fault.short
    assert row.acknowledged > 50
