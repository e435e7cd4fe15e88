"""``freshet evaluate`` on small data sets, as a user runs it."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from deploy.commands.evaluation.interactions import read_interactions
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import recognise
from offline.data.dataset import from_arrow

COLUMNS = "user=user,item=item,type=type,time=at"


@pytest.fixture
def clicks(tmp_path):
    """Forty people of two tastes, a click an hour, one of them looking at their first item again at the very end."""
    random = np.random.default_rng(7)
    lines = ["user,item,type,at"]
    for user in range(40):
        items = random.choice(15, 9, replace=False) + 15 * (user % 2)
        lines += [f"p{user:02},thing{item:02},click,{_moment(hour)}" for hour, item in enumerate(items.tolist())]
        if user == 0:
            lines.append(f"p00,thing{items[0]:02},click,{_moment(99)}")
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _moment(hour):
    return datetime.fromtimestamp(1_700_000_000 + 3_600 * hour, UTC).isoformat().replace("+00:00", "Z")


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False)


def test_any_csv_is_compared_and_written_as_the_contract_says(clicks, tmp_path):
    out, html = tmp_path / "out.json", tmp_path / "out.html"
    done = run(
        "compare", clicks, "--map", COLUMNS, "--protocol", "leave-last", "--algorithms", "popularity,neighbours",
        "--json", out, "--html", html, "--segments",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert {"dataset", "protocol", "config_id", "commit", "rows"} <= set(found)
    assert found["protocol"] == "leave-last"
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["neighbours"]["metrics"]["NDCG@10"] > rows["popularity"]["metrics"]["NDCG@10"]
    assert {"seconds", "peak_mib"} <= set(rows["popularity"])
    assert "users: new" in rows["popularity"]["segments"]
    assert html.read_text().startswith("<!doctype html>")


def test_parameters_that_were_searched_are_compared_with(clicks, tmp_path):
    chosen, study = tmp_path / "chosen.json", tmp_path / "study.sqlite"
    of = (clicks, "--map", COLUMNS, "--protocol", "leave-last")
    tuned = run("tune", *of, "--algorithm", "neighbours", "--trials", "2", "--study", study, "--json", chosen)
    assert tuned.exit_code == 0, tuned.output
    again = run("tune", *of, "--algorithm", "neighbours", "--trials", "3", "--study", study, "--json", chosen)
    assert again.exit_code == 0, again.output
    out = tmp_path / "out.json"
    run("compare", *of, "--algorithms", "neighbours", "--parameters", chosen, "--json", out)
    best = json.loads(chosen.read_text())["neighbours"]
    [row] = json.loads(out.read_text())["rows"]
    assert best.items() <= row["parameters"].items()


@pytest.fixture
def page_views(clicks):
    """The clicks, with every other event a page view, which is a type of the site."""
    header, *lines = clicks.read_text().splitlines()
    lines = [line.replace(",click,", ",pv,") if number % 2 else line for number, line in enumerate(lines)]
    clicks.write_text("\n".join([header, *lines]) + "\n")
    return clicks


def test_events_without_a_weight_are_counted_and_named(page_views, monkeypatch):
    monkeypatch.setenv("FRESHET_EVENT_TYPES", "pv")
    monkeypatch.setenv("COLUMNS", "300")
    done = run("compare", page_views, "--map", COLUMNS, "--protocol", "leave-last", "--algorithms", "popularity")
    assert "361 events read: 361 kept" in done.output
    assert (
        "180 events are left out, because their types have no weight: 180 pv. Set one with FRESHET_WEIGHTS=pv=1."
        in done.output
    )


def test_a_type_of_the_site_counts_once_it_has_a_weight(page_views, monkeypatch):
    monkeypatch.setenv("FRESHET_EVENT_TYPES", "pv")
    monkeypatch.setenv("FRESHET_WEIGHTS", "pv=1")
    said = []
    with read_interactions(recognise(page_views, parse_map(COLUMNS)), say=said.append) as found:
        assert sum(found.table["events"].to_pylist()) == 361
    assert not said


def test_what_was_known_at_a_moment_has_no_later_event_in_it(clicks):
    with read_interactions(recognise(clicks, parse_map(COLUMNS))) as found:
        whole, then = from_arrow(found.table, {}), from_arrow(found.until(1_700_000_000 + 3_600 * 4), {})
    assert found.timed
    assert then.times.max() == 1_700_000_000 + 3_600 * 4
    assert then.matrix.nnz == 40 * 5
    first = whole.user_ids.index("p00"), then.user_ids.index("p00")
    assert whole.matrix[first[0]].data.max() == 2
    assert then.matrix[first[1]].data.max() == 1


def test_a_data_set_without_times_is_noticed(tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("user,item\n" + "".join(f"p{user},t{item}\n" for user in range(6) for item in range(user % 2, 6)))
    with read_interactions(recognise(path, parse_map("user=user,item=item"))) as found:
        assert not found.timed
    refused = CliRunner().invoke(
        app, ["evaluate", "compare", str(path), "--map", "user=user,item=item", "--protocol", "time"]
    )
    assert refused.exit_code != 0
    assert "have no times" in str(refused.exception or refused.output)


def test_a_file_of_parameters_that_is_none_is_refused_in_one_sentence(clicks, tmp_path):
    path = tmp_path / "wrong.json"
    path.write_text("[1, 2]")
    refused = CliRunner().invoke(app, ["evaluate", "compare", str(clicks), "--map", COLUMNS, "--parameters", str(path)])
    assert refused.exit_code != 0
    assert "is not JSON like" in str(refused.exception or refused.output)


@pytest.mark.parametrize("name", ["ml-100k", "deskdrop", "steam-200k"])
def test_public_data_sets_are_split_by_what_they_have(datasets, name, tmp_path):
    if not (datasets / name).is_dir():
        pytest.skip(f"there is no {name} in {datasets}")
    out = tmp_path / "out.json"
    done = run("compare", datasets / name, "--algorithms", "popularity", "--json", out)
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert found["protocol"] == ("leave-last" if name == "steam-200k" else "time")
    assert found["rows"][0]["metrics"]["HR@10"] > 0


@pytest.mark.parametrize(
    ("name", "metric", "printed"), [("gowalla", "Recall@20", 0.0416), ("ncf-ml1m", "HR@10", 0.4538)]
)
def test_popularity_on_a_published_split_is_as_published(datasets, name, metric, printed, tmp_path):
    if not (datasets / name).is_dir():
        pytest.skip(f"there is no {name} in {datasets}")
    out = tmp_path / "out.json"
    done = run("compare", datasets / name, "--algorithms", "popularity", "--json", out)
    assert done.exit_code == 0, done.output
    [row] = json.loads(out.read_text())["rows"]
    assert row["metrics"][metric] == pytest.approx(printed, abs=0.001)


@pytest.fixture
def own_types(tmp_path, monkeypatch):
    """A shop's file of which most events are of a type of its own; one row has no item, one an unknown type."""
    monkeypatch.setenv("FRESHET_EVENT_TYPES", "pv")
    rows = [
        f"p{n % 30},t{(n * n + n % 7) % 23},{'cart' if n % 5 == 3 else 'pv'},{1_700_000_000 + 97 * n}"
        for n in range(600)
    ]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["user,item,type,at", *rows, "p1,,pv,1700000000", "p1,t1,stare,1700000000"]) + "\n")
    return path


