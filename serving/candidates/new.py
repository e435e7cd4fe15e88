"""``new``: what the site has lately published, for a known person as far as it fits the person's categories."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.arrays import Ints
from serving.catalogue import Catalogue, taste
from serving.ordering import strongest
from serving.scene import NOTHING, Part, Scene
from signals.decay import HOUR

_FRESH: Final = 6 * HOUR
"""An item of this age is half as new as one of this moment."""


def candidates(scene: Scene) -> Part:
    """The newest items of known age; those that only events have named are news where there are no others."""
    catalogue, now = scene.catalogue, scene.asked.now
    arrived, young = catalogue.arrivals.newest(now, now - scene.config.new_age, scene.allowed, scene.reach)
    if not young.size:
        return NOTHING
    scores = (1.0 / (1.0 + (now - arrived.born[young]) / _FRESH)).astype(np.float32)
    spread = taste(catalogue, scene.profile.weights.items())
    return Part(arrived.items[young], scores * arrived.likeness(spread)[young] if spread else scores)


def newest(catalogue: Catalogue, allowed: Ints, count: int) -> Ints:
    """Of these positions the latest that came or were published, latest first.

    Items that only events have named stand back while there are others: a mistyped id is no news.
    """
    described = allowed[catalogue.column("described")[allowed]]
    allowed = described if described.size else allowed
    born, ties = catalogue.column("born")[allowed], catalogue.column("hash")[allowed]
    return allowed[strongest(born, count, ties)]
