"""A replay of a made-up stream in which what comes next can be known."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from ingest.importing.base import FileImporter
from offline.engines.options import TrainingOptions
from offline.training.parameters import IalsParameters
from replay.evaluate import BATCH, LIVE, ReplayOptions, replay
from replay.report import page
from replay.stream import ReplayRules, stream
from replay.system import ReplaySystem
from replay.training import Trainer
from schemas.errors import ConfigurationInvalid
from schemas.events import LoggedEvent
from serving.ranking.defaults import default_config

START = 1_600_000_000.0


class Recorded(FileImporter):
    """Rows handed in."""

    dataset = "recorded"

    def __init__(self, rows):
        self._rows = rows

    def events(self, faults):
        return iter(self._rows)


def click(who, item, at, **more):
    return {"type": "click", "user_id": who, "item_id": item, "occurred_at": f"@{at}", **more}


def rows(*clicks):
    return [
        {
            **each,
            "event_id": f"e{n}",
            "occurred_at": datetime.fromtimestamp(float(each["occurred_at"][1:]), UTC).isoformat(),
        }
        for n, each in enumerate(clicks)
    ]


@pytest.fixture
def chains():
    """Sixty people walk one of four fixed paths of six items, a step a minute, one after the other."""
    random = np.random.default_rng(3)
    clicks, now = [], START
    for person in range(60):
        path = int(random.integers(4))
        for step in range(6):
            now += 60
            clicks.append(click(f"p{person:02}", f"path{path}-{step}", now))
    return rows(*clicks)


def run(moments, **options):
    training = TrainingOptions(ials=IalsParameters(factors=4, iterations=2), models=())
    options = ReplayOptions(retrain_seconds=3_600.0, retrain_share=0.1, sample=1.0, **options)
    found = replay(moments, default_config(), Trainer(training, 1), options, lambda *_: None)
    return {row.name: row for row in found}


def test_the_live_system_foresees_what_a_nightly_one_cannot(chains):
    found = run(stream(Recorded(chains), ReplayRules()), variants=(BATCH, "1 hour late"))
    assert found[LIVE].questions == 300
    assert found[LIVE].metrics["HR@10"] > 0.9
    assert found[BATCH].metrics["NDCG@10"] < found["1 hour late"].metrics["NDCG@10"] < found[LIVE].metrics["NDCG@10"]
    assert found["next alone"].metrics["NDCG@10"] > found["popular alone"].metrics["NDCG@10"]
    low, high = found[LIVE].intervals["NDCG@10"]
    assert low <= found[LIVE].metrics["NDCG@10"] <= high


def test_a_replay_again_gives_the_same_figures(chains):
    moments = stream(Recorded(chains), ReplayRules(), 120)
    assert run(moments)[LIVE].metrics == run(moments)[LIVE].metrics


def test_a_part_of_the_questions_may_stand_for_all_while_every_event_is_learned_from(chains):
    moments = stream(Recorded(chains), ReplayRules())
    whole, part = run(moments)[LIVE], run(moments, ask=0.5)[LIVE]
    assert 0.3 * whole.questions < part.questions < 0.7 * whole.questions
    assert part.metrics["HR@10"] > 0.9


def test_what_nobody_can_know_is_not_foreseen():
    """Items that are always new: any hit would mean that the answer had leaked."""
    clicks = [click(f"p{n % 9}", f"item{n}", START + 60 * n) for n in range(200)]
    found = run(stream(Recorded(rows(*clicks)), ReplayRules()))
    assert found[LIVE].metrics["HR@20"] == 0


def test_the_page_shows_every_system(chains):
    shown = page("chains", list(run(stream(Recorded(chains), ReplayRules(), 100)).values()))
    assert "<svg" in shown
    assert "next alone" in shown
    assert "src=" not in shown
    assert "<link" not in shown


def test_the_first_thing_that_somebody_does_and_what_they_did_before_are_not_asked_for():
    moments = stream(
        Recorded(rows(click("a", "x", 1), click("a", "y", 2), click("a", "x", 3), click("b", "x", 4))), ReplayRules()
    )
    assert [each.counts for each in moments] == [False, True, False, False]


def test_a_session_may_go_back_but_not_where_the_rules_leave_out_the_very_same_item():
    visits = [{**click(None, item, at), "session_id": "s"} for at, item in enumerate("xxyx")]
    for visit in visits:
        del visit["user_id"]
    again = [each.counts for each in stream(Recorded(rows(*visits)), ReplayRules())]
    strict = [each.counts for each in stream(Recorded(rows(*visits)), ReplayRules(same_again=False))]
    assert again == [False, True, True, True]
    assert strict == [False, False, True, True]


def test_the_order_of_a_stream_does_not_depend_on_the_order_of_the_file(chains):
    random = np.random.default_rng(1)
    shuffled = [chains[n] for n in random.permutation(len(chains))]
    ordered = stream(Recorded(chains), ReplayRules())
    assert [each.event.event_id for each in stream(Recorded(shuffled), ReplayRules())] == [
        each.event.event_id for each in ordered
    ]


def test_a_stream_without_interactions_is_refused():
    with pytest.raises(ConfigurationInvalid, match="nothing to replay"):
        stream(Recorded([]), ReplayRules())


def test_what_was_shown_and_searched_for_counts_as_it_does_live():
    at = datetime.fromtimestamp(START, UTC)
    seen = {"user_id": "ann", "occurred_at": at, "received_at": at}
    system = ReplaySystem(default_config())
    system.feed(LoggedEvent(event_id="1", type="impression", impression=["a", "b"], **seen))
    system.feed(LoggedEvent(event_id="2", type="search", query="red shoes", **seen))
    system.feed(LoggedEvent(event_id="3", type="click", item_id="b", **seen))
    population = system.state.aggregates
    assert not population.exposure.empty
    assert [system.state.catalogue.ids[at] for at in population.sought("shoe").items] == ["b"]
