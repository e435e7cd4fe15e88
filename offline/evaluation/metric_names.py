"""Names of metrics in a manifest that more than one module writes or reads."""

from typing import Final

BASELINE: Final = "popularity "
"""Prefix of a metric's name: the figure that popularity reaches on the same hold-out."""
LEARNED: Final = "training "
"""Prefix of a metric's name: the figure on items that the model was trained on, for the train–validation gap."""
PEOPLE: Final = "people"
"""How many people the other metrics were measured over; ``people[new]`` counts those of a segment."""
COVERAGE: Final = "coverage@10"
"""Share of the items that stand on anybody's list of ten."""
