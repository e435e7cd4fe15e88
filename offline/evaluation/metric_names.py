"""Names of manifest metrics that several modules write or read."""

from typing import Final

BASELINE: Final = "popularity "
"""Prefix of a metric of the popularity baseline on the same hold-out."""
LEARNED: Final = "training "
"""Prefix of a metric on items that the model was trained on. It gives the train–validation gap."""
EVALUATED_USERS: Final = "people"
"""Number of users over which the other metrics are averaged. ``people[new]`` is their number in a segment."""
COVERAGE: Final = "coverage@10"
"""Share of the items that are on at least one list of ten."""
