"""`flow sim` in this process: the test kit over a document. Nothing else of the product knows the kit (ADR 0039)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from core.executor.registry import AnyOperator
from driver_adapters.cli.sim_command import SimulationAsked
from flow_automation.testing import Answers, Faults, run_seeds


def simulate(
    data: bytes, form: Literal["yaml", "json"] | None, asked: SimulationAsked, operators: list[AnyOperator]
) -> Iterator[Mapping[str, Any]]:
    """Run the seeds that are asked for; `operators` are those of third parties.

    Raises:
        DagInvalid, DagUndecodable, InputInvalid: with the first seed.
    """
    del form  # the kit sees by the text whether it is JSON
    faults = Faults(
        crash_share=asked.faults.get("crash", 0.0),
        lost_answer_share=asked.faults.get("lost-answer", 0.0),
        duplicate_share=asked.faults.get("duplicate", 0.0),
    )
    answers = Answers(
        outputs=asked.outputs,
        failing=asked.failing,  # type: ignore[arg-type]  # its kinds were checked
        signals=asked.signals,
    )
    seeds = range(asked.seed, asked.seed + asked.runs)
    runs = run_seeds(
        data, dict(asked.inputs), seeds=seeds, faults=faults, answers=answers, operators=operators,
        within_days=asked.days,
    )  # fmt: skip
    for run in runs:
        row: dict[str, Any] = msgspec.structs.asdict(run)
        yield {**row, "open_tasks": list(run.open_tasks), "faults": list(run.faults)}
