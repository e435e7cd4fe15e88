"""``freshet explain``: the story of a recorded answer, and the answer made again."""

import asyncio
import time
from contextlib import ExitStack, closing
from statistics import median

import msgspec
import pytest

from adapters.sqlite.answers import open_readers
from adapters.sqlite.log import SqliteLogReader
from adapters.sqlite.models import SqliteModelStore
from adapters.sqlite.signals import SqliteSignalReader
from deploy.commands.explaining.decision_lookup import find_in
from replay.explain import explain, read_world
from schemas.errors import AnswerUnknown
from schemas.log.topics import ANSWERS, EVENTS
from serving.ranking.defaults import default_config


@pytest.fixture
def made_again(trained_shop):
    """The record of an answer, perhaps changed, and its explanation."""

    def made_again(answer, config=None, **changed):
        with ExitStack() as opened:
            readers = [opened.enter_context(closing(reader)) for reader in open_readers(trained_shop.folder)]
            found = find_in(readers, answer.recommendation_id, 10_000, lambda *_: None)
        decision = msgspec.structs.replace(found.decision, **changed)

        async def world():
            reader, models = SqliteSignalReader(trained_shop.folder), SqliteModelStore(trained_shop.folder)
            try:
                return await read_world(
                    decision,
                    reader,
                    models,
                    partitions=8,
                    config=config or default_config(),
                    bare_items=True,
                    admit_after=2,
                    clock=time.time,
                )
            finally:
                await reader.close()
                models.close()

        return decision, explain(decision, asyncio.run(world()))

    return made_again


def test_a_known_users_answer_is_told_and_made_again(trained_shop, shopper, freshet):
    answer = trained_shop.answer(shopper, context={"device": "phone"})
    done = freshet("explain", answer.recommendation_id, "--data", trained_shop.folder)
    assert done.exit_code == 0, done.output
    assert f"what {shopper} may like next" in done.stdout
    assert f"user {shopper}, device phone" in done.stdout
    assert answer.model_version in done.stdout
    assert f"signals at {answer.signals_offset}" in done.stdout
    assert "fold_in" in done.stdout
    assert answer.items[0].item_id in done.stdout
    assert "the same items in the same order, scores equal" in done.stdout
    assert "Not as it was then" not in done.stdout


def test_a_record_takes_at_most_two_kilobytes_at_the_median(trained_shop):
    with closing(SqliteLogReader(trained_shop.folder)) as log:
        keys = {record.key.decode() for partition in range(8) for record in log.read(EVENTS, partition, 0, 2_000)}
    trained_shop.answers(*sorted(keys))
    [answers, *_] = open_readers(trained_shop.folder)
    with closing(answers):
        sizes = [len(record.value) for record in answers.read(ANSWERS, 0, 0, 10_000)]
    assert len(sizes) >= len(keys) > 100
    assert median(sizes) <= 2_000


def test_items_order_and_scores_agree_to_a_millionth(trained_shop, shopper, made_again):
    decision, found = made_again(trained_shop.answer(shopper, count=30, seed=7, diversity=0.4))
    assert found.moved == ()
    assert found.comparison.same
    assert [each.item_id for each in found.items] == [each.item_id for each in decision.items]


def test_an_answer_by_a_list_that_was_made_before_is_made_again(trained_shop, shopper, made_again):
    first, second = trained_shop.answers(shopper, shopper)
    assert second.generated_at > first.generated_at
    decision, found = made_again(second)
    assert decision.generated_at == second.generated_at
    assert decision.request.now == pytest.approx(first.generated_at.timestamp(), abs=1e-5)
    assert found.comparison.same


def test_an_answer_by_filters_boosts_and_pins_is_made_again(trained_shop, shopper, made_again):
    first = trained_shop.answer(shopper, count=5).items[0].item_id
    asked = {
        "filter": "item_id != $first",
        "context": {"first": first},
        "boost": ["2:title is missing"],
        "pin": [f"{first}:3"],
    }
    decision, found = made_again(trained_shop.answer(shopper, count=12, **asked))
    assert decision.items[2].item_id == first
    assert found.comparison.same


def test_what_is_like_an_item_and_shelves_are_made_again_too(trained_shop, shopper, made_again):
    for answer in (trained_shop.similar("doom", shopper), trained_shop.answer(None)):
        _, found = made_again(answer)
        assert found.comparison.same or found.comparison.only_ties


def test_a_record_with_another_score_is_found_out(trained_shop, shopper, made_again):
    answer = trained_shop.answer(shopper)
    decision, _ = made_again(answer)
    forged = [msgspec.structs.replace(decision.items[0], score=decision.items[0].score + 0.01), *decision.items[1:]]
    _, found = made_again(answer, items=forged)
    assert not found.comparison.same
    assert not found.comparison.only_ties
    assert found.comparison.largest == pytest.approx(0.01, abs=1e-6)


def test_a_version_that_is_gone_is_said_and_nothing_is_made(trained_shop, shopper, made_again):
    _, found = made_again(trained_shop.answer(shopper), model_version="20000101T000000000Z-gone")
    assert found.comparison is None
    assert found.moved == ("model version 20000101T000000000Z-gone is no longer in the store",)


def test_other_settings_and_later_aggregates_are_named(trained_shop, shopper, made_again):
    answer = trained_shop.answer(shopper)
    _, found = made_again(
        answer, default_config(candidate_limit=20, session_boost=9.0), aggregates_version="0.0", catalogue_version="1"
    )
    assert [each.split()[0:3] for each in found.moved] == [
        ["the", "ranking", "settings"],
        ["the", "catalogue", "has"],
        ["what", "everybody", "does"],
    ]
    assert found.comparison is not None


def test_an_id_that_was_never_given_out_is_said(trained_shop, shopper, freshet):
    trained_shop.answer(shopper)
    done = freshet("explain", "never", "--data", trained_shop.folder)
    assert isinstance(done.exception, AnswerUnknown)
    assert "no answer 'never'" in str(done.exception)
