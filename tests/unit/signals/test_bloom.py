"""Bloom filters of two generations know each recent key, and rarely take an unknown key for a known one."""

from hypothesis import given
from hypothesis import strategies as st

from signals import bloom
from signals.bloom import BITS, FULL, Bloom, add, holds, union

keys = st.lists(st.text(min_size=1, max_size=8), max_size=30)


def filled(names):
    made = Bloom()
    for name in names:
        made = add(made, name)
    return made


@given(keys)
def test_what_was_added_is_held(names):
    made = filled(names)
    assert all(holds(made, name) for name in names)
    assert len(made.newer) in {0, BITS // 8}


@given(keys, keys)
def test_a_union_holds_what_either_does(mine, theirs):
    both = union([filled(mine), filled(theirs)])
    assert all(holds(both, name) for name in mine + theirs)
    assert union([filled(mine), Bloom()]).newer == filled(mine).newer


def test_nothing_is_held_before_something_was_added():
    assert not holds(Bloom(), "a")
    assert union([]) == Bloom()


def test_the_last_of_many_are_held_and_few_that_never_were():
    made = filled(f"k{n}" for n in range(4 * FULL))
    assert all(holds(made, f"k{n}") for n in range(3 * FULL, 4 * FULL))
    assert sum(holds(made, f"k{n}") for n in range(FULL)) < 0.03 * FULL
    assert sum(holds(made, f"other{n}") for n in range(5_000)) < 0.025 * 5_000


def test_a_full_generation_has_half_of_its_bits_set():
    made = filled(f"k{n}" for n in range(FULL))
    assert made.older == b""
    assert abs(int.from_bytes(made.newer, "little").bit_count() / BITS - 0.5) < 0.02
    assert add(made, "one more").older == made.newer
    assert len(bloom.MULTIPLIERS) == 7
