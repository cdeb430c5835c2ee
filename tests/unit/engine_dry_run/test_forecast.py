"""Forecasts: nearest-rank percentiles of what tasks came to, and the bounds of what is read for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.dag.plan import Plan
from core.engine.dry_run import past_runs
from core.engine.dry_run.answer import Spread
from core.engine.dry_run.forecast import spread, step_forecasts
from core.engine.dry_run.past_runs import NO_HISTORY, Past, PastRuns
from core.engine.timeline import AttemptSpan, TaskSpan
from core.ports.instance_store import InstanceRow, JournalRow
from core.ports.instance_views import InstanceFilter, InstanceList, StampedRow
from core.ports.scope import Principal, Scope
from tests.unit.engine.plans import run_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
SCOPE = Scope("d", Principal("p", "system", "p", ()))


def _span(status: str, seconds: float | None, attempts: int) -> TaskSpan:
    ended = None if seconds is None else AT + timedelta(seconds=seconds)
    return TaskSpan(
        "a", "a", status, started_at=None if seconds is None else AT, ended_at=ended,
        attempts=[AttemptSpan(number, AT) for number in range(attempts)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("samples", "p50", "p95"),
    [([3.0], 3.0, 3.0), ([2.0, 1.0], 1.0, 2.0), ([float(n) for n in range(100, 0, -1)], 50.0, 95.0)],
)
def test_percentiles_are_samples(samples: list[float], p50: float, p95: float) -> None:
    assert Spread(p50, p95) == spread(samples)


def test_tasks_that_ended_by_themselves_are_counted() -> None:
    told = step_forecasts(
        [_span("succeeded", 1.0, 1), _span("failed", 3.0, 3), _span("cancelled", 9.0, 1), _span("skipped", None, 0)]
    )["a"]
    assert (2, Spread(1.0, 3.0), Spread(1.0, 3.0), 0.5) == (
        told.tasks_count, told.duration_s, told.attempts, told.failure_share,
    )  # fmt: skip


def test_step_that_was_never_called_has_no_duration() -> None:
    told = step_forecasts([_span("succeeded", None, 0)])["a"]
    assert (None, Spread(0.0, 0.0)) == (told.duration_s, told.attempts)


class Views:
    """Instances and their journals in lists; counts what is read."""

    def __init__(self, rows: Sequence[InstanceRow], journal: Sequence[StampedRow]) -> None:
        self.rows = rows
        self.lines = journal
        self.reads: list[str] = []

    async def list(self, scope: Scope, chosen: InstanceFilter, *, limit: int) -> InstanceList:
        del scope
        assert chosen.status is None
        found = [row for row in self.rows if chosen.version in (None, row.dag_version)]
        return InstanceList(tuple(sorted(found, key=lambda row: row.id, reverse=True)[:limit]), None)

    async def journal(
        self, scope: Scope, instance_id: str, *, after_seq: int, limit: int
    ) -> Sequence[StampedRow]:  # fmt: skip
        del scope
        self.reads.append(instance_id)
        return [line for line in self.lines if line.row.seq > after_seq][:limit]


def _history(*rows: InstanceRow, bytes_more: int = 0) -> tuple[Views, Plan]:
    run = run_of('steps: [{id: a, operator: "@debug/noop"}]')
    run.succeed("a", {"x": "y" * bytes_more})
    lines = [
        StampedRow(JournalRow(instance_id="i", seq=seq, version=1, body=body), AT + timedelta(seconds=seq))
        for seq, body in run.rows
    ]
    return Views(rows, lines), run.plan


def _row(
    name: str, *, status: str = "succeeded", version: str = "v1.0.0", seq: int = 2, lasted_s: float = 4.0
) -> InstanceRow:
    return InstanceRow(
        id=name, domain_id="d", shard=0, dag_id="dag", dag_hash=f"h-{version}", dag_version=version, seq=seq, status=status,
        open_attempts=0, ready=0, open_frames=0, epoch=1, created_at=AT, updated_at=AT + timedelta(seconds=lasted_s),
    )  # fmt: skip


def _past(views: Views, plan: Plan, version: str = "v1.0.0") -> Past:
    class Plans:
        async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
            assert ("d", "dag") == (domain_id, dag_id)
            assert content_hash.startswith("h-")
            return plan

    reader: Any = views
    return asyncio.run(PastRuns(reader, Plans()).forecast(SCOPE, "dag", version))


def test_newest_instances_of_the_version_are_used() -> None:
    views, plan = _history(
        _row("1", lasted_s=9.0), _row("3", status="failed", lasted_s=1.0), _row("2", version="v2.0.0"),
        _row("4", status="cancelled"),
    )  # fmt: skip
    past = _past(views, plan)
    assert past.forecast is not None
    assert (("3", "1"), 2, Spread(1.0, 9.0), 0.5) == (
        past.forecast.instances, past.forecast.steps_of, past.forecast.duration_s, past.forecast.failure_share,
    )  # fmt: skip
    assert (2, Spread(1.0, 1.0)) == (past.steps["a"].tasks_count, past.steps["a"].duration_s)


def test_version_without_instances_is_forecast_from_the_one_that_ran_last() -> None:
    views, plan = _history(_row("1", version="v1.0.0"), _row("2", version="v1.1.0"))
    past = _past(views, plan, "v2.0.0")
    assert past.forecast is not None
    assert ("v1.1.0", ("2",)) == (past.forecast.version, past.forecast.instances)


def test_dag_that_never_ran_has_no_forecast_and_says_why() -> None:
    views, plan = _history(_row("4", status="cancelled"))
    assert Past(None, {}, NO_HISTORY) == _past(views, plan)


def test_long_journals_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    views, plan = _history(_row("1"), _row("2", seq=past_runs.ROWS_MAX + 1), _row("3"))
    monkeypatch.setattr(past_runs, "HISTORY_ROWS_MAX", 3)
    past = _past(views, plan)
    assert past.forecast is not None
    assert (3, 1, ["3"]) == (len(past.forecast.instances), past.forecast.steps_of, views.reads)


def test_journals_are_read_up_to_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    views, plan = _history(_row("1"), _row("2"), bytes_more=2_000)
    monkeypatch.setattr(past_runs, "HISTORY_BYTES_MAX", 10)
    monkeypatch.setattr(past_runs, "SLICE_BYTES", 10)
    monkeypatch.setattr(past_runs, "ROWS_PER_READ", 1)
    past = _past(views, plan)
    assert past.forecast is not None
    assert (2, 0, ["2"], {}) == (len(past.forecast.instances), past.forecast.steps_of, views.reads, past.steps)


def test_pages_of_a_journal_are_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    views, plan = _history(_row("1", seq=4))
    monkeypatch.setattr(past_runs, "ROWS_PER_READ", 1)
    assert 1 == _past(views, plan).steps["a"].tasks_count
    assert 3 == len(views.reads)  # the third page is short: rows may be fewer than the row of the instance says
