"""Each loop in machine code gives what a few plain lines of Python or NumPy give."""

import inspect
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.source_weights import curves
from serving.arrays import kernels

FLOAT = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.5 + 1e-9, 1.0, 3.0])
ENTRIES = st.lists(st.tuples(st.integers(0, 8), FLOAT), max_size=40)
TIES = np.array([each * 2_654_435_761 % 2**32 for each in range(64)], np.uint32)


def ints(values):
    return np.array(list(values), np.int32)


def floats(values):
    return np.array(list(values), np.float32)


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.5 + 1e-9, 1.0, np.inf, -np.inf, np.nan]), max_size=40),
    st.lists(st.booleans(), min_size=64, max_size=64),
    st.integers(-1, 45),
    st.sampled_from([-np.inf, 0.0, 0.3]),
    st.randoms(),
)
def test_the_best_allowed_are_those_that_a_whole_sort_puts_first(scores, allowed, count, above, random):
    items = random.sample(range(64), len(scores))
    fit = [at for at, score in enumerate(scores) if np.isfinite(score) and score > above and allowed[items[at]]]
    whole = sorted(fit, key=lambda at: (-round(scores[at], 6), TIES[items[at]]))
    found = kernels.best_allowed(floats(scores), ints(items), np.array(allowed), TIES, count, above)
    assert found.tolist() == whole[: max(0, count)]


@given(st.lists(st.integers(0, 30), max_size=30), st.lists(st.booleans(), min_size=31, max_size=31), st.integers(-1, 9))
def test_the_first_allowed_come_in_their_order(items, allowed, count):
    whole = [at for at, item in enumerate(items) if allowed[item]]
    assert kernels.first_allowed(ints(items), np.array(allowed), count).tolist() == whole[: max(0, count)]


@given(
    st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 2.0]), max_size=30),
    st.integers(1, 9),
    st.sampled_from([1.0, 1.5625]),
    st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_no_factor_brings_one_to_the_front_that_is_not_near_it(scores, count, apart, up):
    near = set(kernels.near_best(floats(scores), count, apart).tolist())
    moved = [
        score * (np.sqrt(apart) if raised else 1 / np.sqrt(apart)) for score, raised in zip(scores, up, strict=False)
    ]
    least = sorted(moved, reverse=True)[:count][-1] if moved else 0.0
    assert {at for at, score in enumerate(moved) if score > least + 1e-6} <= near
    assert len(near) >= min(count, len(scores))


@given(st.lists(st.integers(0, 2**31 - 1), max_size=40))
def test_entries_are_numbered_as_first_met(entries):
    distinct, which = kernels.numbered(ints(entries))
    assert distinct.tolist() == list(dict.fromkeys(entries))
    assert distinct[which].tolist() == entries


