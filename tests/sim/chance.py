"""The one source of chance here: generators that a seed fixes."""

from __future__ import annotations

import math

from flow_automation.testing.chance import Random, derived

__all__ = ["Random", "derived", "pick_seconds"]


def pick_seconds(rng: Random, low_s: float, high_s: float) -> float:
    """Draw a duration whose logarithm is even between the two: short ones are as likely as long ones."""
    return math.exp(rng.uniform(math.log(low_s), math.log(high_s)))
