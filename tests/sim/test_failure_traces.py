"""A seed that fails writes trace files and names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine.trace.file import read_trace
from core.engine.trace.playback import Playback
from tests.sim import traces, world
from tests.sim.watch import InvariantBrokenError, Watch


def test_failing_seed_writes_a_trace_that_plays_up_to_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "write_traces", lambda broken, told: traces.write_traces(broken, told, tmp_path))
    read = Watch._read_line

    def break_late(self: Watch, line: object) -> None:
        read(self, line)  # type: ignore[arg-type] # a journal row
        if self.journal_rows == 60:
            raise InvariantBrokenError(f"I0 {line.instance_id} seq 1: planted")  # type: ignore[attr-defined] # as above

    monkeypatch.setattr(Watch, "_read_line", break_late)
    with pytest.raises(InvariantBrokenError, match="planted") as raised:
        world.run_seed(4)
    [note] = raised.value.__notes__
    playback = Playback(read_trace(Path(note.removeprefix("flow replay ")).read_bytes()))

    assert playback.seq > 0
    assert "4" == playback.trace.notes["seed"]
    assert "planted" in playback.trace.notes["failure"]
    assert playback.stand(playback.seq).tasks
