"""Lists that are given again are encoded once, and read as they would be otherwise."""

from datetime import UTC, datetime

import msgspec

from schemas.answers import Answer, AnswerItem, Encoded, Reason, encode_answer

ANSWER = Answer(
    recommendation_id="r1",
    items=[AnswerItem("a", 0.5, [Reason("popular", 1.0)], msgspec.Raw(b'{"title":"A"}'))],
    model_version=None,
    signals_offset=None,
    aggregates_version="-",
    catalogue_version="-",
    config_id="c",
    variant="default",
    degraded=[],
    generated_at=datetime(2026, 11, 1, tzinfo=UTC),
    next_cursor=None,
)


def test_an_answer_of_an_encoded_list_is_the_same_text():
    again = msgspec.structs.replace(ANSWER, items=Encoded(ANSWER.items))
    assert encode_answer(again) == encode_answer(ANSWER) == msgspec.json.encode(ANSWER)


def test_the_list_is_encoded_once_for_all_answers_that_give_it():
    items = Encoded(ANSWER.items)
    first, second = (msgspec.structs.replace(ANSWER, items=items, recommendation_id=name) for name in ("r1", "r2"))
    assert encode_answer(first) != encode_answer(second)
    assert items.json is items.json
