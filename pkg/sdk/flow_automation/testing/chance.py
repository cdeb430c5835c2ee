"""The one source of chance of simulated runs: generators that a seed fixes."""

from __future__ import annotations

from random import Random  # noqa: TID251 - seeded: the same seed draws the same, on every machine

__all__ = ["Random", "derived"]


def derived(seed: int, *names: object) -> Random:
    """Give a generator of its own for each name, so that one more draw here shifts nothing there."""
    return Random(f"{seed}:{':'.join(map(str, names))}")  # noqa: S311 - it draws cases, no secrets
