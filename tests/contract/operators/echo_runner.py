"""A task runner for contracts of operators: every program gives its inputs back, and writes one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from core.ports.task_runner import Mode, Ran, RunFailed, RunLine, RunRequest, RunResult, TierOffer


class EchoRunner:
    """Keeps every request; `refused` = why a mode is not offered; `failure` is given instead of a value."""

    def __init__(self, refused: dict[Mode, str] | None = None, failure: RunFailed | None = None) -> None:
        self._refused = refused or {}
        self._failure = failure
        self.requests: list[RunRequest] = []

    @property
    def offers(self) -> Sequence[TierOffer]:
        return (TierOffer(1, is_offered=True, said="echo"),)

    def refusal(self, mode: Mode) -> str | None:
        return self._refused.get(mode)

    async def run(self, request: RunRequest, on_line: Callable[[RunLine], None]) -> RunResult:
        self.requests.append(request)
        on_line(RunLine("stdout", "out"))
        on_line(RunLine("stderr", "err"))
        return self._failure or Ran(output=msgspec.Raw(msgspec.json.encode(request.inputs)), tier=1, wall_s=0.0)
