"""Every figure of load holds; each alone on the machine, for what it measures is time or memory."""

from __future__ import annotations

import pytest

from tests.load.measures import MEASURES


@pytest.mark.timed
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MEASURES)
def test_figure_of_load_holds(name: str) -> None:
    assert MEASURES[name]()