def test_a_comparison_knows_the_types_of_the_site_and_says_what_it_leaves_out(own_types, tmp_path, monkeypatch):
    monkeypatch.setenv("FRESHET_WEIGHTS", "pv=1")
    out = tmp_path / "out.json"
    done = run("compare", own_types, "--map", COLUMNS, "--algorithms", "popularity", "--json", out)
    assert done.exit_code == 0, done.output
    assert "602 events read: 601 kept, 0 repeated, 1 refused" in done.output
    assert "Refused: 1 type: unknown-type" in done.output
    assert json.loads(out.read_text())["questions"] == 30


def test_a_replay_knows_the_types_of_the_site_and_says_what_it_leaves_out(own_types):
    done = run("replay", own_types, "--map", COLUMNS, "--variants", "none", "--limit", "60", "--weigh", "0")
    assert done.exit_code == 0, done.output
    assert "602 events read: 601 kept, 0 repeated, 1 refused" in done.output
    assert "1 of them are not replayed" in done.output


@pytest.mark.parametrize(
    "command", [("compare", "--algorithms", "popularity"), ("replay", "--variants", "none", "--weigh", "0")]
)
def test_an_evaluation_reads_a_file_by_the_options_of_an_import(clicks, tmp_path, command):
    path = tmp_path / "pv.csv"
    path.write_text(clicks.read_text().replace(",click,", ",pv,").replace(",", ";"))
    done = run(*command, path, "--map", COLUMNS, "--types", "pv=click", "--delimiter", "semicolon")
    assert done.exit_code == 0, done.output
    assert "361 events read: 361 kept, 0 repeated, 0 refused" in done.output
