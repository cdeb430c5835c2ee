"""Journals that earlier releases wrote fold to the same bytes as they did then, and break no invariant."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from core.engine.invariants import InstanceAudit, sentences
from core.engine.journal import encode_events, encode_frame
from core.engine.trace.file import read_trace, write_trace
from core.engine.trace.playback import Playback
from tests.golden_journals import FOLDER, SCENARIOS

FILES = sorted(FOLDER.glob("*.flowtrace"))
# Of the state that each journal folds to: all frames in the order of their opening. A line is written once, with its file.
STATES = {
    "chain": "475e8b70900cb9a6ab4b3d250e357080cc52d69e3bbfeb41093bccfac42aae2c",
    "containers": "13f36f6ae7d83bfe0e1b743f5abe6e53d4528420bc220c7505b015d88d065fd4",
    "failing": "975483b7ae3331ca302ca8b2676fad34a769dd0ca0d7f2d5ed866b1820d6b8e0",
}


def state_hash(file: Path) -> str:
    """Give the hash of every frame and the header after the last row."""
    playback = Playback(read_trace(file.read_bytes()))
    folded = playback.folded(playback.seq)
    digest = hashlib.sha256()
    for frame in folded.frames.values():
        digest.update(encode_frame(folded.header if frame.path == "" else None, frame))
    return digest.hexdigest()


def test_every_scenario_has_its_journal_and_every_journal_its_state() -> None:
    assert sorted(SCENARIOS) == sorted(STATES) == [file.stem for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_golden_journal_folds_to_the_same_bytes_as_ever(file: Path) -> None:
    assert STATES[file.stem] == state_hash(file)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_golden_journal_is_read_and_written_without_a_change(file: Path) -> None:
    data = file.read_bytes()
    trace = read_trace(data)

    assert [row.body for row in trace.rows] == [encode_events(row.events()) for row in trace.rows]
    assert trace == read_trace(write_trace(trace))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_golden_journal_breaks_no_invariant(file: Path) -> None:
    playback = Playback(read_trace(file.read_bytes()))
    audit = InstanceAudit(playback.plan, playback.trace.instance_id)
    found = [line for row in playback.trace.rows for line in sentences(audit.read(row.seq, row.events()))]

    assert ([], True) == (found, audit.status.is_terminal)
