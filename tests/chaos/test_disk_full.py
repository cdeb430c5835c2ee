"""A disk that is full for a while: refused with reasons, read all the same, resumed without a loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.disk_full import observe, show


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["tmpfs", "vfs"])
def test_full_disk_refuses_new_work_and_loses_none_of_the_old(tmp_path: Path, kind: str) -> None:
    assert show(observe(tmp_path, kind))
