"""``query`` counters: the items that users went to after they searched for a word.

A hash assigns words to a fixed number of buckets, and a bucket holds a limited number of words. So nobody can fill the
store by searching. An item counts once in a search. These counters never hold a whole query.
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
BUCKETS: Final = 8_192
"""Buckets of words in each partition."""
WORDS: Final = 4
"""Limit of words that count in one query, and of words in one bucket. A full bucket drops its least recently used word."""
LONGEST: Final = 32
"""Limit of characters of a word."""
WIDTH: Final = 32
"""Items of a word that remain after a trimming, in each partition. The weakest are dropped."""
SLACK: Final = 16
"""Items that may exceed WIDTH before the next trimming."""
_WORD: Final = re.compile(r"\w+")


class QueryCounters(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """For each word of a bucket, its items with their decayed counts in log space (HALF_LIFE). The newest word is last."""

    words: dict[str, dict[str, float]] = {}


def words_of(text: str) -> list[str]:
    """Returns the words of a text without case, accents and plural."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    words = _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words]


def query_words(query: str) -> list[str]:
    """Returns the distinct words by which a query counts, the first WORDS of them."""
    return list(dict.fromkeys(word[:LONGEST] for word in words_of(query)))[:WORDS]


def query_key(word: str) -> str:
    """Returns the key of the bucket that a word belongs to."""
    return KIND.key(_bucket(word))


def collect(transitions: Iterable[Transition], changes: Changes) -> None:
    """Adds the item that a user went to after a search to each word of the search, until the entry is retracted."""
    for transition in transitions:
        for removed in transition.retracted:
            for word in _searched_for(transition, removed):
                changes[_bucket(word)].append(Retraction((word, removed)))
        if (entry := transition.entry) is not None and transition.terms:
            for word in _searched_for(transition, entry):
                changes[_bucket(word)].append((word, entry))


def fold(counters: QueryCounters, changes: Sequence[tuple[str, Entry] | Retraction]) -> QueryCounters:
    """Returns the counters after these pairs are added or retracted: a word, and an entry that followed its search."""
    words = counters.words.copy()
    for change in changes:
        if isinstance(change, Retraction):
            _take(words, *change.change)
            continue
        word, entry = change
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


KIND: Final = AggregateKind("query", QueryCounters(), collect, fold, merge)


def _bucket(word: str) -> str:
    return f"{crc32(word.encode()) % BUCKETS}"


@lru_cache(maxsize=4_096)
def _words_that_count(query: str) -> tuple[str, ...]:
    """Returns the words of a query. Cached, because every item that follows a search asks for the words of that search."""
    return tuple(query_words(query))


def _searched_for(transition: Transition, entry: Entry) -> Sequence[str]:
    """Returns the words of the search that an entry follows. Empty if its item already followed that search."""
    term = searched(transition.terms, entry) if entry.type not in NEGATIVE else None
    if term is None or any(past.item == entry.item and past.offset > term.offset for past in transition.earlier):
        return ()
    return _words_that_count(term.query)


def _take(words: dict[str, dict[str, float]], word: str, entry: Entry) -> None:
    if word in words:
        words[word] = words[word].copy()
        take_from(words[word], ((entry.item, entry.at / HALF_LIFE),))
