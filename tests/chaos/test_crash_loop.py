"""The engine ends like a power cut at every named point: nothing is lost, nothing happens twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from mock_server.ledger import read_ledger
from tests.budget import length
from tests.chaos.crash_loop import run_crash_loop, show
from tests.chaos.evidence import StoreFile, examine


@pytest.mark.timeout(3600)
def test_crash_at_each_named_point_loses_nothing_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    repeats = length("crash_point_repeat_count")
    loop, findings = run_crash_loop(tmp_path, seed=seed, repeats=repeats)

    assert show(loop, findings, seed=seed, repeats=repeats)

    # The same comparison sees a start that is not there and a call that was made twice.
    assert loop.engine is not None
    assert loop.load is not None
    ledger = read_ledger(loop.target.ledger_path)
    with StoreFile(loop.engine.store_path) as store:
        forged = examine(store, [*ledger, ledger[-1]], loop.load.acked | {"start-x": "01M8MW3FNCG1909PDAW13WMW0H"})
    assert (1, 1) == (forged.lost, forged.doubled)
