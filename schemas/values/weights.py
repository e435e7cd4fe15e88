"""The weight of an event type in training: one number, or steps by the event's value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from schemas.errors import ConfigurationInvalid


class WeightStep(NamedTuple):
    """The weight of events whose value is at least ``at_least`` and less than that of the next step."""

    at_least: float
    weight: float


Weight = float | tuple[WeightStep, ...]


def parse_weights(text: str) -> dict[str, Weight]:
    """Reads ``view=1,purchase=5,dwell=0:0.5/3600:1``; raises ConfigurationInvalid for another form.

    A weight of 0 leaves the type out. Steps are ``value:weight``, by rising values, with slashes between them.
    """
    weights: dict[str, Weight] = {}
    for assignment in filter(None, (assignment.strip() for assignment in text.split(","))):
        kind, _, weight = (side.strip() for side in assignment.partition("="))
        try:
            weights[kind] = _weight(weight)
        except ValueError as error:
            raise ConfigurationInvalid(
                f"'{assignment}' is no weight of a type: write --weights view=1,purchase=5, or steps by the event's value "
                "such as rating=3:1/4:3/5:5"
            ) from error
    return weights


def _weight(text: str) -> Weight:
    if ":" not in text:
        return _number(text)
    steps = tuple(WeightStep(*map(_number, step.split(":", 1))) for step in text.split("/"))
    if any(step.at_least >= next_step.at_least for step, next_step in pairwise(steps)):
        raise ValueError(text)
    return steps


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def describe(weights: Mapping[str, Weight]) -> str:
    """The text that ``parse_weights`` reads as these weights."""
    return ",".join(f"{kind}={_weight_text(weight)}" for kind, weight in weights.items())


def _weight_text(weight: Weight) -> str:
    if not isinstance(weight, tuple):
        return f"{weight:g}"
    return "/".join(f"{step.at_least:g}:{step.weight:g}" for step in weight)
