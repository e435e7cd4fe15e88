"""``query`` cells: which items people went to after they had searched for a word.

Words are spread over a fixed number of cells by a hash, and a cell holds so many words and no more, so that nobody
can fill the store by searching. An item counts once a search. Somebody's whole query is never kept here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final
from zlib import crc32

import msgspec

from signals.counters import AggregateKind, Changes, Retraction, Transition
from signals.decay import DAY, add_to, strongest, summed, take_from
from signals.users import NEGATIVE, Entry, searched

HALF_LIFE: Final = 30 * DAY
CELLS: Final = 8_192
"""Cells a partition."""
WORDS: Final = 4
"""Words of a query that count, and that one cell holds; of a cell's words the one that led to something longest ago goes first."""
LONGEST: Final = 32
"""Characters of a word."""
WIDTH: Final = 32
"""Items that outlive a trimming, a word and partition; the weakest go first."""
SLACK: Final = 16
"""Items taken in beyond that before the next trimming."""
_WORD: Final = re.compile(r"\w+")


class QueryCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """By word, the items gone to with their decayed counts in log space (HALF_LIFE); the word used last comes last."""

    words: dict[str, dict[str, float]] = {}


def words_of(text: str) -> list[str]:
    """The words of a text without case, accents and plural."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    words = _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words]


def query_words(query: str) -> list[str]:
    """The distinct words by which a query counts, the first WORDS of them."""
    return list(dict.fromkeys(word[:LONGEST] for word in words_of(query)))[:WORDS]


def query_key(word: str) -> str:
    """The cell that a word stands in."""
    return KIND.key(_cell(word))


def gather(transitions: Iterable[Transition], changes: Changes) -> None:
    """An item that a user went to after a search counts at the words of the search, until its entry is retracted."""
    for transition in transitions:
        for removed in transition.retracted:
            for word in _searched_for(transition, removed):
                changes[_cell(word)].append(Retraction((word, removed)))
        if (entry := transition.entry) is not None and transition.terms:
            for word in _searched_for(transition, entry):
                changes[_cell(word)].append((word, entry))


def fold(cell: QueryCounters, by: Sequence[tuple[str, Entry] | Retraction]) -> QueryCounters:
    """Pairs of a word and an entry that it led to count, those that are gone no longer."""
    words = cell.words.copy()
    for each in by:
        if isinstance(each, Retraction):
            _take(words, *each.by)
            continue
        word, entry = each
        items = words.pop(word, {}).copy()
        add_to(items, ((entry.item, entry.at / HALF_LIFE),))
        words[word] = strongest(items, WIDTH) if len(items) > WIDTH + SLACK else items
        if len(words) > WORDS:
            del words[next(iter(words))]
    return QueryCounters(words)


def merge_word(counters: Sequence[QueryCounters], word: str) -> dict[str, float]:
    """Returns the items that users went to after searching for a word: decayed counts in log space (HALF_LIFE) by id."""
    return summed(partition.words.get(word, {}) for partition in counters)


def merge(counters: Sequence[QueryCounters], _: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Returns ``merge_word`` of each word that the counters hold."""
    words = dict.fromkeys(word for partition in counters for word in partition.words)
    return {word: merge_word(counters, word) for word in words}


KIND: Final = AggregateKind("query", QueryCounters(), gather, fold, merge)


def _cell(word: str) -> str:
    return f"{crc32(word.encode()) % CELLS}"


@lru_cache(maxsize=4_096)
def _words_that_count(query: str) -> tuple[str, ...]:
    """Kept for a while: whatever a visitor goes on to asks for the words of the same search."""
    return tuple(query_words(query))


def _searched_for(transition: Transition, entry: Entry) -> Sequence[str]:
    """The words that led to an entry; none where the same search has led to its item before."""
    term = searched(transition.terms, entry) if entry.type not in NEGATIVE else None
    if term is None or any(past.item == entry.item and past.offset > term.offset for past in transition.earlier):
        return ()
    return _words_that_count(term.query)


def _take(words: dict[str, dict[str, float]], word: str, entry: Entry) -> None:
    if word in words:
        words[word] = words[word].copy()
        take_from(words[word], ((entry.item, entry.at / HALF_LIFE),))
