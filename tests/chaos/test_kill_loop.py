"""60 kills of a real engine over 2 000 instances: nothing is lost, nothing happens twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budget import length
from tests.chaos.kill_loop import run_kill_loop, show


@pytest.mark.timeout(1200)
def test_kills_at_any_moment_lose_nothing_and_double_nothing(tmp_path: Path, seed: int) -> None:
    tally, findings = run_kill_loop(
        tmp_path, seed=seed, kill_count=length("kill_count"), instance_count=length("kill_instance_count")
    )

    assert show(tally, findings, seed=seed)
