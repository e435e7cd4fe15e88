"""The weight of an event type in training: one number, or steps by the event's value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from schemas.errors import ConfigurationInvalid


class WeightStep(NamedTuple):
    """The weight of events whose value is at least ``at_least``, and below that of the next step."""

    at_least: float
    weight: float


Weight = float | tuple[WeightStep, ...]


def parse_weights(text: str) -> dict[str, Weight]:
    """Read ``view=1,purchase=5,dwell=0:0.5/3600:1``; raises ConfigurationInvalid for another form.

    A weight of 0 leaves the type out. Steps are ``value:weight``, by rising values, with slashes between them.
    """
    weights: dict[str, Weight] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, weight = (piece.strip() for piece in part.partition("="))
        try:
            weights[kind] = _weight(weight)
        except ValueError as error:
            raise ConfigurationInvalid(
                f"'{part}' is no weight of a type: write --weights view=1,purchase=5, or steps by the event's value "
                "such as rating=3:1/4:3/5:5"
            ) from error
    return weights


def _weight(text: str) -> Weight:
    if ":" not in text:
        return _number(text)
    steps = tuple(WeightStep(*map(_number, step.split(":", 1))) for step in text.split("/"))
    if any(before.at_least >= after.at_least for before, after in pairwise(steps)):
        raise ValueError(text)
    return steps


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def describe(weights: Mapping[str, Weight]) -> str:
    """The weights as ``parse_weights`` reads them."""
    return ",".join(f"{kind}={_weight_text(weight)}" for kind, weight in weights.items())


def _weight_text(weight: Weight) -> str:
    if not isinstance(weight, tuple):
        return f"{weight:g}"
    return "/".join(f"{step.at_least:g}:{step.weight:g}" for step in weight)
