"""Where an instance comes from: what started it, the labels that it is found by, and its priority."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from core.dag.fault import below
from core.dag.label import LABELS_COUNT_MAX, label_value_fault
from core.dag.plan import Plan
from core.errors import InputInvalid
from core.expression import ExpressionFailed, Fuel, Rendering
from core.expression.plain import json_text
from core.ports.instance_store import MANUAL

# What `trigger` reads in an instance that a person or a program started (dag-language.md 3).
MANUAL_TRIGGER = b'{"kind":"manual","data":null,"event":null,"scheduled_at":null}'


class _Kind(msgspec.Struct, frozen=True):
    kind: str = MANUAL


_kind_decoder = msgspec.json.Decoder(_Kind)


def trigger_kind(trigger: bytes) -> str:
    """Give the kind of what `trigger` reads: `manual`, `cron` and so on."""
    return _kind_decoder.decode(trigger).kind


def priority_of(plan: Plan, own: int | None) -> int:
    """Give the priority of an instance: its start's own, else its DAG's (ADR 0044)."""
    return plan.priority if own is None else own


def labels_of_start(
    plan: Plan, given: Mapping[str, str], *, inputs: Any, trigger: bytes, now: datetime
) -> dict[str, str] | None:
    """Give the labels of an instance that is about to start, by name; None when it has none.

    The DAG's are rendered once, here, and kept as facts of the start. All share the fuel of one evaluation: this runs
    before anything is accepted.

    Args:
        plan: of the version. inputs: complete. trigger: JSON. now: what `now()` gives.
        given: with the start, checked; one of the same name replaces the DAG's, which is not rendered then.

    Raises:
        InputInvalid: a template has no value, or none that is a label; or there are more than LABELS_COUNT_MAX.
    """
    if not (plan.labels or given):
        return None
    fuel, labels = Fuel(), dict(given)
    faults: list[dict[str, Any]] = []
    for name, template in plan.labels.items():
        if name in given:
            continue
        try:
            slots = [_read(one.path, plan, inputs, trigger) for one in template.reads]
            labels[name] = _rendered(template, slots, fuel, now)
        except _LabelRefused as refused:
            pointer = below("/settings/labels", name)
            faults.append({"code": "input.label", "pointer": pointer, "message": str(refused)})
    if len(labels) > LABELS_COUNT_MAX:
        message = f"an instance has at most {LABELS_COUNT_MAX} labels, those of its DAG included"
        faults.append({"code": "input.label", "pointer": "?label", "message": message})
    if faults:
        raise InputInvalid(f"faults in the labels: {len(faults)}", faults=faults)
    return labels


class _LabelRefused(Exception):
    """A template gave no label; the text says why."""


def _read(path: tuple[str, ...], plan: Plan, inputs: Any, trigger: bytes) -> Any:
    """Give what a template reads; nothing else can be named in one (`core.dag.reference`)."""
    match path:
        case ("inputs",):
            return inputs
        case ("trigger",):
            return msgspec.json.decode(trigger)
        case ("vars",):
            return plan.constants
        case _:
            return plan.constants[path[1]]


def _rendered(template: Rendering, slots: list[Any], fuel: Fuel, now: datetime) -> str:
    try:
        value = template.constant if template.is_constant else template.render(slots, fuel, now)
        text = value if isinstance(value, str) else _text(value, fuel)
    except ExpressionFailed as failure:
        raise _LabelRefused(failure.message) from failure
    fault = label_value_fault(text)
    if fault:
        raise _LabelRefused(f"the text {fault}")
    return text


def _text(value: Any, fuel: Fuel) -> str:
    """Give the text of a number or a boolean, as a template would."""
    if not isinstance(value, int | float):
        name = {type(None): "null", list: "a list"}.get(type(value), "an object")
        raise _LabelRefused(f"gives {name}; a label is text, a number or a boolean")
    return json_text(value, fuel)
