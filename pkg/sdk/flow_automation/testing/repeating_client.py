"""A client of a simulated installation that asks until it is answered, under one key: a crash costs it a repeat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine.effects import Answer
from core.engine.node import StartRequest
from core.engine.origin import MANUAL_TRIGGER
from core.engine.stimuli import Command
from core.ports.instance_store import StartKey
from flow_automation.testing.engine_process import EngineProcess
from flow_automation.testing.reading import DOMAIN_ID
from flow_automation.testing.sources import SimClock
from flow_automation.testing.virtual_loop import ConnectionLostError


class RepeatingClient:
    """Starts and tells; `is_up` is set while `process_of` gives a process that takes requests."""

    def __init__(self, clock: SimClock, is_up: asyncio.Event, process_of: Callable[[], EngineProcess]) -> None:
        self._clock = clock
        self._up = is_up
        self._process_of = process_of

    async def submit(self, plan: Plan, inputs: Any, labels: dict[str, str] | None, key: str) -> str:
        """Start an instance; gives its id."""
        while True:
            await self._up.wait()
            process = self._process_of()
            instance_id = process.new_id()
            request = StartRequest(
                plan=plan,
                id=instance_id,
                domain_id=DOMAIN_ID,
                start_key=StartKey(DOMAIN_ID, "simulation", key, instance_id, plan.content_hash),
                inputs=inputs,
                trigger=MANUAL_TRIGGER,
                created_at=self._clock.now(),
                labels=labels,
            )
            try:
                started = await process.process.call(process.engine.submit(request))
            except ConnectionLostError:
                continue
            return started.instance_id

    async def command(self, domain_id: str | None, instance_id: str, stimulus: Command) -> Answer:
        """Tell an instance something; told twice is told once.

        What had landed although its answer was lost may have ended what it was for: then it was taken.
        """
        is_repeat = False
        while True:
            await self._up.wait()
            process = self._process_of()
            try:
                answer = await process.process.call(process.engine.command(domain_id, instance_id, stimulus))
            except ConnectionLostError:
                is_repeat = True
                continue
            return msgspec.structs.replace(answer, result="accepted") if is_repeat else answer

    def new_id(self) -> str:
        """Draw an id as the process does."""
        return self._process_of().new_id()
