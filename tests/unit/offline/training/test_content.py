"""Content by terms, compared with a dense computation, and by embeddings of a given encoder."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.data.metadata import Metadata
from offline.training.algorithm import Context
from offline.training.content import content, embeddings
from offline.training.content.content import ContentParameters
from offline.training.registry import algorithm
from schemas.catalogue import Item
from schemas.errors import ConfigurationInvalid, NothingToTrain
from tests.unit.offline.conftest import dense_interactions

WORDS = st.lists(st.sampled_from(["tea", "cup", "red", "green"]), max_size=6)


def facts_of(*texts):
    return Metadata({f"i{at:02}": Item(item_id=f"i{at:02}", title=" ".join(words)) for at, words in enumerate(texts)})


@given(st.lists(WORDS, min_size=4, max_size=4).filter(any))
def test_vectors_are_the_tf_idf_of_what_items_say(texts):
    model = content.train(dense_interactions(np.ones((2, 4))), facts_of(*texts), ContentParameters(least=1))
    counts = np.array([[words.count(term) for term in model.terms] for words in texts], dtype=float)
    weights = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0)
    weights *= 1 + np.log(5 / (1 + (counts > 0).sum(axis=0)))
    weights /= np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-30)
    found = np.array([model.fold_in({item_id: 1.0}) for item_id in model.item_ids])
    np.testing.assert_allclose(found, weights, atol=1e-6)


def test_an_item_of_the_training_is_placed_where_it_was_trained_to_be():
    metadata = facts_of(["tea", "cup", "tea"], ["cup", "green"], ["tea", "green"])
    model = content.train(dense_interactions(np.ones((1, 3))), metadata)
    np.testing.assert_allclose(model.fold_in_item(metadata.items["i00"]), model.fold_in({"i00": 1.0}), rtol=1e-6)


def test_terms_are_those_that_most_items_say():
    metadata = facts_of(["tea", "cup"], ["tea", "cup"], ["tea", "red"], ["alone"])
    interactions = dense_interactions(np.ones((1, 4)))
    assert content.train(interactions, metadata).terms == ("cup", "tea")
    assert content.train(interactions, metadata, ContentParameters(terms=1, least=1)).terms == ("tea",)


def test_people_are_shown_what_is_like_what_they_had():
    metadata = facts_of(["tea", "cup"], ["tea", "pot"], ["red", "shoe"], ["red", "pot"])
    interactions = dense_interactions([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]])
    scores = content.train(interactions, metadata).score_histories(interactions.histories(np.arange(2)))
    assert scores[0, 1] > scores[0, 3] == 0
    assert scores[1, 3] > scores[1, 1] == 0


def test_nothing_said_is_nothing_to_train():
    with pytest.raises(NothingToTrain):
        content.train(dense_interactions(np.ones((1, 2))), Metadata())
    with pytest.raises(NothingToTrain):
        embeddings.train(dense_interactions(np.ones((1, 2))), Metadata(), letters)


def letters(texts):
    """An encoder that knows letters only."""
    return np.array([[text.casefold().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])


def test_embeddings_are_of_length_one_and_a_taste_is_their_mean():
    model = embeddings.train(dense_interactions(np.ones((1, 3))), facts_of(["aab"], ["abb"], []), letters)
    np.testing.assert_allclose(np.linalg.norm(model.item_factors, axis=1), [1, 1, 0], rtol=1e-6)
    taste = model.fold_in({"i00": 1.0, "i01": 3.0})
    np.testing.assert_allclose(taste, model.item_factors.T @ [0.25, 0.75, 0], rtol=1e-5)
    assert model.similar("i00", 1).item_ids == ("i01",)


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    using = algorithm("content-embeddings")
    with pytest.raises(ConfigurationInvalid, match=r"freshet\[embeddings\]"):
        using.train(
            dense_interactions(np.ones((1, 2))), using.parameters(), Context(metadata=facts_of(["tea"], ["tea"]))
        )
