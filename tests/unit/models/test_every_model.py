"""Tests that each model of ``conftest.MODELS`` passes."""

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from schemas.errors import Undecodable


def plain(value):
    """A model within a model as its bytes, all else as it is."""
    return value.save() if hasattr(value, "save") else value


def test_what_is_saved_is_what_is_loaded(model):
    loaded = type(model).load(model.save())
    for field in fields(model):
        np.testing.assert_array_equal(plain(getattr(loaded, field.name)), plain(getattr(model, field.name)))


def test_equal_models_are_equal_bytes(model):
    assert type(model).load(model.save()).save() == model.save()


def test_a_value_cannot_be_changed(model):
    with pytest.raises(FrozenInstanceError):
        model.item_ids = ()


def test_its_arrays_cannot_be_changed(model):
    arrays = [value for field in fields(model) if isinstance(value := getattr(model, field.name), np.ndarray)]
    assert arrays
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_its_ids_may_hold_any_text(model):
    assert type(model).load(model.save()).item_ids == model.item_ids
    assert "with/slash" in model.item_ids


def test_it_knows_where_its_items_are(model):
    assert [model.index_of(item_id) for item_id in model.item_ids] == list(range(len(model.item_ids)))
    assert model.index_of("unheard of") is None


def test_it_is_stored_without_pickle(model):
    assert b"pickle" not in model.save()
    assert b"'descr': '|O'" not in model.save()


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda _: b"junk", lambda data: data[: len(data) // 2]])
def test_bytes_that_are_no_model_are_refused_by_name(model, spoil):
    with pytest.raises(Undecodable):
        type(model).load(spoil(model.save()))


def test_another_kind_of_model_is_refused_by_name(model, others):
    for other in others:
        with pytest.raises(Undecodable):
            type(model).load(other.save())
