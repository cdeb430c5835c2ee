"""What the language has and this release does not run is refused when a DAG is saved."""

from __future__ import annotations

from tests.dags.check import dag, faults, noop

A = noop("a")


def test_retention_is_not_kept_yet_and_limits_are() -> None:
    expected = [("dag.operator.unavailable", "/settings/retention_days")]
    assert expected == faults(dag(A, settings={"retention_days": 30, "concurrency": {"max": 1}}))


def test_concurrency_of_steps_runs() -> None:
    assert [] == faults(dag({**A, "concurrency": {"max": 2, "key": "crane"}}))
