"""The one source of chance here: generators that a seed fixes."""

from __future__ import annotations

import math
from random import Random  # noqa: TID251 - seeded: the same seed draws the same, on every machine

__all__ = ["Random", "derived", "pick_seconds"]


def derived(seed: int, *names: object) -> Random:
    """Give a generator of its own for each name, so that one more draw here shifts nothing there."""
    return Random(f"{seed}:{':'.join(map(str, names))}")


def pick_seconds(rng: Random, low_s: float, high_s: float) -> float:
    """Draw a duration whose logarithm is even between the two: short ones are as likely as long ones."""
    return math.exp(rng.uniform(math.log(low_s), math.log(high_s)))
