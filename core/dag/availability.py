"""What the language has and this release does not run: refused when a DAG is saved, never half done.

Looked at last, and only where nothing else is wrong: a trigger with a wrong cron expression is wrong first.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.dag.catalog import Catalog, OperatorSpec
from core.dag.control import SIGNAL_SOURCE, WAIT
from core.dag.fault import Faults
from core.dag.language import find_operator
from core.dag.lists import top_lists, walk_steps
from core.dag.model import Dag, Step
from core.dag.trigger import PARAMETERS, RUNS

_CODE = "dag.operator.unavailable"


def check_availability(dag: Dag, catalog: Catalog, sealed: Iterable[str], faults: Faults) -> None:
    """Add `dag.operator.unavailable` for every operator and feature that is valid here and comes with a later release.

    `sealed` = pointers of texts that read secrets or connections where they may.
    """
    for trigger in dag.triggers:
        if trigger.operator in PARAMETERS and trigger.operator not in RUNS:
            _add(trigger.pointer, "operator", f"this release does not fire {trigger.operator}", faults)
        elif "for_each" in trigger.parameters:
            _add(trigger.pointer, "parameters/for_each", "this release has no data sources of triggers", faults)
    settings = dag.settings
    if settings.retention_days is not None:
        _add("/settings/retention_days", "", "this release does not keep retention_days", faults)
    for _, top in top_lists(dag):
        for step in walk_steps(top):
            _check_step(step, catalog, faults)
    for pointer in sealed:
        _add(pointer, "", "this release has no secrets or connections", faults)


def _check_step(step: Step, catalog: Catalog, faults: Faults) -> None:
    spec = find_operator(catalog, step.operator)
    if spec is not None and not spec.is_available:
        _add(step.pointer, "operator", f"this release does not run {step.operator}", faults)
    if spec is not None:
        _check_values(step, spec, faults)
    if step.operator == WAIT:
        _check_wait(step, faults)


def _check_wait(step: Step, faults: Faults) -> None:
    event = step.parameters.get("event")
    if isinstance(event, dict) and event.get("source", SIGNAL_SOURCE) != SIGNAL_SOURCE:
        message = f"this release has no bus of events: a wait takes signals, whose source is {SIGNAL_SOURCE!r}"
        _add(f"{step.pointer}/parameters", "event/source", message, faults)


def _check_values(step: Step, spec: OperatorSpec, faults: Faults) -> None:
    for name, value, why in spec.unavailable_values:
        default = spec.parameters.get("properties", {}).get(name, {}).get("default")
        if step.parameters.get(name, default) == value:
            at = f"{step.pointer}/parameters"
            _add(at, name if name in step.parameters else "", f"{name} {value} cannot be run here: {why}", faults)


def _add(owner: str, field: str, message: str, faults: Faults) -> None:
    if not faults.has_within(owner):
        faults.add(_CODE, f"{owner}/{field}" if field else owner, message)
