"""What people did with the lists that they were given: clicks and purchases by route and by candidate source. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from schemas.answers import Decision
from schemas.events import LoggedEvent

CLICKS: Final = frozenset({"click", "view", "like", "cart", "purchase"})
"""Types of events that count as a click, if they name the answer and an item of it."""
CONVERSIONS: Final = frozenset({"purchase"})
"""Types of events that count as a conversion."""
ACTIVE_SECONDS: Final = 300.0
"""A visitor whose last event is not older is active."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the answers of one route, or of the items of one source."""

    name: str
    shown: int
    """Answers of a route; items of a source."""
    clicked: int
    converted: int
    ctr: float
    conversion: float


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """Outcomes of the newest answers."""

    answers: int
    events: int
    routes: list[Outcome]
    sources: list[Outcome]


def outcomes_of(answers: Iterable[Decision], events: Sequence[LoggedEvent]) -> Outcomes:
    """Counts each answer once by route, and each shown item once by its first source, however often it was clicked."""
    clicked, converted = _pairs(events, CLICKS), _pairs(events, CONVERSIONS)
    clicked_answers, converted_answers = ({answer for answer, _ in pairs} for pairs in (clicked, converted))
    decisions = {decision.recommendation_id: decision for decision in answers}
    routes, sources = _Tally(), _Tally()
    for id_, decision in decisions.items():
        routes.add(decision.route, id_ in clicked_answers, id_ in converted_answers)
        for item_id, source in _sources(decision, decisions):
            sources.add(source, (id_, item_id) in clicked, (id_, item_id) in converted)
    return Outcomes(answers=len(decisions), events=len(events), routes=routes.rows(), sources=sources.rows())


def active_visitors(events: Iterable[LoggedEvent], now: float) -> int:
    """The number of different people and guests with an event in the last five minutes, by the collector's clock."""
    since = now - ACTIVE_SECONDS
    return len({event.partition_key for event in events if event.received_at.timestamp() >= since})


def _pairs(events: Iterable[LoggedEvent], types: frozenset[str]) -> set[tuple[str, str]]:
    """The answers and items that events of these types name."""
    return {
        (event.recommendation_id, event.item_id)
        for event in events
        if event.type in types and event.recommendation_id and event.item_id
    }


def _sources(decision: Decision, decisions: dict[str, Decision]) -> list[tuple[str, str]]:
    """The items of an answer with the source that gave most of their score."""
    first = decisions.get(decision.same_as or "")
    complete = decision.completed(first) if first is not None else decision
    return [
        (item.item_id, max(item.reasons, key=lambda reason: reason.share).source)
        for item in complete.items
        if item.reasons
    ]


class _Tally:
    def __init__(self) -> None:
        self._shown: Counter[str] = Counter()
        self._clicked: Counter[str] = Counter()
        self._converted: Counter[str] = Counter()

    def add(self, name: str, clicked: bool, converted: bool) -> None:
        """Counts one more answer or item."""
        self._shown[name] += 1
        self._clicked[name] += clicked
        self._converted[name] += converted

    def rows(self) -> list[Outcome]:
        """An outcome for each name, the one that was shown most often first."""
        return [
            Outcome(
                name=name,
                shown=shown,
                clicked=self._clicked[name],
                converted=self._converted[name],
                ctr=self._clicked[name] / shown,
                conversion=self._converted[name] / shown,
            )
            for name, shown in sorted(self._shown.items(), key=lambda pair: (-pair[1], pair[0]))
        ]
