"""Policies of a step and of a DAG, compiled: retries, timeouts, outputs used again, how many run at once."""

from __future__ import annotations

import hashlib

import msgspec

from core.dag.catalog import NO_RETRY, OperatorSpec, Retry, Timeout
from core.dag.model import Concurrency, Step
from core.dag.plan import CachePlan, GatePlan, LimitPlan
from core.expression import Rendering, compile_template, parse_template


def cache_plan(step: Step) -> CachePlan | None:
    """Give how outputs are used again. Under another output schema of the step they are others."""
    if step.cache is None:
        return None
    shape = hashlib.sha256(msgspec.json.encode(step.output_schema, order="deterministic")).hexdigest()
    return CachePlan(step.cache.ttl_s, _template(step.cache.key), shape)


def limit_plan(dag_id: str, step: Step) -> LimitPlan | None:
    """Give how many tasks run at once: with a key those of the whole business domain, else those of this step."""
    given = step.concurrency
    if given is None:
        return None
    limit = "key" if given.key is not None else f"step:{dag_id}:{step.id}"
    return LimitPlan(limit=limit, key=_template(given.key), most=given.max)


def gate_plan(dag_id: str, given: Concurrency | None) -> GatePlan | None:
    """Give how many instances of a DAG, in all its versions, run at once."""
    if given is None:
        return None
    return GatePlan(limit=f"dag:{dag_id}", key=_template(given.key), most=given.max, on_limit=given.on_limit)


def retry_of(step: Step, spec: OperatorSpec) -> Retry:
    """Give the retry policy: the step's replaces the operator's as a whole (S14); one call at most has none (S16)."""
    if step.retry is not None:
        return step.retry
    return NO_RETRY if step.at_most_once else spec.retry


def timeout_of(step: Step, spec: OperatorSpec) -> Timeout:
    """Give the timeouts: those that the step names, the operator's own for the others."""
    if step.timeout is None:
        return spec.timeout
    given = {name: value for name, value in msgspec.structs.asdict(step.timeout).items() if value is not None}
    return msgspec.structs.replace(spec.timeout, **given)


def _template(text: str | None) -> Rendering | None:
    """Compile a template that was checked; None stays None."""
    return None if text is None else compile_template(parse_template(text))
