"""Maximal marginal relevance against a plain reading of its formula, and caps."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.ranking.defaults import default_config
from serving.ranking.diversity import mmr

NOW = 1_795_428_000.0  # 2026-11-23T10:00Z, as in conftest


def ids(ranked):
    return [item.item_id for item in ranked.items]


def plain_mmr(scores, rows, count, diversity):
    """Word by word: argmax over what is left of λ·score - (1 - λ)·the greatest likeness to what was chosen."""
    taken = []
    while len(taken) < min(count, len(scores)):
        left = [i for i in range(len(scores)) if i not in taken]
        alike = {i: max([0.0, *(float(rows[i] @ rows[j]) for j in taken)]) for i in left}
        relevant = 1.0 if not taken else 1.0 - diversity
        taken.append(max(left, key=lambda i: relevant * scores[i] / max(scores) - (1 - relevant) * alike[i]))
    return taken


@given(seed=st.integers(0, 10_000), size=st.integers(1, 12), count=st.integers(1, 14), diversity=st.floats(0, 1))
def test_mmr_chooses_as_its_formula_says(seed, size, count, diversity):
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.random(size).astype(np.float32) + 0.1)[::-1]
    rows = rng.standard_normal((size, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert mmr(scores, rows, count, diversity).tolist() == plain_mmr(scores, rows, count, diversity)


def test_more_diversity_makes_a_list_less_alike(trained, remember, say, category):
    value = remember(say("like", 1), say("view", 2))
    kinds = [
        len({category(each) for each in ids(trained.ask(value, user_id="ann", count=6, diversity=knob))})
        for knob in (0.0, 0.5, 1.0)
    ]
    assert kinds == sorted(kinds)
    assert kinds[0] < kinds[-1] == 6


def test_categories_stand_in_where_there_are_no_factors(world, say, category):
    world.happen(*(say("like", n, NOW - 60, user_id=f"u{n}-{k}") for n in range(0, 60, 6) for k in range(9)))
    world.happen(*(say("like", n, NOW - 60, user_id=f"v{n}") for n in range(1, 6)), partition=1)
    assert {category(each) for each in ids(world.ask(count=6))} == {"puzzle"}
    assert len({category(each) for each in ids(world.ask(count=6, diversity=1.0))}) == 6


@pytest.mark.parametrize("field", ["categories", "attributes.maker"])
def test_a_cap_holds_while_there_are_others(trained, describe, remember, say, field):
    for number in range(60):
        trained.catalogue.put(describe(number, attributes={"maker": f"maker-{number % 6}"}))
    value = remember(say("like", 1), say("like", 2))
    free = Counter(int(each.rpartition("-")[2]) % 6 for each in ids(trained.ask(value, user_id="ann", count=12)))
    trained.config = default_config(caps={field: 3})
    held = Counter(int(each.rpartition("-")[2]) % 6 for each in ids(trained.ask(value, user_id="ann", count=12)))
    assert max(free.values()) > 3 >= max(held.values())
    assert len(trained.ask(value, user_id="ann", count=50).items) == 50
