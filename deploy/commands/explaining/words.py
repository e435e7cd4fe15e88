"""Words for recorded answers, as the command line prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from replay.explain import TOLERANCE, Comparison, Explanation
from schemas.answers import Decision, Reason, SourceOutcome
from serving.ranking.reasons import sentence_of
from signals.users import Entry, UserValue

ItemNames = Callable[[str], str]
"""Returns the name of an item from its id."""

_ROUTES: Final = {
    "recommendations": "what {who} may like next",
    "session": "what a visitor with their own events may like next",
    "rank": "how {who} may like what the caller brought",
    "similar": "what is like {item}",
    "together": "what people go on to after {item}",
    "bought": "what people put together with {item}",
    "popular": "what is popular",
    "trending": "what is trending",
    "latest": "what came in last",
}
_UNITS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def why(reasons: Iterable[Reason], name_of: ItemNames) -> str:
    """The sentences of these reasons in their order, each with its share of the score."""
    return ", ".join(f"{_reason(reason, name_of)} ({reason.share:.0%})" for reason in reasons)


def question(decision: Decision, name_of: ItemNames) -> str:
    """The question that an answer was for, in words."""
    request = decision.request
    form = _ROUTES.get(decision.route, decision.route)
    return form.format(who=request.user_id or request.anonymous_id or "a visitor", item=name_of(request.item_id or ""))


def asker(decision: Decision) -> str:
    """Who sent the request, with its context and options, in words."""
    request = decision.request
    identity = {
        "user": request.user_id,
        "guest": request.anonymous_id,
        "session": request.session_id,
        **request.context,
    }
    senders = [f"{name} {value}" for name, value in identity.items() if value]
    chosen: dict[str, object] = {
        "only": ", ".join(request.categories),
        "of": f"{len(request.include)} named items" if request.include else "",
        "filter": request.filter,
        "pinned": ", ".join(f"{item_id} to {position}" for item_id, position in request.pins.items()),
        "boosted": ", ".join(f"{boost.filter} by {boost.factor:g}" for boost in request.boosts),
        "seed": request.random_seed,
        "diversity": request.diversity,
    }
    return ", ".join(
        [*(senders or ["nobody in particular"]), *(f"{name} {value}" for name, value in chosen.items() if value)]
    )


def verdict(explanation: Explanation) -> str:
    """Whether the recomputed answer equals the recorded one, in words."""
    comparison = explanation.comparison
    if comparison is None:
        return "not possible" if explanation.moved else "not possible: the item it was about is no longer known"
    if comparison.same:
        return "the same items in the same order, scores equal to 0.000001"
    if comparison.only_ties:
        return "the same scores; only items of equal score stand in other places"
    return f"not the same: {_differences(comparison)}. {_cause(explanation)}"


def outcome(source: SourceOutcome) -> str:
    """The outcome of a candidate source, in words."""
    if source.outcome == "ok":
        return f"{source.candidates:,} candidates" if source.candidates else "had nothing to offer"
    return "was not needed" if source.outcome == "skipped" else f"failed: {source.outcome}"


def events(value: UserValue, now: float, name_of: ItemNames, count: int = 8) -> list[str]:
    """The newest events of a user up to ``now``, newest first, in words."""
    return [
        f"{ago(now - entry.at)}: {_event(entry)} {name_of(entry.item)}" for entry in reversed(value.recent[-count:])
    ]


def searches(value: UserValue, now: float, count: int = 3) -> list[str]:
    """The newest searches of a user up to ``now``, newest first, in words."""
    return [f"{ago(now - term.at)}: searched for '{term.query}'" for term in reversed(value.terms[-count:])]


def ago(seconds: float) -> str:
    """A duration before a moment, rounded, in words."""
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name} before"
    return f"{max(0.0, seconds):.0f} s before"


def _differences(comparison: Comparison) -> str:
    differences = []
    if comparison.lost:
        differences.append(f"{len(comparison.lost)} items are no longer in it (such as {comparison.lost[0]})")
    elif not comparison.same_order:
        differences.append("the order is another one")
    if comparison.largest > TOLERANCE:
        differences.append(f"scores differ by up to {comparison.largest:.6f}")
    return ", ".join(differences) or f"{len(comparison.gained)} items are new in it"


def _cause(explanation: Explanation) -> str:
    if explanation.moved:
        return "What it was made from is no longer as it was"
    return "Its inputs have the same versions: items that tie stood in another order, or the ranking code has changed since"


def _reason(reason: Reason, name_of: ItemNames) -> str:
    sentence = sentence_of(reason.source)
    return sentence.alone if reason.item_id is None else sentence.from_seed.format(item=name_of(reason.item_id))


def _event(entry: Entry) -> str:
    return entry.type if entry.value is None else f"{entry.type} ({entry.value:g})"
