"""A disk that fails under a real engine ends it, and nothing that was acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budget import length
from tests.chaos.disk_faults import run_disk_faults, show


@pytest.mark.timeout(3600)
def test_failing_disk_ends_the_engine_and_takes_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    fault_count = length("disk_fault_count")
    loop, findings = run_disk_faults(tmp_path, seed=seed, fault_count=fault_count)

    assert show(loop, findings, seed=seed, fault_count=fault_count)
