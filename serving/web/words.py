"""Plain words for the reason of an item and for the inputs that an answer lacks."""

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
    reasons: Sequence[Reason], verbs: Mapping[str, str], title_of: Callable[[str], str | None], query: str = ""
) -> str:
    """The reason with the largest share as a sentence, which names its seed item.

    ``verbs`` are the shopper's verbs by item id: liked, bought, looked at.
    """
    if not reasons:
        return ""
    reason = max(reasons, key=lambda candidate: candidate.share)
    title = title_of(reason.item_id) if reason.item_id else None
    if title and reason.item_id:
        return _by_item(reason.source, verbs.get(reason.item_id), title)
    if reason.source == "search" and query:
        return matches(query)
    return sentence_of(reason.source).alone


def _by_item(source: str, verb: str | None, title: str) -> str:
    sentence = sentence_of(source)
    if not verb:
        return sentence.from_seed.format(item=title)
    cause = f"because you {verb} {title}"
    return f"{cause}: {sentence.after_seed}" if sentence.after_seed else cause


def matches(query: str) -> str:
    """The reason of a search result."""
    return f"matches your search “{query}”"


def calmly(degraded: Sequence[str]) -> list[str]:
    """A sentence for each input that an answer lacks."""
    return [_DEGRADED.get(code, _DEGRADED_OTHERWISE.format(code.replace("_", " "))) for code in degraded]
