"""50 kills of a real engine under a caller who follows an instance: no transition is lost, none comes twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budget import length
from tests.chaos.stream_loop import run_stream_loop, show


@pytest.mark.timeout(600)
def test_caller_who_comes_again_after_each_kill_sees_every_transition_once(tmp_path: Path, seed: int) -> None:
    kill_count = length("stream_kill_count")
    seen, expected = run_stream_loop(tmp_path, seed=seed, kill_count=kill_count)

    assert show(seen, expected, seed=seed, kill_count=kill_count)
