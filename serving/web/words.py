"""Why an item is there and what an answer had to do without, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from schemas.answers import Reason
from serving.ranking.reasons import sentence_of

_DEGRADED: Final = {
    "signals": "What you just did could not be read for a moment, so this shelf may be a little behind.",
    "links": "What you did before signing in is left out for the moment.",
    "lists": "Your prepared list could not be read for a moment; this shelf is made from what you just did.",
    "profiles": "What you told of yourself could not be read for a moment, and is left out here.",
    "after": "Your last click is safe, but not counted here yet. It will be with the next change.",
    "catalogue": "The catalogue is still loading.",
    "model": "The trained model cannot be read for a moment; this shelf follows what you and others do.",
    "ranking": "This shelf could not be ranked just now; here is what is popular.",
}
_DEGRADED_OTHERWISE: Final = "One of this shelf's sources is resting ({}); the others fill in."


def why(
    reasons: Sequence[Reason], deeds: Mapping[str, str], title_of: Callable[[str], str | None], query: str = ""
) -> str:
    """The reason with the largest share, as a person would say it; an item that led here is named.

    ``deeds`` are the person's verbs by item id: liked, bought, looked at.
    """
    if not reasons:
        return ""
    reason = max(reasons, key=lambda each: each.share)
    title = title_of(reason.item_id) if reason.item_id else None
    if title and reason.item_id:
        return _by_item(reason.source, deeds.get(reason.item_id), title)
    if reason.source == "search" and query:
        return matches(query)
    return sentence_of(reason.source).alone


def _by_item(source: str, verb: str | None, title: str) -> str:
    sentence = sentence_of(source)
    if not verb:
        return sentence.from_seed.format(item=title)
    because = f"because you {verb} {title}"
    return f"{because}: {sentence.after_seed}" if sentence.after_seed else because


def matches(query: str) -> str:
    """The reason of a search result."""
    return f"matches your search “{query}”"


def calmly(degraded: Sequence[str]) -> list[str]:
    """A sentence for each thing that an answer had to do without."""
    return [_DEGRADED.get(code, _DEGRADED_OTHERWISE.format(code.replace("_", " "))) for code in degraded]
