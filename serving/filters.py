"""What may be recommended at all: decided once a request, before any source is asked."""

from __future__ import annotations

import numpy as np

from schemas.answers import Asked
from serving.catalogue import Catalogue
from serving.expressions import compiled
from serving.fields import Bools
from signals.users import UserValue


def allowed(asked: Asked, user: UserValue, catalogue: Catalogue, *, hide_seen: bool) -> Bools:
    """Which positions (n,) may be shown: visible now, in the categories asked for, as the filter says, not seen, excluded or shown before."""
    may = catalogue.all_visible(asked.now)
    if asked.categories:
        may &= catalogue.in_categories(asked.categories)
    if asked.filter:
        may &= compiled(asked.filter).holds(asked, catalogue.fields)
    if hide_seen:
        may[catalogue.positions(user.seen)] = False
    if asked.exclude:
        may[catalogue.positions(asked.exclude)] = False
    if asked.shown:
        may &= ~np.isin(catalogue.column("hash"), np.frombuffer(asked.shown, "<u4"))
    return may
