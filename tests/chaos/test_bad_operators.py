"""Services that hang, answer late, flap or answer twice: each task has one result, and its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.bad_operators import run_bad_operators, show


@pytest.mark.timeout(300)
def test_services_that_misbehave_give_each_task_one_result_of_its_own(tmp_path: Path) -> None:
    assert show(run_bad_operators(tmp_path))
