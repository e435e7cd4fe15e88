"""A replay of a synthetic stream whose next item can be predicted."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from ingest.import_pipeline.base import FileImporter
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


def run(events, **options):
    training = TrainingOptions(ials=IalsParameters(factors=4, iterations=2), models=())
    options = ReplayOptions(retrain_seconds=3_600.0, retrain_share=0.1, sample_share=1.0, **options)
    by_name = replay(events, default_config(), Trainer(training, 1), options, lambda *_: None)
    return {row.name: row for row in by_name}


def test_the_live_system_predicts_what_a_nightly_one_cannot(chains):
    by_name = run(stream(Recorded(chains), ReplayRules()), variants=(BATCH, "1 hour late"))
    assert by_name[LIVE].questions == 300
    assert by_name[LIVE].metrics["HR@10"] > 0.9
    assert (
        by_name[BATCH].metrics["NDCG@10"] < by_name["1 hour late"].metrics["NDCG@10"] < by_name[LIVE].metrics["NDCG@10"]
    )
    assert by_name["covisitation alone"].metrics["NDCG@10"] > by_name["popular alone"].metrics["NDCG@10"]
    low, high = by_name[LIVE].intervals["NDCG@10"]
    assert low <= by_name[LIVE].metrics["NDCG@10"] <= high


def test_a_replay_again_gives_the_same_figures(chains):
    events = stream(Recorded(chains), ReplayRules(), 120)
    assert run(events)[LIVE].metrics == run(events)[LIVE].metrics


def test_a_share_of_the_targets_may_be_sampled_while_every_event_is_learned_from(chains):
    events = stream(Recorded(chains), ReplayRules())
    whole, part = run(events)[LIVE], run(events, live_share=0.5)[LIVE]
    assert 0.3 * whole.questions < part.questions < 0.7 * whole.questions
    assert part.metrics["HR@10"] > 0.9


def test_items_that_nobody_can_know_are_not_predicted():
    """Items that are always new: any hit would mean that the answer had leaked."""
    clicks = [click(f"p{n % 9}", f"item{n}", START + 60 * n) for n in range(200)]
    by_name = run(stream(Recorded(rows(*clicks)), ReplayRules()))
    assert by_name[LIVE].metrics["HR@20"] == 0


def test_the_page_shows_every_system(chains):
    shown = page("chains", list(run(stream(Recorded(chains), ReplayRules(), 100)).values()))
    assert "<svg" in shown
    assert "covisitation alone" in shown
    assert "src=" not in shown
    assert "<link" not in shown


def test_a_users_first_event_and_repeated_items_are_no_targets():
    events = stream(
        Recorded(rows(click("a", "x", 1), click("a", "y", 2), click("a", "x", 3), click("b", "x", 4))), ReplayRules()
    )
    assert [event.is_target for event in events] == [False, True, False, False]


def test_a_session_may_go_back_but_not_where_the_rules_leave_out_the_very_same_item():
    visits = [{**click(None, item, at), "session_id": "s"} for at, item in enumerate("xxyx")]
    for visit in visits:
        del visit["user_id"]
    again = [event.is_target for event in stream(Recorded(rows(*visits)), ReplayRules())]
    strict = [event.is_target for event in stream(Recorded(rows(*visits)), ReplayRules(repeats_are_targets=False))]
    assert again == [False, True, True, True]
    assert strict == [False, False, True, True]


def test_the_order_of_a_stream_does_not_depend_on_the_order_of_the_file(chains):
    random = np.random.default_rng(1)
    shuffled = [chains[n] for n in random.permutation(len(chains))]
    ordered = stream(Recorded(chains), ReplayRules())
    assert [event.event.event_id for event in stream(Recorded(shuffled), ReplayRules())] == [
        event.event.event_id for event in ordered
    ]


def test_a_stream_without_interactions_is_refused():
    with pytest.raises(ConfigurationInvalid, match="nothing to replay"):
        stream(Recorded([]), ReplayRules())


def test_impressions_and_searches_count_as_they_do_live():
    at = datetime.fromtimestamp(START, UTC)
    seen = {"user_id": "ann", "occurred_at": at, "received_at": at}
    system = ReplaySystem(default_config())
    system.feed(LoggedEvent(event_id="1", type="impression", impression=["a", "b"], **seen))
    system.feed(LoggedEvent(event_id="2", type="search", query="red shoes", **seen))
    system.feed(LoggedEvent(event_id="3", type="click", item_id="b", **seen))
    population = system.state.aggregates
    assert not population.exposure.empty
    assert [system.state.catalogue.ids[at] for at in population.sought("shoe").items] == ["b"]
