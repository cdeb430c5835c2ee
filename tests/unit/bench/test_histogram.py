"""What is read from a histogram of the private server."""

from __future__ import annotations

import pytest

from tests.load.histogram import quantile, read_buckets

INFINITE = float("inf")


def test_buckets_of_one_histogram_are_found_in_order() -> None:
    samples = {
        'flow_a_seconds_bucket{le="+Inf"}': 4.0,
        'flow_a_seconds_bucket{le="0.01"}': 1.0,
        'flow_b_seconds_bucket{le="0.01"}': 9.0,
        "flow_a_seconds_count": 4.0,
    }

    assert [(0.01, 1.0), (INFINITE, 4.0)] == read_buckets(samples, "flow_a_seconds")


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        ([(0.01, 50.0), (0.02, 100.0), (INFINITE, 100.0)], 0.5, 0.01),
        ([(0.01, 50.0), (0.02, 100.0), (INFINITE, 100.0)], 0.75, 0.015),
        ([(0.01, 0.0), (0.02, 100.0), (INFINITE, 100.0)], 0.5, 0.015),
        ([(0.01, 50.0), (INFINITE, 100.0)], 0.99, INFINITE),
    ],
    ids=["at-a-bound", "within", "after-an-empty-one", "beyond-the-last"],
)
def test_share_of_a_histogram_lies_evenly_within_its_bucket(
    buckets: list[tuple[float, float]], share: float, expected: float
) -> None:
    assert expected == pytest.approx(quantile(buckets, share))


def test_histogram_of_nothing_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="nothing was observed"):
        quantile([(0.01, 0.0), (INFINITE, 0.0)], 0.5)
