"""``new``: what the site has lately published, for a known person as far as it fits the person's categories."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.arrays import Ints
from serving.catalogue import Catalogue, likeness, taste
from serving.ordering import strongest
from serving.scene import NOTHING, Part, Scene, part
from signals.decay import DAY, HOUR

_FRESH: Final = 6 * HOUR
"""An item of this age is half as new as one of this moment."""


def candidates(scene: Scene) -> Part:
    """The newest items of known age; those that only events have named are news where there are no others."""
    catalogue, now = scene.catalogue, scene.asked.now
    born = catalogue.column("born")
    # A date of its own, or an arrival well after the first load: a whole catalogue loaded today is not new.
    dated = catalogue.column("dated") | (born > _began(catalogue) + DAY)
    young = np.flatnonzero(scene.allowed & dated & (born <= now) & (born > now - scene.config.new_age))
    if not young.size:
        return NOTHING
    items = young[strongest(born[young], scene.reach, catalogue.column("hash")[young])].astype(np.int32)
    scores = (1.0 / (1.0 + (now - born[items]) / _FRESH)).astype(np.float32)
    spread = taste(catalogue, scene.profile.weights.items())
    return part(items, scores * likeness(catalogue, items, spread) if spread else scores)


def _began(catalogue: Catalogue) -> float:
    """When the first items came: the first load, or where nothing was loaded the first event."""
    if np.isfinite(catalogue.loaded_at):
        return catalogue.loaded_at
    born = catalogue.column("born")
    return float(born.min(initial=np.inf, where=np.isfinite(born)))


def newest(catalogue: Catalogue, allowed: Ints, count: int) -> Ints:
    """Of these positions the latest that came or were published, latest first.

    Items that only events have named stand back while there are others: a mistyped id is no news.
    """
    described = allowed[catalogue.column("described")[allowed]]
    allowed = described if described.size else allowed
    born, ties = catalogue.column("born")[allowed], catalogue.column("hash")[allowed]
    return allowed[strongest(born, count, ties)]
