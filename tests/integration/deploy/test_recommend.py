"""``freshet recommend`` on a folder that no process runs on."""

from contextlib import closing

from adapters.sqlite.signals import SqliteSignalStore
from deploy.commands.checks import setup
from schemas.log import topics


def test_a_known_user_gets_a_list_with_titles_and_reasons_in_words(trained_shop, shopper, freshet):
    done = freshet("recommend", shopper, "--count", 5, "--data", trained_shop.folder)
    assert done.exit_code == 0, done.output
    assert f"What {shopper} may like next" in done.output
    # A long reason goes on in a row of its own without a place.
    assert sum(line[1:3].strip().isdecimal() for line in done.output.splitlines() if line.startswith("│")) == 5
    assert done.output.count("%)") >= 5
    # What leads depends on the weights that were learned of the sample's shoppers: in words it is, whatever it is.
    told = " ".join(done.output.replace("│", " ").split())
    assert any(words in told for words in ("others", "fits what", "goes with", "like something", "of their taste"))
    assert not any(
        f"{source} (" in told for source in ("fold_in", "ease", "covisitation", "session_knn", "precomputed")
    )


def test_nothing_is_recorded(trained_shop, shopper, freshet):
    before = trained_shop.recorded()
    assert freshet("recommend", shopper, "--data", trained_shop.folder).exit_code == 0
    assert trained_shop.recorded() == before


def test_a_newcomer_is_told_so(trained_shop, freshet):
    done = freshet("recommend", "nobody-yet", "--count", 3, "--data", trained_shop.folder)
    assert done.exit_code == 0
    assert "Nothing is known of this user yet" in done.stderr
    assert "popular" in done.stdout


def test_without_a_model_it_says_how_to_get_one_and_still_lists(empty_shop, freshet):
    done = freshet("recommend", "anybody", "--data", empty_shop.folder)
    assert done.exit_code == 0
    assert "`freshet train`" in done.stderr
    assert "│" in done.stdout


def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path, freshet):
    done = freshet("recommend", "anybody", "--data", tmp_path / "nowhere")
    assert done.exit_code == 1
    assert "there is no Freshet data" in str(done.exception)
    assert not (tmp_path / "nowhere").exists()


def test_signals_that_are_behind_the_log_are_mentioned(empty_shop, freshet):
    empty_shop.append(topics.EVENTS, b"ann", b"{}")
    done = freshet("recommend", "ann", "--data", empty_shop.folder)
    assert "1 records behind" in done.stderr


def test_the_check_of_signals_names_another_log(empty_shop):
    with closing(SqliteSignalStore(empty_shop.folder)) as store:
        other = type(
            "Other", (), {"log_id": lambda *_: "other", "partitions": lambda *_: 8, "bounds": lambda *_: (0, 9)}
        )
        check = setup.signals(topics.EVENTS, other(), store, followed=False)
    assert check.state == "broken"
    assert "another log" in check.found
