"""How reasons are worded: the sentence of each candidate source, and of the rules and lists that give reasons too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from serving.ranking.business_rules import BOOST, PIN
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.candidates.source import Sentence
from serving.ranking.exploration import EXPLORE

_OTHERS: Final = {
    BOOST: Sentence("picked by the shop"),
    PIN: Sentence("picked by the shop"),
    EXPLORE: Sentence("something new to try"),
    "trending": Sentence("trending now"),
    "latest": Sentence("new here"),
}


def sentences() -> Mapping[str, Sentence]:
    """The sentence of every name that may stand as the ``source`` of a reason."""
    return {name: source.sentence for name, source in candidate_sources().items()} | _OTHERS


def sentence_of(source: str) -> Sentence:
    """The sentence of a reason's source; a name that this version does not know is shown as it is."""
    declared = candidate_sources().get(source)
    return declared.sentence if declared else _OTHERS.get(source, Sentence(source.replace("_", " ")))
