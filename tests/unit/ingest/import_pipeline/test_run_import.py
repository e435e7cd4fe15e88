from __future__ import annotations

import pytest

from ingest.import_pipeline.appending import DELAYS
from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.filtered import Filtered
from ingest.import_pipeline.hash_set import HashSet
from ingest.import_pipeline.k_core import parse_filter
from ingest.import_pipeline.ledger import open_ledger
from ingest.import_pipeline.run import ImportDependencies, run_import
from ingest.importers.recognise import recognise
from ingest.importers.simulated import SampleFile, import_sample
from schemas.catalogue import decode_upsert
from schemas.errors import ConfigurationInvalid, LogBusy, LogUnavailable
from schemas.log.codec import decode_event

COUNT = 4_500


class Killed(Exception):
    """Stands for a kill between two batches."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,Toy Story (1995),Comedy\n2,Doom,\n")
    ratings = "".join(f"{n % 1_000},{n % 2 + 1},4.0,{1_600_000_000 + n}\n" for n in range(COUNT))
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + ratings)
    return tmp_path


@pytest.fixture
def slept():
    return []


@pytest.fixture
def parts(memory_log, noon, slept):
    return ImportDependencies(memory_log, noon.timestamp, slept.append, HashSet(), reader=memory_log)


@pytest.fixture
def file(tmp_path):
    return SampleFile(tmp_path / "progress" / "import-games.json")


def events_on(log):
    return [decode_event(record.value) for record in log.all("events")]


def test_items_and_events_reach_the_log_with_their_real_times(folder, parts, memory_log, noon):
    done = run_import(recognise(folder), parts)
    assert done.topics == {"items": (2, 0, 0), "events": (COUNT, 0, 0)}
    assert done.total.kept == COUNT + 2
    assert {decode_upsert(record.value).id for record in memory_log.all("items")} == {"1", "2"}
    events = events_on(memory_log)
    assert len({event.event_id for event in events}) == COUNT
    assert {event.received_at for event in events} == {noon}
    assert min(event.occurred_at.timestamp() for event in events) == 1_600_000_000


def test_doing_it_again_appends_nothing(folder, parts, memory_log):
    run_import(recognise(folder), parts)
    memory_log.requests.clear()
    again = run_import(recognise(folder), parts)
    assert (again.total, again.topics["events"], memory_log.requests) == ((0, COUNT + 2, 0), (0, COUNT, 0), [])


def test_of_a_file_that_has_grown_only_the_new_rows_are_appended(folder, parts, memory_log):
    run_import(recognise(folder), parts)
    with (folder / "ratings.csv").open("a") as ratings:
        ratings.write("7,1,5.0,1602000000\n")
    with (folder / "movies.csv").open("a") as movies:
        movies.write("3,Heat (1995),Crime\n")
    assert run_import(recognise(folder), parts).topics == {"items": (1, 2, 0), "events": (1, COUNT, 0)}


def test_into_another_log_it_is_imported_from_its_beginning(folder, parts, tmp_path):
    for log_id in ("first", "made anew"):
        with open_ledger(tmp_path, log_id, 32) as ledger:
            done = run_import(recognise(folder), parts._replace(ledger=ledger, reader=None))
            assert done.total.kept == COUNT + 2


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_a_killed_import_goes_on_behind_its_last_batch(folder, parts, memory_log, batches):
    seen = []

    def kill(step):
        seen.append(step)
        if len(seen) == batches:
            raise Killed

    with pytest.raises(Killed):
        run_import(recognise(folder), parts, kill)
    run_import(recognise(folder), parts)
    assert sorted((event.user_id, event.occurred_at) for event in events_on(memory_log)) == sorted(
        (event["user_id"], event["occurred_at"]) for event in recognise(folder).events(RowFaults())
    )
    assert len({event.event_id for event in events_on(memory_log)}) == COUNT


def test_a_batch_that_was_appended_but_not_noted_repeats_only_what_is_remembered(folder, parts, memory_log):
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n" + "".join(f"7,1,4.0,{1_600_000_000 + n}\n" for n in range(1, 1_001))
    )
    run_import(recognise(folder), parts)
    assert max(memory_log.requests) <= 128


def test_a_full_queue_slows_the_import_down_and_loses_nothing(folder, parts, memory_log, slept):
    memory_log.refusals = [LogBusy("full"), LogBusy("full"), set(), LogBusy("full")]
    assert run_import(recognise(folder), parts).total.kept == COUNT + 2
    assert slept == [0.05, 0.1, 0.05]


def test_only_the_entries_that_failed_are_sent_again(folder, parts, memory_log):
    memory_log.refusals = [set(), {0, 5, 6}, {1}]
    run_import(recognise(folder), parts)
    assert memory_log.requests[:4] == [2, 2_000, 3, 1]
    assert len(events_on(memory_log)) == COUNT


def test_a_log_that_stays_away_ends_the_import_so_that_it_can_go_on_later(folder, parts, memory_log, slept):
    memory_log.refusals = [set(), set(), *[LogUnavailable("the disk is full")] * (len(DELAYS) + 1)]
    with pytest.raises(LogUnavailable, match="the disk is full; run the same import again"):
        run_import(recognise(folder), parts)
    assert slept == list(DELAYS)
    assert run_import(recognise(folder), parts).total.kept == COUNT - 2_000
    assert len(events_on(memory_log)) == COUNT


def test_rows_that_are_not_valid_are_counted_and_named_also_over_a_resume(folder, parts, memory_log):
    with (folder / "ratings.csv").open("a") as ratings:
        ratings.write("7,,5.0,1600000005\n7,1,nan,1600000006\n7,1\n")
    steps = []
    done = run_import(recognise(folder), parts, steps.append)
    assert (done.total.refused, len(events_on(memory_log))) == (3, COUNT)
    assert done.refused == {"columns": 1, "item_id: missing": 1, "not-a-number": 1}
    assert any("item_id" in name for name in done.examples)
    assert any("column rating: 'nan' is not a number" in name for name in done.examples)
    assert steps[-1].refused == 3
    assert run_import(recognise(folder), parts).total.refused == 3


def test_users_are_generalized(tmp_path, parts, memory_log):
    (tmp_path / "u.user").write_text("1|24|M|technician|85711\n")
    for name in ("u.item", "u.data"):
        (tmp_path / name).write_text("")
    run_import(recognise(tmp_path), parts)
    first = next(u for record in memory_log.all("users") if (u := decode_upsert(record.value)).id == "1")
    assert first.fields["attributes"] == {
        "age_group": "18-24",
        "gender": "M",
        "occupation": "technician",
        "postcode_area": "857",
    }


def test_a_progress_file_that_is_damaged_is_said_to_be(parts, file, tmp_path):
    (tmp_path / "progress").mkdir()
    (tmp_path / "progress" / "import-games.json").write_text("{")
    with pytest.raises(ConfigurationInvalid, match="remove it"):
        import_sample(parts, file, "memory")


def test_the_sample_store_is_imported_up_to_now_and_resumed_as_it_began(parts, file, memory_log, noon):
    memory_log.refusals = [set(), set(), set(), *[LogUnavailable("away")] * 20]
    with pytest.raises(LogUnavailable):
        import_sample(parts, file, "memory", seed=3, n_shoppers=250, days=10)
    memory_log.refusals = []
    later = parts._replace(clock=lambda: noon.timestamp() + 3_600)
    done = import_sample(later, file, "memory", seed=3, n_shoppers=250, days=10)
    events = events_on(memory_log)
    assert done.total.refused == 0
    assert done.topics["items"].read >= 150
    assert len(events) == done.topics["events"].read == len({event.event_id for event in events})
    assert max(event.occurred_at for event in events) <= noon


def test_a_row_that_validation_refuses_is_named_by_its_line(folder, parts):
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,1600000000\n1,,3.0,1600000001\n")
    done = run_import(recognise(folder), parts)
    assert done.topics["events"] == (1, 0, 1)
    assert done.examples[0].startswith("ratings.csv line 3: item_id")


def test_progress_says_how_many_events_there_are_and_how_far_the_files_are(folder, parts):
    steps, told = [], []
    run_import(recognise(folder), parts, steps.append, RowFaults(lambda *each: told.append(each)))
    assert [(step.topic, step.rows, step.expected) for step in steps] == [
        ("items", 2, None),
        ("events", 2_000, COUNT),
        ("events", 4_000, COUNT),
        ("events", COUNT, COUNT),
    ]
    assert {name for name, _, _ in told} == {"movies.csv", "ratings.csv"}


def test_a_killed_import_of_a_filtered_set_goes_on_too(folder, parts, memory_log):
    def kill(step):
        if step.topic == "events":
            raise Killed

    def filtered():
        return Filtered(recognise(folder), parse_filter("min-item=2"))

    with pytest.raises(Killed):
        run_import(filtered(), parts, kill)
    again = run_import(filtered(), parts)
    assert again.total.kept == COUNT - 2_000
    assert len({event.event_id for event in events_on(memory_log)}) == len(events_on(memory_log)) == COUNT
