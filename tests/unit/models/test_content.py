import numpy as np
import pytest

from models.content import terms_of
from schemas.catalogue import Item


def test_an_item_says_words_labels_and_attributes():
    item = Item(
        item_id="x",
        title="Green tea, GREEN leaves",
        description="a cup",
        categories=("Tea",),
        tags=("New",),
        attributes={"colour": "Red", "sizes": ["S", "M"], "organic": True, "weight": 0.5, "maker": {"name": "x"}},
    )
    assert terms_of(item) == {
        "green": 2, "tea": 1, "leaves": 1, "cup": 1, "category:Tea": 1, "tag:New": 1,
        "colour=red": 1, "sizes=s": 1, "sizes=m": 1, "organic=true": 1,
    }  # fmt: skip


def test_a_taste_is_the_weighted_mean_of_its_items_vectors(content):
    taste = content.fold_in({"plain": 1.0, "数": 3.0, "unheard of": 5.0, "last": 0.0})
    np.testing.assert_allclose(taste, [0.25 * 0.6, 0.75 * 0.8, 0.25 * 0.8 + 0.75 * 0.6, 0], rtol=1e-6)


def test_nobodys_taste_is_nothing(content):
    assert content.fold_in({}).tolist() == [0] * 4
    assert content.score(content.fold_in({"unheard of": 1.0})).tolist() == [0] * 6


def test_a_score_is_the_product_of_taste_and_item(content):
    taste = np.array([1.0, 0.5, 0.25, 0.0], dtype=np.float32)
    np.testing.assert_allclose(content.score(taste), [0.8, 1.0, 0, 0.55, 0, 0.25], rtol=1e-6)


def test_similar_items_share_a_term(content):
    assert content.similar("plain", 10).item_ids == ("last", "with/slash", "数")
    assert len(content.similar("Überraschung", 10)) == 0
    assert len(content.similar("unheard of", 10)) == 0


def test_a_new_item_is_placed_by_its_texts_alone(content):
    new = Item(item_id="new", title="Green, green and unheard", attributes={"colour": "red"})
    vector = content.fold_in_item(new)
    raw = np.array([0, 2.0, (1 + np.log(2)) * 1.5, 0])
    np.testing.assert_allclose(vector, raw / np.linalg.norm(raw), rtol=1e-6)
    assert content.similar_to(new, 1).item_ids == ("数",)
    assert content.score(content.fold_in({"数": 1.0})) @ np.ones(6) == pytest.approx(2 * 0.6 + 0.48 + 1 - 0.6, abs=1e-5)


def test_an_item_that_says_nothing_known_is_nowhere(content):
    assert content.fold_in_item(Item(item_id="new", title="unheard")).tolist() == [0] * 4
