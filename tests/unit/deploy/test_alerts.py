from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import ingest.metrics  # noqa: F401 - importing declares the metrics
import nearline.metrics  # noqa: F401
import offline.metrics  # noqa: F401
import schemas.background
import schemas.clock_skew  # noqa: F401
import serving.metrics  # noqa: F401

RULES = Path(__file__).parents[3] / "deploy" / "prometheus"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None and os.environ.get("FRESHET_REQUIRE_STACK") == "1":
        pytest.fail("FRESHET_REQUIRE_STACK=1, but promtool is missing: apt-get install prometheus")
    if found is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    return found


def test_each_alert_fires_on_its_trouble_and_is_silent_otherwise(promtool):
    command = [promtool, "test", "rules", RULES / "alerts_test.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_says_what_to_do():
    rules, tests = (RULES / "alerts.yml").read_text(), (RULES / "alerts_test.yml").read_text()
    names = re.findall(r"- alert: (\w+)", rules)
    fired = {name for name in names if re.search(rf"alertname: {name}\n\s+exp_alerts:\n\s+- exp_labels", tests)}
    assert fired == set(names)
    assert rules.count("action:") == len(names)


def test_the_alerts_ask_only_for_metrics_that_some_process_has():
    declared = {sample for family in REGISTRY.collect() for sample in _names(family.name, family.type)}
    request = set(re.findall(r"freshet_\w+", "\n".join(_expressions())))
    assert request
    assert request <= declared


def test_dead_letters_are_counted_from_zero_so_that_the_first_one_is_an_increase():
    assert REGISTRY.get_sample_value("freshet_dead_letters_total", {"topic": "events"}) is not None


def _expressions() -> list[str]:
    text = (RULES / "alerts.yml").read_text()
    return re.findall(r"expr: (.*?)\n\s+(?:for|labels):", text, re.DOTALL)


def _names(name: str, kind: str) -> list[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return [name + suffix for suffix in suffixes.get(kind, [""])]
