"""The production engine agrees with the reference, whatever is done to it, over each store and each way in."""

from __future__ import annotations

import pytest

from tests.budget import length
from tests.model.machine import run_histories
from tests.model.site import Kind

# Seconds of a history are those of its starts of processes: the applications of HTTP take the longest to compose.
SHARES: dict[Kind, int] = {"simulated": 1, "sqlite": 2, "http": 4}


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", SHARES)
def test_engine_and_reference_agree(kind: Kind) -> None:
    count = length("model_history_count") // SHARES[kind]
    assert count <= run_histories(kind, count, is_shrunk=False)  # raises at the first difference
