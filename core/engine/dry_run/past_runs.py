"""Reading of the newest instances of a DAG that ended: a bounded part of an index, and of their journals."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.engine.dry_run.answer import Forecast, StepForecast
from core.engine.dry_run.forecast import spread, step_forecasts
from core.engine.journal import decode_events
from core.engine.node.terms import PlanSource
from core.engine.reread import ROWS_PER_READ, SLICE_BYTES
from core.engine.timeline import TaskSpan, Timeline
from core.ports.instance_store import InstanceRow
from core.ports.instance_views import InstanceFilter, InstanceViews
from core.ports.scope import Scope

INSTANCES_MAX = 50  # newest ones: older ones say less of the next
LOOKED_AT_MAX = 200  # newest ones among which ended ones are looked for: one page of the list's index
ROWS_MAX = 256  # of one journal: some hundred steps; of longer ones only the instance's own duration counts
HISTORY_ROWS_MAX = 4_096  # of all journals: 128 reads
HISTORY_BYTES_MAX = 4_194_304  # of all journals: some 100 ms of the loop, in slices
_ENDED = ("succeeded", "failed")  # a cancelled one says when somebody lost patience

NO_HISTORY = f"none of the newest {LOOKED_AT_MAX} instances has succeeded or failed"
NO_SERVER = "without a server there is no history"


class Past(NamedTuple):
    """What history says; `forecast` None with `reason`."""

    forecast: Forecast | None
    steps: Mapping[str, StepForecast]
    reason: str | None


class PastRuns:
    """Forecasts from what is stored."""

    def __init__(self, views: InstanceViews, plans: PlanSource) -> None:
        """Take the stores."""
        self._views = views
        self._plans = plans

    async def forecast(self, scope: Scope, dag_id: str, version: str) -> Past:
        """Read the newest instances of a version; when it has none, of the version that ran last.

        Raises:
            StoreUnavailable: nothing can be read.
        """
        rows = await self._newest(scope, InstanceFilter(dag_id=dag_id, version=version))
        if not rows:
            rows = await self._newest(scope, InstanceFilter(dag_id=dag_id))
        if not rows:
            return Past(None, {}, NO_HISTORY)
        used = [row for row in rows if (row.dag_version, row.dag_hash) == (rows[0].dag_version, rows[0].dag_hash)]
        spans, read_count = await self._spans(scope, used)
        durations = [max(0.0, (row.updated_at - row.created_at).total_seconds()) for row in used]
        failed = sum(row.status == "failed" for row in used)
        told = Forecast(
            version=used[0].dag_version,
            instances=tuple(row.id for row in used),
            steps_of=read_count,
            duration_s=spread(durations),
            failure_share=round(failed / len(used), 4),
        )
        return Past(told, step_forecasts(spans), None)

    async def _newest(self, scope: Scope, chosen: InstanceFilter) -> list[InstanceRow]:
        # Not by status: no index has it beside the DAG, and a rare one would walk all of the DAG's instances.
        page = await self._views.list(scope, chosen, limit=LOOKED_AT_MAX)
        return [row for row in page.rows if row.status in _ENDED][:INSTANCES_MAX]

    async def _spans(self, scope: Scope, rows: Sequence[InstanceRow]) -> tuple[list[TaskSpan], int]:
        """Read journals, newest first, until the bounds are met; gives the tasks and how many journals that were."""
        plan = await self._plans.get(scope.domain_id, rows[0].dag_id, rows[0].dag_hash)
        spans: list[TaskSpan] = []
        rows_left, bytes_left, count = HISTORY_ROWS_MAX, HISTORY_BYTES_MAX, 0
        for row in rows:
            if row.seq > min(ROWS_MAX, rows_left) or bytes_left <= 0:
                continue
            timeline = Timeline(plan)
            read = await self._read(scope, row, timeline, bytes_left)
            bytes_left -= read
            rows_left -= row.seq
            if bytes_left > 0:
                spans += timeline.spans.values()
                count += 1
        return spans, count

    async def _read(self, scope: Scope, row: InstanceRow, timeline: Timeline, bytes_max: int) -> int:
        """Read one journal; gives its bytes, more than `bytes_max` when it was left off."""
        after_seq, size, decoded = 0, 0, 0
        while after_seq < row.seq and size < bytes_max:
            page = await self._views.journal(scope, row.id, after_seq=after_seq, limit=ROWS_PER_READ)
            for stamped in page:
                size += len(stamped.row.body)
                decoded += len(stamped.row.body)
                timeline.read(stamped.at, decode_events(stamped.row.version, stamped.row.body))
                if decoded >= SLICE_BYTES:
                    decoded = 0
                    await asyncio.sleep(0)
            after_seq = row.seq if len(page) < ROWS_PER_READ else page[-1].row.seq
        return size