@given(
    st.lists(st.tuples(st.sampled_from([0.25, 1.0, 2.0]), ENTRIES), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=9, max_size=9),
    st.integers(1, 12),
)
def test_scores_of_seeds_are_summed_by_item_with_the_strongest_seed_the_last_of_equal_ones(leads, allowed, count):
    sums, most = Counter(), {}
    for anchor, (weight, entries) in enumerate(leads):
        for item, score in entries:
            if allowed[item]:
                sums[item] += weight * score
                most[item] = max(most.get(item, (-1.0, -1)), (float(np.float32(weight * score)), anchor))
    items, found, leading = kernels.sum_by_item(
        ints(item for _, entries in leads for item, _ in entries),
        floats(score for _, entries in leads for _, score in entries),
        np.array([len(entries) for _, entries in leads]),
        ints(range(len(leads))),
        floats(weight for weight, _ in leads),
        np.array(allowed),
        TIES,
        count,
    )
    best = sorted(sums, key=lambda item: (-round(sums[item], 6), TIES[item]))[:count]
    assert sorted(items.tolist()) == sorted(best)
    assert dict(zip(items.tolist(), found.tolist(), strict=True)) == pytest.approx({each: sums[each] for each in best})
    assert dict(zip(items.tolist(), leading.tolist(), strict=True)) == {each: most[each][1] for each in best}


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=4, max_size=4),
            st.lists(st.floats(0, 1, width=32), max_size=9),
        ),
        max_size=4,
    )
)
def test_scores_are_weighed_by_their_sources_curves(sources):
    weights = floats(each for each, _ in sources).reshape(-1, 4)
    scores = floats(each for _, own in sources for each in own)
    found = kernels.weighed(scores, np.array([len(own) for _, own in sources], np.int64), weights)
    expected = [np.array(each) @ curves(floats(own)).astype(float) for each, own in sources if own]
    np.testing.assert_allclose(found, np.concatenate([[], *expected]), rtol=1e-5, atol=1e-6)


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 63), max_size=9))
def test_noise_is_splitmix64_of_hash_and_seed(seed, items):
    def drawn(x: int) -> float:
        x = x * 0x9E3779B97F4A7C15 % 2**64
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return ((x ^ x >> 31) >> 40) / 2**23 - 1.0

    expected = [1.0 + 0.1 * drawn((int(TIES[at]) + seed) % 2**64) for at in items]
    np.testing.assert_allclose(kernels.noise(TIES, ints(items), seed, 0.1), expected, rtol=1e-6)


@given(
    st.lists(st.dictionaries(st.integers(0, 9), FLOAT, max_size=10), max_size=4),
    st.lists(st.integers(0, 9), unique=True),
)
def test_a_table_holds_each_proposal_at_its_source_and_candidate(sources, among):
    found, places = kernels.table(
        floats(value for own in sources for value in own.values()),
        ints(at for own in sources for at in own),
        np.array([len(own) for own in sources], np.int64),
        np.array(among, np.int64),
        10,
    )
    assert found.tolist() == [[pytest.approx(own.get(at, 0.0)) for at in among] for own in sources]
    assert places.tolist() == [[list(own).index(at) if at in own else -1 for at in among] for own in sources]


@given(
    st.integers(1, 5).flatmap(
        lambda rows: st.lists(
            st.lists(st.sampled_from([0.0, 0.001, 0.25, 0.5, 2.0]), min_size=rows, max_size=rows).filter(any),
            min_size=1,
            max_size=6,
        )
    ),
    st.randoms(),
)
def test_largest_shares_come_by_column_and_fall(columns, random):
    chosen = random.sample(range(len(columns)), len(columns))
    rows, places, shares = kernels.largest_shares(np.ascontiguousarray(floats(columns).T), ints(chosen), 0.01)
    found = list(zip(places.tolist(), rows.tolist(), shares.tolist(), strict=True))
    expected = []
    for place, column in enumerate(chosen):
        whole = sum(columns[column])
        told = [(value / whole, row) for row, value in enumerate(columns[column]) if value / whole >= 0.01]
        expected += [(place, row, round(share, 4)) for share, row in sorted(told, key=lambda each: (-each[0], each[1]))]
    assert [each[:2] for each in found] == [each[:2] for each in expected]
    assert [each[2] for each in found] == pytest.approx([each[2] for each in expected], abs=1.1e-4)


@given(
    st.lists(st.lists(st.integers(0, 400), min_size=3, max_size=3), min_size=1, max_size=5),
    st.lists(st.integers(0, 6), max_size=8),
    st.sampled_from([1.25, np.inf]),
)
def test_click_through_is_answers_over_expected_impressions_drawn_to_the_average(shown, items, most):
    shown, examined = np.array(shown, float), np.array([1.0, 0.5, 0.25])
    answered = 0.5 * shown.sum(axis=1)
    found = kernels.click_through(shown, answered, examined, ints(items), 0.5, 0.2, 20.0, most)
    for at, value in zip(items, found.tolist(), strict=True):
        expected = 0.5 * float(shown[at] @ examined) if at < len(shown) else 0.0
        rate = (0.5 * answered[at] + 20.0 * 0.2) / (expected + 20.0) / 0.2 if expected >= 20.0 else 1.0
        assert value == pytest.approx(min(max(rate, 1.0 / most), most), rel=1e-6)


