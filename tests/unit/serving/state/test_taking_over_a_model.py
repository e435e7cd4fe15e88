"""A new model version is bound to the catalogue beside the event loop, which only swaps it in."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from models.structures.prepared import prepare, prepared
from schemas.erasures import ErasureHint
from serving.state import catalogue_access, model_bundle
from serving.state.catalogue import Catalogue
from serving.state.catalogue_access import CatalogueFromThread


@pytest.fixture
def unbound(trained):
    """A version as it is loaded, before it is bound."""
    return replace(trained.models, als_items=np.empty(0, np.int32), popularity_items=np.empty(0, np.int32))


async def test_a_version_that_is_bound_from_a_thread_equals_one_bound_at_once(unbound):
    elsewhere, here = Catalogue(), Catalogue()
    for catalogue in (elsewhere, here):
        catalogue.ensure("item-59")
    access = CatalogueFromThread(elsewhere, asyncio.get_running_loop())
    bound = await asyncio.to_thread(model_bundle.bind, unbound, access)
    expected = model_bundle.bind(unbound, here)
    assert elsewhere.ids == here.ids
    for name in ("als_items", "als_rows", "popularity_items"):
        np.testing.assert_array_equal(getattr(bound, name), getattr(expected, name))
    np.testing.assert_array_equal(bound.popular.items, expected.popular.items)
    assert bound.popular.items.size == len(unbound.popularity.item_ids)


async def test_the_loop_adds_missing_items_a_slice_at_a_time(monkeypatch):
    monkeypatch.setattr(catalogue_access, "SLICE", 10)
    catalogue, slices = Catalogue(), []
    ensure_all = catalogue.ensure_all

    def counted(item_ids):
        slices.append((len(item_ids), threading.current_thread() is threading.main_thread()))
        return ensure_all(item_ids)

    monkeypatch.setattr(catalogue, "ensure_all", counted)
    access = CatalogueFromThread(catalogue, asyncio.get_running_loop())
    positions = await asyncio.to_thread(access.ensure_all, [f"item-{number}" for number in range(35)])
    assert positions.tolist() == list(range(35))
    assert slices == [(10, True), (10, True), (10, True), (5, True)]
    slices.clear()
    await asyncio.to_thread(access.ensure_all, ["item-3", "item-4"])
    assert slices == []


def test_without_its_loop_the_catalogue_is_not_waited_for():
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(TimeoutError):
        CatalogueFromThread(Catalogue(), loop).ensure_all(["item-1"])


async def test_a_service_binds_a_new_version_on_another_thread(shop, monkeypatch):
    bound_by, bind = [], model_bundle.bind

    def watched(*parts):
        bound_by.append(threading.current_thread())
        return bind(*parts)

    monkeypatch.setattr(model_bundle, "bind", watched)
    shop.models.publish("v1")
    async with shop.running() as service:
        shop.models.publish("v2")
        await asyncio.sleep(0.3)
        assert service.state.models.version == "v2"
    assert len(bound_by) == 2
    assert threading.main_thread() not in bound_by


def test_what_requests_would_make_first_is_made_by_binding(unbound, world):
    loaded = replace(unbound, als=replace(unbound.als), popularity=replace(unbound.popularity))
    assert not {"_items", "_gram"} & vars(loaded.als).keys()
    model_bundle.bind(loaded, world.catalogue)
    assert {"_items", "_users", "_gram", "_by_dimension"} <= vars(loaded.als).keys()


def test_models_within_models_are_prepared_too():

    class Inner:
        @prepared
        def made(self):
            return "made"

        def save(self): ...

    class Outer(Inner):
        def __init__(self):
            self.inner, self.other = Inner(), SimpleNamespace()

    outer = Outer()
    prepare(outer)
    assert vars(outer)["made"] == vars(outer.inner)["made"] == "made"


async def test_a_version_whose_values_have_changed_is_loaded_again_at_once(shop):
    shop.models.publish("v1")
    async with shop.running() as service:
        service._model_sync._seconds = 3_600.0
        await asyncio.sleep(0.3)
        loaded = asyncio.Event()
        service.notifications.model_changed = lambda _: loaded.set()
        service._drop_erased([ErasureHint(0, 1, ("v1",))])
        await asyncio.wait_for(loaded.wait(), 10)
        assert service.state.models.version == "v1"
