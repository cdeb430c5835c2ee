"""The engine keeps its pace beside programs that do their worst (security.md S-21)."""

from __future__ import annotations

import pytest

from tests.contract.runner.neighbours import measure


@pytest.mark.timed
@pytest.mark.timeout(900)
async def test_the_engine_keeps_its_pace_beside_bombs() -> None:
    assert await measure()
