"""Quality of answers as a client gets them: MovieLens 100k imported, trained on, and served over HTTP.

The last ten ratings of each user (by time, then item id) are held out. All others go through the importer, the folds and
``freshet train`` with their defaults. Then the benchmark requests ten items for each user from ``freshet up``. Held-out
items with 4 stars or more are relevant, and the ideal DCG counts all relevant items of a user. The means leave out the 42
of 943 users without relevant items. By these rules, popularity reaches HR@10 .341 and NDCG@10 .076, and EASE on the liked
items (λ=200) .531 and .144.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from ingest.import_pipeline.base import RowFaults, find_file
from ingest.import_pipeline.files import rows
from tests.bench.results import Figures, console, datasets
from tests.e2e.systems import EmbeddedSystem, freshet, recommendations, running, wait_until_ready

HELD_OUT: Final = 10
ASKED: Final = 10
LIKED: Final = 4.0
"""A held-out item is relevant from this number of stars on."""
_COLUMNS: Final = ("user", "item", "stars", "at")
_FACTS: Final = ("u.item", "u.user")

PrecomputedLists = Mapping[str, Sequence[str]]
Hits = Mapping[str, Collection[str]]


class Rating(NamedTuple):
    """A line of ``u.data``. The time is in seconds since 1970."""

    user: str
    item: str
    stars: float
    at: int


class Split(NamedTuple):
    """The training ratings, and the relevant items by user. Some users have none."""

    learned: list[Rating]
    hits: dict[str, frozenset[str]]


def measure() -> Figures:
    source = datasets() / "ml-100k"
    split = hold_out(read(source))
    with tempfile.TemporaryDirectory(prefix="freshet-bench-") as name:
        copied = copy(source, Path(name) / "ml-100k", split.learned)
        answers = served(Path(name) / "data", copied, split.hits)
    lists = {user: [item["item_id"] for item in answer["items"]] for user, answer in answers.items()}
    figures: dict[str, Any] = {
        "dataset": "ml-100k",
        "protocol": f"last {HELD_OUT} of each held out, hits from {LIKED:g} stars, {ASKED} asked for over HTTP",
        "people": sum(map(bool, split.hits.values())),
        "popularity": scored(popular(split), split.hits),
        "served": scored(lists, split.hits),
        "degraded": sum(bool(answer["degraded"]) for answer in answers.values()),
    }
    return Figures("embedded", figures)


def read(folder: Path) -> Iterator[Rating]:
    """Returns the ratings of MovieLens 100k in the order of its file."""
    path = find_file(folder, "u.data")
    assert path is not None, f"there is no u.data in {folder}; name the folder of data sets with FRESHET_DATASETS"
    for row in rows(path, RowFaults(), delimiter="\t", columns=_COLUMNS, quoted=False):
        user, item, stars, at = row.cells.values()
        yield Rating(user, item, float(stars), int(at))


def hold_out(ratings: Iterable[Rating], count: int = HELD_OUT) -> Split:
    """Holds out the last ``count`` ratings of each user. Ratings of the same second are ordered by item number."""
    by_user: defaultdict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        by_user[rating.user].append(rating)
    learned: list[Rating] = []
    hits: dict[str, frozenset[str]] = {}
    for user, own in by_user.items():
        own.sort(key=lambda rating: (rating.at, int(rating.item)))
        learned += own[:-count]
        hits[user] = frozenset(rating.item for rating in own[-count:] if rating.stars >= LIKED)
    return Split(learned, hits)


def copy(source: Path, folder: Path, ratings: Iterable[Rating]) -> Path:
    """Writes a folder in the layout of the data set, with these ratings only."""
    folder.mkdir()
    for name in _FACTS:
        shutil.copy(source / name, folder / name)
    lines = (f"{rating.user}\t{rating.item}\t{rating.stars:g}\t{rating.at}\n" for rating in ratings)
    (folder / "u.data").write_text("".join(lines))
    return folder


def served(folder: Path, dataset: Path, users: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns the answer for each user, from a process that has imported the data set and trained on it."""
    system = EmbeddedSystem(folder, trainings={})
    console.print("Importing and training ...")
    freshet(system, "import", "ml-100k", str(dataset))
    freshet(system, "train")
    with running(system):
        wait_until_ready(system)
        console.print("Asking for everybody's list ...")
        return {user: recommendations(system, user, count=ASKED) for user in users}


def popular(split: Split) -> dict[str, list[str]]:
    """Returns for each user the items that most users liked, without those that the user has rated. Ties by item number."""
    counts = Counter(rating.item for rating in split.learned if rating.stars >= LIKED)
    order = sorted(counts, key=lambda item: (-counts[item], int(item)))
    rated: defaultdict[str, set[str]] = defaultdict(set)
    for rating in split.learned:
        rated[rating.user].add(rating.item)
    return {user: [item for item in order if item not in rated[user]][:ASKED] for user in split.hits}


def scored(lists: PrecomputedLists, hits: Hits) -> dict[str, float]:
    """Returns the mean HR@10 and NDCG@10 over the users with relevant items."""
    gains = 1.0 / np.log2(np.arange(ASKED) + 2)
    hit, ndcg = [], []
    for user, wanted in hits.items():
        if wanted:
            places = [place for place, item in enumerate(lists[user][:ASKED]) if item in wanted]
            hit.append(bool(places))
            ndcg.append(gains[places].sum() / gains[: len(wanted)].sum())
    return {f"HR@{ASKED}": float(np.mean(hit)), f"NDCG@{ASKED}": float(np.mean(ndcg))}
