"""What a histogram of the private server says about a share of what it observed."""

from __future__ import annotations

import re
from collections.abc import Mapping

Buckets = list[tuple[float, float]]  # upper bound, and how many lie at or below it; in order, the last bound infinite


def read_buckets(samples: Mapping[str, float], name: str) -> Buckets:
    """Find the buckets of a histogram without labels among samples."""
    shape = re.compile(rf'{name}_bucket{{le="([^"]+)"}}')
    found = [(float(match.group(1)), count) for sample, count in samples.items() if (match := shape.fullmatch(sample))]
    return sorted(found)


def quantile(buckets: Buckets, share: float) -> float:
    """Give the value below which this share lies, evenly within its bucket; infinite in the last bucket.

    Raises:
        ValueError: nothing was observed.
    """
    if not buckets or not buckets[-1][1]:
        raise ValueError("nothing was observed")
    wanted = share * buckets[-1][1]
    low, count_before = 0.0, 0.0
    for high, count in buckets:
        if count >= wanted:
            is_last = high == float("inf")
            return high if is_last else low + (high - low) * (wanted - count_before) / (count - count_before)
        low, count_before = high, count
    raise ValueError("the last bucket has all")
