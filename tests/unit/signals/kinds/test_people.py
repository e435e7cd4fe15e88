"""How many different people were at an item, up to a bound."""

from hypothesis import given
from hypothesis import strategies as st

from signals.kinds import people
from signals.kinds.people import PEOPLE, PeopleCounters

NAMES = st.lists(st.sampled_from([f"user-{number}" for number in range(12)]), max_size=40)


@given(NAMES)
def test_each_person_counts_once_however_often_they_came(partition, say, names):
    events = [say("a", seconds=float(second), user_id=name) for second, name in enumerate(names)]
    counted = partition(*events, stored=True).of("people").get("a", PeopleCounters())
    assert counted.count == len(set(names))


def test_at_most_so_many_are_counted_and_no_more_bytes_are_kept(partition, say):
    events = [say("a", seconds=float(number), user_id=f"user-{number}") for number in range(200)]
    counted = partition(*events).of("people")["a"]
    assert counted.count == PEOPLE
    assert len(counted.hashes) == 2 * PEOPLE


def test_who_was_only_shown_an_item_was_not_at_it(partition, say):
    shown = say(None, "impression", impression=["a", "b"])
    assert partition(shown).of("people") == {}


def test_a_visit_of_somebody_known_leaves_the_same_counters(partition, say):
    counted = partition(say("a")).of("people")["a"]
    [again] = [people._Visit(counted.hashes, imported=False)]
    assert people.fold(counted, [again]) is counted


def test_an_event_of_an_import_stands_for_all_its_people(partition, say):
    counted = partition(say("a", imported=True)).of("people")["a"]
    assert counted.count == PEOPLE


def test_the_people_of_all_partitions_are_added():
    assert people.merge([PeopleCounters(b"aabb"), PeopleCounters(b"aa")], {}) == 3
