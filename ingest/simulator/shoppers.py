"""Invents shoppers whose true tastes are known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.simulator.game_features import Floats, Mask, game_features

COUNTRIES = {
    "US": (0.34, -6),
    "GB": (0.12, 0),
    "DE": (0.12, 1),
    "FR": (0.08, 1),
    "BR": (0.09, -3),
    "PL": (0.06, 1),
    "JP": (0.10, 9),
    "KR": (0.05, 9),
    "AU": (0.04, 10),
}
"""For each country, its share of shoppers and its hours ahead of UTC."""
DEVICES = {"desktop": 0.46, "mobile": 0.43, "tablet": 0.11}
LIKED_GENRES, LIKED_TAGS = 2, 5
DISLIKED_GENRES, DISLIKED_TAGS = 1, 3
GUEST_SHARE = 0.08
LATE_SHARE = 0.2
"""Share of shoppers whose first visit is later than the first recorded days."""
MOST_SESSIONS_PER_DAY = 1.5


@dataclass(frozen=True, eq=False)
class Shopper:
    """An invented shopper. Tastes are weights of genres and tags, -1..1."""

    index: int
    user_id: str
    anonymous_id: str | None
    """The id of a shopper who starts as a guest, else None."""
    guest_sessions: int
    """Number of visits that a guest makes before signing in."""
    taste_first: Floats
    """The taste on the first recorded day."""
    taste_last: Floats
    """The taste on the last recorded day. Between the first and the last day it changes evenly."""
    sessions_per_day: float
    joined: float
    """Earliest time of the first visit, as a share of the recorded days, 0..1."""
    favourite_hour: float
    """Hour of the day in UTC, 0..24, around which visits cluster."""
    price_sensitivity: float
    """Appeal that a game loses for each unit of log price."""
    device: str
    country: str


def shoppers(seed: int, n: int = 2000) -> list[Shopper]:
    """The first `n` shoppers of `seed`. A shopper does not depend on `n`."""
    return [_shopper(seed, index) for index in range(n)]


def affinities(shopper: Shopper, progress: float = 1.0) -> Floats:
    """The shopper's true liking of each game, in standard deviations about their own mean.

    `progress` 0..1 is the share of the recorded days that has passed.
    """
    taste = (1.0 - progress) * shopper.taste_first + progress * shopper.taste_last
    raw = game_features().matrix @ taste
    return np.asarray((raw - raw.mean()) / raw.std())


def true_affinity(shopper: Shopper, item: Mapping[str, object] | str, progress: float = 1.0) -> float:
    """One entry of `affinities`; `item` is an item of the catalogue or its id."""
    item_id = item if isinstance(item, str) else str(item["item_id"])
    return float(affinities(shopper, progress)[game_features().index[item_id]])


def _shopper(seed: int, index: int) -> Shopper:
    rng = np.random.default_rng([seed, 1, index])
    taste = _taste(rng)
    country = _pick(rng, {name: share for name, (share, _) in COUNTRIES.items()})
    guest = rng.random() < GUEST_SHARE
    return Shopper(
        index=index,
        user_id=f"shopper-{index:05d}",
        anonymous_id=f"guest-{seed}-{index:05d}" if guest else None,
        guest_sessions=int(rng.integers(1, 4)) if guest else 0,
        taste_first=taste,
        taste_last=_drifted(taste, rng),
        # Log-normal: most shoppers come a few times, a few come daily.
        sessions_per_day=min(MOST_SESSIONS_PER_DAY, float(rng.lognormal(-2.6, 1.0))),
        joined=float(rng.uniform(0.0, 0.7)) if rng.random() < LATE_SHARE else 0.0,
        favourite_hour=float(rng.normal(20.0, 3.0) - COUNTRIES[country][1]) % 24.0,
        price_sensitivity=float(rng.gamma(2.0, 0.06)),
        device=_pick(rng, DEVICES),
        country=country,
    )


def _taste(rng: np.random.Generator) -> Floats:
    """Draws a taste that is consistent: genres first, then tags of games in those genres."""
    goods = game_features()
    taste = np.zeros(len(goods.traits))
    common = np.sqrt(goods.has_trait.sum(axis=0))
    genres = _draw(rng, common[: goods.n_genres], LIKED_GENRES)
    in_genres = goods.has_trait[:, genres].any(axis=1)
    tag_weights = np.where(_is_tag(), goods.has_trait[in_genres].sum(axis=0), 0)
    tags = _draw(rng, tag_weights, LIKED_TAGS)
    taste[genres] = rng.uniform(0.6, 1.0, len(genres))
    taste[tags] = rng.uniform(0.4, 1.0, len(tags))
    _add_dislikes(taste, common, rng)
    return taste


def _add_dislikes(taste: Floats, common: Floats, rng: np.random.Generator) -> None:
    neutral = np.where(taste == 0.0, common, 0.0)
    genres = _draw(rng, np.where(_is_tag(), 0.0, neutral), DISLIKED_GENRES)
    tags = _draw(rng, np.where(_is_tag(), neutral, 0.0), DISLIKED_TAGS)
    taste[genres] = -rng.uniform(0.5, 1.0, len(genres))
    taste[tags] = -rng.uniform(0.3, 0.8, len(tags))


def _drifted(taste: Floats, rng: np.random.Generator) -> Floats:
    """A later taste: two traits lose half of their weight, and a part of another taste is added."""
    drifted = taste.copy()
    drifted[_draw(rng, np.abs(taste), 2)] *= 0.5
    return np.asarray(drifted + rng.uniform(0.0, 0.5) * _taste(rng))


def _is_tag() -> Mask:
    goods = game_features()
    return np.asarray(np.arange(len(goods.traits)) >= goods.n_genres)


def _draw(rng: np.random.Generator, weights: Floats, count: int) -> NDArray[np.int64]:
    return rng.choice(len(weights), size=count, replace=False, p=weights / weights.sum())


def _pick(rng: np.random.Generator, shares: dict[str, float]) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))
