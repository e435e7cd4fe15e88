"""Finding a record on the answers topic."""

from datetime import UTC, datetime

import pytest

from deploy.commands.explaining.decision_lookup import find
from schemas.answers import Decision, RecommendationRequest
from schemas.decision_codec import encode_decision
from schemas.errors import AnswerUnknown
from schemas.log.records import OffsetToken, Record

BEGIN, END, PARTITIONS = 100, 2_600, 2


class Answers:
    """A topic of answers ``r<partition>-<offset>``, whose reads hand out little at once; it notes what was read."""

    def __init__(self) -> None:
        self.read_from: list[int] = []

    def partitions(self, topic):
        return PARTITIONS

    def bounds(self, topic, partition):
        return BEGIN, END

    def read(self, topic, partition, offset, limit):
        self.read_from.append(offset)
        found = range(offset, min(offset + limit, offset + 300, END))
        # One a second.
        return [Record(topic, partition, at, 1_000 * at, b"", value(f"r{partition}-{at}")) for at in found]


FIRST = {"r1-2500": "r1-2450", "r0-2500": "r0-110"}
"""Answers that gave the list of an earlier one again."""


def value(recommendation_id: str) -> bytes:
    if recommendation_id.endswith("7"):
        return f"not a record of {recommendation_id}".encode()
    return encode_decision(
        Decision(
            recommendation_id=recommendation_id,
            route="popular",
            generated_at=datetime(2026, 1, 1, tzinfo=UTC),
            request=RecommendationRequest(now=0.0),
            items=[],
            inputs={} if recommendation_id in FIRST else {"u:ann": recommendation_id.encode()},
            same_as=FIRST.get(recommendation_id),
            aggregates_version="-",
            catalogue_version="-",
            config_id="c",
            variant="default",
        )
    )


@pytest.mark.parametrize("token", [OffsetToken(0, BEGIN), OffsetToken(1, END - 1), OffsetToken(1, 1_500)])
def test_a_record_is_found_wherever_it_stands(token):
    found = find(Answers(), f"r{token.partition}-{token.offset}", 10_000, lambda *_: None)
    assert found.token == token
    assert found.decision.recommendation_id == f"r{token.partition}-{token.offset}"


def test_the_newest_are_looked_through_first():
    answers = Answers()
    find(answers, f"r1-{END - 2}", 10_000, lambda *_: None)
    assert min(answers.read_from) == END - 1_000


def test_no_more_are_read_than_were_asked_for_and_progress_is_told():
    answers, told = Answers(), []
    with pytest.raises(AnswerUnknown, match=r"among the newest 2,000"):
        find(answers, f"r0-{BEGIN}", 2_000, lambda done, total: told.append((done, total)))
    assert min(answers.read_from) == END - 1_000
    assert told == [(1_000, 2_000), (2_000, 2_000)]


def test_a_part_of_an_id_and_what_is_no_record_are_not_taken_for_it():
    for wanted in ("r0-25", "r0-1507"):
        with pytest.raises(AnswerUnknown):
            find(Answers(), wanted, 10_000, lambda *_: None)


def test_a_list_given_again_is_told_with_what_its_first_record_holds():
    found = find(Answers(), "r1-2500", 10_000, lambda *_: None)
    assert (found.token, found.decision.recommendation_id) == (OffsetToken(1, 2_500), "r1-2500")
    assert found.decision.inputs == {"u:ann": b"r1-2450"}


def test_a_list_whose_first_record_is_gone_is_said_to_be_so_without_a_look_at_all_that_is_older():
    answers = Answers()
    with pytest.raises(AnswerUnknown, match="gave the list of answer 'r0-110' again, and the log no longer holds"):
        find(answers, "r0-2500", 10_000, lambda *_: None)
    assert min(answers.read_from) >= 1_500
