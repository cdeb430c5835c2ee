"""Twenty stops under load: each in time, none of which repeats an attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budget import length
from tests.chaos.drains import run_drains, show


@pytest.mark.timeout(3600)
def test_stop_under_load_ends_in_time_and_repeats_no_attempt(tmp_path: Path, seed: int) -> None:
    tally, findings = run_drains(tmp_path, seed=seed, drain_count=length("drain_count"))

    assert show(tally, findings, seed=seed)