@st.composite
def matrices(draw):
    """A sparse square matrix as a table and as rows, and weighed rows of it."""
    rows = draw(
        st.lists(st.dictionaries(st.integers(0, 6), st.sampled_from([-0.5, 0.25, 1.0])), min_size=7, max_size=7)
    )
    table = np.zeros((7, 7), np.float32)
    for at, row in enumerate(rows):
        table[at, list(row)] = list(row.values())
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    columns = [sorted(row) for row in rows]
    indices = ints(each for row in columns for each in row)
    values = floats(row[each] for row, own in zip(rows, columns, strict=True) for each in own)
    request = draw(st.lists(st.tuples(st.integers(0, len(rows) - 1), st.sampled_from([0.5, 2.0])), max_size=6))
    return (
        table,
        (indptr, indices, values),
        np.array([at for at, _ in request], np.int64),
        floats(w for _, w in request),
    )


@given(matrices())
def test_rows_are_summed_where_anything_stands(matrix):
    table, stored, rows, weights = matrix
    columns, sums = kernels.summed_rows(*stored, rows, weights)
    assert sorted(columns.tolist()) == np.flatnonzero((table[rows] != 0).any(axis=0)).tolist()
    np.testing.assert_allclose(sums, (weights @ table[rows])[columns], atol=1e-6)


@given(matrices(), st.lists(st.integers(0, 6), unique=True))
def test_rows_are_read_at_some_columns(matrix, among):
    table, stored, rows, weights = matrix
    found = kernels.weighed_columns(*stored, rows, weights, ints(among))
    np.testing.assert_allclose(found, (weights[:, None] * table[rows])[:, among], atol=1e-6)


def test_an_invalid_index_is_an_error_as_in_numpy_and_not_some_other_memory():
    with pytest.raises(IndexError):
        kernels.first_allowed(ints([1, 64]), np.ones(64, bool), 2)


def test_what_is_prepared_takes_no_other_types_so_that_nothing_is_compiled_while_an_answer_waits():
    with pytest.raises(TypeError, match="No matching definition"):
        kernels.first_allowed(np.arange(3), np.ones(3, bool), 2)


def test_equal_scores_go_by_their_ties_however_great_they_are():
    ties = np.arange(30, dtype=np.uint32)[::-1].copy()
    assert kernels.top_k(np.full(30, 253_402_214_400.0), ties, 3, -np.inf).tolist() == [29, 28, 27]


CALL = "print({name}.first_allowed(np.array([2, 1], np.int32), np.ones(3, bool), 1))"


def run(name, place, home):
    """Call one kernel of a copy of the module in a process of its own."""
    places = os.pathsep.join([str(place), str(Path(kernels.__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": places, "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    code = f"import numpy as np, {name}; " + CALL.format(name=name)
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=home.parent, capture_output=True, text=True, check=False
    )


def test_kernels_are_compiled_even_if_no_cache_can_be_written(tmp_path):
    """A module in a zip file has no folder beside it, and the user's cache is a file."""
    home = tmp_path / "home"
    home.write_text("")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("packed.py", inspect.getsource(kernels))
    done = run("packed", tmp_path / "packed.zip", home)
    assert done.stdout.strip() == "[0]", done.stderr


def test_kernels_are_compiled_even_if_the_cache_is_damaged(tmp_path):
    (tmp_path / "damaged.py").write_text(inspect.getsource(kernels))
    assert run("damaged", tmp_path, tmp_path / "home").stdout.strip() == "[0]"
    kept = list((tmp_path / "__pycache__").glob("*.nb?"))
    assert {each.suffix for each in kept} == {".nbi", ".nbc"}
    for each in kept:
        each.write_bytes(each.read_bytes()[:9])
    done = run("damaged", tmp_path, tmp_path / "home")
    assert done.stdout.strip() == "[0]", done.stderr
