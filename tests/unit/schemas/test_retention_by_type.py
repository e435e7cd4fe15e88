import pytest

from schemas.errors import ConfigurationInvalid
from schemas.values.retention import ALWAYS_KEPT, parse_retention


def test_days_are_read_by_type():
    assert parse_retention(" search=30, view = 400.5 ,") == {"search": 30.0, "view": 400.5}
    assert parse_retention("") == {}


@pytest.mark.parametrize(
    "text", ["search", "search=", "search=x", "search=0", "search=-1", "search=inf", "search=nan", "view=1,view=2", "=3", "View=3"]
)  # fmt: skip
def test_what_is_no_retention_is_refused_with_what_to_write(text):
    with pytest.raises(ConfigurationInvalid, match="search=30,view=400"):
        parse_retention(text)


@pytest.mark.parametrize("kind", sorted(ALWAYS_KEPT))
def test_what_a_rebuild_needs_cannot_expire(kind):
    with pytest.raises(ConfigurationInvalid, match=f"type {kind} cannot expire"):
        parse_retention(f"view=1,{kind}=30")
