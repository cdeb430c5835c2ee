"""The wall clock jumps three days ahead, an hour back and more: nothing starves, nothing storms, nothing happens twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.clock_jumps import run_clock_jumps, show


@pytest.mark.timeout(600)
def test_jumps_of_the_wall_clock_neither_starve_nor_repeat_anything(tmp_path: Path) -> None:
    assert show(run_clock_jumps(tmp_path))
