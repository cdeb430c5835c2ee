"""Bounds of steps and instance, and which of them a run would meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.dag.plan import Node, Plan
from core.engine.dry_run.answer import Binding, RunLimits, StepLimits, StepLine
from core.engine.retry import delay_s

BINDINGS_MAX = 100  # as many as a person reads


def step_limits(node: Node, *, wait_s: float | None = None, wait_until: str | None = None) -> StepLimits:
    """Give the bounds of one step; `wait_s` and `wait_until` of a wait, as far as they are known."""
    given = node.timeout
    is_called = node.kind == "attempt"
    bounds = [bound for bound in (given.total_s, _attempts_s(node), wait_s, node.expiry_s) if bound is not None]
    return StepLimits(
        max_attempts=node.retry.max_attempts if is_called else None,
        attempt_s=given.attempt_s,
        total_s=given.total_s,
        queue_s=given.queue_s,
        heartbeat_s=given.heartbeat_s,
        retry_wait_s=retry_wait_s(node) if is_called and node.retry.max_attempts > 1 else None,
        worst_s=min(bounds, default=None),
        concurrency=None if node.limit is None else node.limit.most,
        max_concurrency=None if node.map is None else node.map.max_concurrency,
        batch_size=None if node.map is None else node.map.batch_size,
        on_item_error=None if node.map is None else node.map.on_item_error,
        max_iterations=None if node.loop is None else node.loop.max_iterations,
        wait_s=wait_s,
        wait_until=wait_until,
    )


def retry_wait_s(node: Node) -> float:
    """Add up all waits between attempts at their longest."""
    failures = range(1, node.retry.max_attempts)
    return sum(delay_s(node.retry, failures=failure, share=1.0, retry_after_s=None) for failure in failures)


def _attempts_s(node: Node) -> float | None:
    """Give how long all attempts and the waits between them take at most; None when nothing bounds an attempt."""
    if node.kind != "attempt" or node.timeout.attempt_s is None:
        return None
    return node.retry.max_attempts * node.timeout.attempt_s + retry_wait_s(node)


def run_limits(
    plan: Plan, lines: Sequence[StepLine], *, priority: int, open_attempts: int, attempts_max: int | None
) -> RunLimits:
    """Give the bounds of the instance, and all that bind; `open_attempts` = calls that may be made at once."""
    binding = [bound for line in lines if line.status in ("runs", "may run") for bound in _binding(plan, line)]
    if attempts_max is not None and open_attempts > attempts_max:
        message = f"{open_attempts} attempts may run at once, a node has {attempts_max} places"
        binding.insert(0, Binding("attempts_max", None, message))
    return RunLimits(
        timeout_s=plan.timeout_s,
        priority=priority,
        concurrency=None if plan.gate is None else plan.gate.most,
        on_limit=None if plan.gate is None else plan.gate.on_limit,
        attempts_max=attempts_max,
        binding=tuple(binding[:BINDINGS_MAX]),
    )


def _binding(plan: Plan, line: StepLine) -> Iterator[Binding]:
    node = plan.nodes[plan.by_id[line.step]]
    limits = line.limits
    if limits.max_concurrency is not None and line.items is not None and line.items > limits.max_concurrency:
        message = f"{line.items} items, {limits.max_concurrency} at once"
        yield Binding("max_concurrency", line.step, message)
    unbounded = _attempts_s(node)
    if limits.total_s is not None and unbounded is not None and unbounded > limits.total_s:
        message = f"all attempts and waits may take {unbounded:g} s, total_s is {limits.total_s:g} s"
        yield Binding("total_s", line.step, message)
    if limits.worst_s is None or plan.timeout_s is None or _is_of_hook(plan, node):
        return
    if limits.worst_s > plan.timeout_s:
        message = f"the step may take {limits.worst_s:g} s, timeout_s is {plan.timeout_s:g} s"
        yield Binding("timeout_s", line.step, message)


def _is_of_hook(plan: Plan, node: Node) -> bool:
    """Say whether a step runs after the outcome, which `timeout_s` does not bound."""
    one = plan.lists[node.list]
    while one.owner is not None:
        one = plan.lists[plan.nodes[one.owner].list]
    return one.index > 0
