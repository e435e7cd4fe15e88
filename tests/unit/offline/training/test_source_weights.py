import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.source_weights import CURVES, Revisits, SourceWeight, SourceWeights
from models.structures.arrays import pack
from offline.training.blending.source_weights import TOTAL, SourceChoice, learn
from schemas.errors import Undecodable

SOURCES = ("good", "noise", "silent")


def choices(count, interactions=5, seed=0):
    """People who take what ``good`` scores highest, three times out of four; ``noise`` knows nothing."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        scores = random.random((20, 3)).astype(np.float32)
        scores[:, 2] = 0.0
        chosen = int(scores[:, 0].argmax()) if random.random() < 0.75 else int(random.integers(20))
        found.append(SourceChoice(scores, chosen, interactions, f"p{number}"))
    return found


def test_a_source_that_foresees_choices_outweighs_one_that_knows_nothing():
    found = learn(choices(300), SOURCES).of(5)
    assert sum(found["good"]) > 5 * sum(found["noise"])


def test_of_a_source_that_proposed_nothing_no_weight_is_learned():
    assert "silent" not in learn(choices(300), SOURCES).sources


def test_weights_are_never_below_nothing_and_have_a_fixed_sum():
    found = learn(choices(200), SOURCES)
    assert (found.weights >= 0).all()
    assert found.weights.sum(axis=(1, 2)) == pytest.approx(TOTAL, rel=1e-5)


def test_too_few_choices_teach_nothing():
    assert learn(choices(20), SOURCES) is None


def test_people_of_another_segment_have_weights_of_their_own():
    newcomers = [each._replace(interactions=1) for each in choices(200, seed=1)]
    others = [
        each._replace(scores=each.scores[:, [1, 0, 2]], interactions=100) for each in choices(200, seed=2)
    ]  # for these it is ``noise`` that knows
    found = learn([*newcomers, *others], SOURCES)
    assert sum(found.of(1)["good"]) > sum(found.of(1)["noise"])
    assert sum(found.of(100)["noise"]) > sum(found.of(100)["good"])


@given(st.lists(st.integers(1, 100), max_size=4, unique=True), st.integers(0, 200), st.sampled_from(Revisits))
def test_weights_are_read_back_as_they_were_and_segments_begin_at_their_edges(edges, interactions, revisits):
    edges = sorted(edges)
    weights = np.arange(8 * (len(edges) + 1), dtype=np.float32).reshape(-1, 2, CURVES)
    value = SourceWeights(("a", "b"), np.array(edges), weights, revisits)
    again = SourceWeights.load(value.save())
    assert again.save() == value.save()
    assert again.revisits == revisits
    segment = sum(edge <= interactions for edge in edges)
    assert again.of(interactions)["b"] == SourceWeight(*weights[segment, 1].tolist())


def test_weights_of_an_earlier_release_are_refused_with_what_to_do():
    with pytest.raises(Undecodable, match="train anew"):
        SourceWeights.load(pack(SourceWeights.kind, {"edges": np.array([3]), "linear": np.zeros((2, 1))}))


def test_a_curve_is_learned_where_only_the_highest_scores_tell():
    """Whoever is offered an item of a score near 1 takes it; below that a score says nothing."""
    random = np.random.default_rng(3)
    found = []
    for _ in range(400):
        scores = random.uniform(0.05, 0.7, (20, 1)).astype(np.float32)
        chosen = int(random.integers(20))
        if random.random() < 0.8:
            scores[chosen] = 0.95
        found.append(SourceChoice(scores, chosen, 5, "ann"))
    weight = learn(found, ("good",)).of(5)["good"]
    assert weight.cube > 10 * (weight.root + weight.logarithm)


def expected(_):
    return {"good": SourceWeight(1.0), "noise": SourceWeight(3.0), "silent": SourceWeight(9.0)}


def as_expected(count, seed=0):
    """Choices drawn as ``expected`` has it."""
    random = np.random.default_rng(seed)
    found = []
    for each in choices(count, seed=seed):
        drawn = np.exp(each.scores @ [3.0, 9.0, 0.0])
        found.append(each._replace(chosen=int(random.choice(drawn.size, p=drawn / drawn.sum()))))
    return found


def leaning(found):
    return sum(found.of(5)["good"]) / sum(found.of(5)["noise"])


def test_what_is_expected_of_sources_holds_as_it_is_where_choices_are_as_it_says():
    found = learn(as_expected(60), SOURCES, expected, revisits=Revisits.EARLIER)
    assert found.of(5) == {}
    assert found.revisits is Revisits.EARLIER
    assert SourceWeights.load(found.save()).of(5) == {}


def test_what_is_expected_of_sources_counts_in_part_where_choices_say_a_little_against_it():
    some = [*as_expected(60), *choices(20, seed=1)]
    assert 1 / 3 < leaning(learn(some, SOURCES, expected)) < leaning(learn(some, SOURCES))


def test_choices_that_speak_clearly_overrule_what_was_expected():
    found = choices(400)
    assert leaning(learn(found, SOURCES, expected)) > 0.5 * leaning(learn(found, SOURCES)) > 2


def test_what_explains_no_choice_is_expected_in_vain():
    """Its weights are made as flat as the choices ask for, and then say nothing of what is chosen."""
    assert leaning(learn(choices(300), SOURCES, lambda _: {"noise": SourceWeight(1.0)})) > 5


def test_many_choices_of_one_person_overrule_less_than_those_of_many_people():
    found = choices(400)
    of_one = [each._replace(person="ann") for each in found]
    assert learn(of_one, SOURCES, expected).of(5) == {}
    assert leaning(learn(found, SOURCES, expected)) > 1
