"""Journals that earlier releases wrote fold to the same bytes as they did then, and break no invariant."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from core.engine.invariants import InstanceAudit, sentences
from core.engine.journal import encode_events, encode_frame
from core.engine.trace.file import read_trace, write_trace
from core.engine.trace.playback import Playback
from tests.golden_journals import FOLDER, SCENARIOS

FILES = sorted(FOLDER.glob("*.flowtrace"))
# Of the state that each journal folds to: all frames in the order of their opening. A line is written once, with its file.
STATES = {
    "called": "7b8a0768cc06cbaebe3ed7bd1cf46262de489fbf3293e413c8e012369ebfb2c8",
    "calling": "9eb2f5886ef6396212de5f21666bca5742d2769be444df8cc2ebd6bb35e07744",
    "chain": "605b43992ef983b9370a14a689a72ca498491e4a4e5c21b82f24c6d613ac43b9",
    "containers": "3a6aaa3e145b653844a2a1e200d9732d29ca426c445c9d54b65ed190e737f41a",
    "failing": "4c42f80fdcdbfff15c67b3f4057d5f9796d498d931835e41e80efaf48811bec4",
}


HEADER_FIELDS_COUNT = 26  # of the release that wrote the journals; what later ones appended must be at its default


def as_then(body: bytes) -> bytes:
    """Leave out of a frame's row what later releases appended to its header."""
    row = msgspec.msgpack.decode(body)
    if row[1] is not None:
        assert [] == [value for value in row[1][HEADER_FIELDS_COUNT:] if value is not None]
        del row[1][HEADER_FIELDS_COUNT:]
    return msgspec.msgpack.encode(row)


def state_hash(file: Path) -> str:
    """Give the hash of every frame and the header after the last row."""
    playback = Playback(read_trace(file.read_bytes()))
    folded = playback.folded(playback.seq)
    digest = hashlib.sha256()
    for frame in folded.frames.values():
        digest.update(as_then(encode_frame(folded.header if frame.path == "" else None, frame)))
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
