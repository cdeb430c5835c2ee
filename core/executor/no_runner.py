"""The task runner of processes that check and show DAGs but run none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.ports.task_runner import Mode, RunFailed, RunLine, RunRequest, RunResult, TierOffer

_REFUSALS: dict[Mode, str] = {}


class NoRunner:
    """Refuses no mode, since another process will run the DAG and says so when it is saved there; runs nothing."""

    @property
    def offers(self) -> Sequence[TierOffer]:
        """Offer no tier."""
        return ()

    def refusal(self, mode: Mode) -> str | None:
        """Refuse nothing."""
        return _REFUSALS.get(mode)

    async def run(self, request: RunRequest, on_line: Callable[[RunLine], None]) -> RunResult:
        """Fail as unavailable."""
        del request, on_line
        return RunFailed(reason="unavailable", message="this process runs no programs")
