"""What several anchors lead to: each item's strongest anchor, found for those that are shown alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.scene import Leads, runs, strongest_lead

ENTRIES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 8), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30
)


@given(ENTRIES, st.data())
def test_an_item_is_led_to_by_the_anchor_that_gave_it_most_of_several_the_last(entries, data):
    anchors, items, scores = zip(*entries, strict=True)
    leads = Leads(np.array(anchors, np.int32), np.array(items, np.int32), np.array(scores, np.float32))
    given_most = {item: max((s, at) for at, (_, i, s) in enumerate(entries) if i == item)[1] for item in items}
    shown = data.draw(st.lists(st.sampled_from(items), unique=True, min_size=1))
    by_item = runs(leads, np.arange(len(entries)))
    assert strongest_lead(leads, by_item, np.array(shown, np.int32)).tolist() == [
        anchors[given_most[item]] for item in shown
    ]
