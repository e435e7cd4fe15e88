from __future__ import annotations

import pytest

from schemas.http.views import view_method


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (b"/v1/users/ann/recommendations", "GET"),
        (b"/v1/users/a/b/rank", "POST"),
        (b"/v1/items/7/similar?count=3", "GET"),
        (b"/v1/items/7%2Fsimilar", None),
        (b"/v1/items/7/rank", None),
        (b"/v1/items/similar", None),
        (b"/v1/items", None),
        (b"/v1/events", None),
        (b"", None),
    ],
)
def test_a_view_is_known_by_its_resource_and_its_last_part(path, method):
    assert view_method({"raw_path": path}) == method
