"""The current view of items as the API shows it: one, a page, what matches a query."""

from __future__ import annotations

import numpy as np

from schemas.catalogue import Item
from schemas.http.read_answers import ItemView
from serving.state.catalogue import Catalogue, described


def item_view(item: Item) -> ItemView:
    """All that is known about an item."""
    view = {"item_id": item.item_id, **described(item), "hidden": item.hidden, "version": item.version}
    window = {"available_from": item.available_from, "available_until": item.available_until, "first_at": item.first_at}
    return view | {name: at for name, at in window.items() if at is not None}


def browse(catalogue: Catalogue, query: str | None, now: float, start: int, limit: int) -> tuple[list[Item], bool]:
    """A page of described, visible items, and whether there are more: best match first, else in order of arrival."""
    shown = catalogue.all_visible(now) & catalogue.column("described")
    if query:
        # As many matches as lie before the end of the page, and one more, however many of them are hidden.
        hidden = len(catalogue) - int(shown.sum())
        order, _ = catalogue.text.search(query, min(len(catalogue), start + limit + 1 + hidden))
    else:
        order = np.arange(len(catalogue), dtype=np.int32)
    page = order[shown[order]][start : start + limit + 1]
    items = [item for position in page.tolist() if (item := catalogue.item(position)) is not None]
    return items[:limit], page.size > limit
