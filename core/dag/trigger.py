"""The form of triggers (triggers.md, semantics.md S49 to S53): every fault is `dag.trigger` at its place."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.dag.cron import cron_fault
from core.dag.fault import Faults, quoted
from core.dag.grammar import DURATION_S_MAX
from core.dag.json_schema import check_value
from core.dag.model import Dag, Trigger
from core.dag.pattern import check_pattern
from core.dag.shape import (
    Anything,
    Checks,
    Choice,
    Either,
    Listed,
    Mapped,
    Number,
    Record,
    SchemaObject,
    Shape,
    Text,
    may,
    need,
)
from core.dag.walk import template_pointers

# One batch is one instance's input (semantics.md S51); the ledger shows the rest.
BATCH_COUNT_MAX = 10_000
# triggers.md: more catch-up fires at once than this are a backfill, which is an explicit call.
CATCH_UP_COUNT_MAX = 10_000
NAMES_COUNT_MAX = 100
# Every method of HTTP that carries a delivery.
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_SECONDS = Number(above=0, maximum=DURATION_S_MAX)
_SECONDS_OR_NONE = Number(minimum=0, maximum=DURATION_S_MAX)
_TEXT = Text(characters_min=1)
_INPUTS = Mapped(value=Anything(), name=Text(characters_min=1))
_FOR_EACH = Record(fields={"operator": need(_TEXT), "parameters": may(Mapped(value=Anything(), name=Text()))})

_POLICIES: dict[str, Shape] = {
    "jitter_s": _SECONDS_OR_NONE,
    "start_at": _TEXT,
    "end_at": _TEXT,
    "catch_up": Choice(("none", "last", "all")),
    "max": Number(minimum=1, maximum=CATCH_UP_COUNT_MAX, is_whole=True),
    "window_s": _SECONDS,
    "overlap": Choice(("allow", "skip", "queue", "cancel_running")),
    "timezone": _TEXT,
    "inputs": _INPUTS,
    "for_each": _FOR_EACH,
}
_OUTCOME = Choice(("succeeded", "failed", "cancelled"))


def _event_rule(value: dict[str, Any], at: str, code: str, checks: Checks) -> None:
    if value.get("source") == "kafka" and "topic" not in value:
        checks.faults.add(code, at, "the field topic is missing: source kafka needs it")
    if "batch" in value and "debounce_s" in value:
        checks.faults.add(code, f"{at}/debounce_s", "batch and debounce_s exclude each other")


def _webhook_rule(value: dict[str, Any], at: str, code: str, checks: Checks) -> None:
    if value.get("scheme") != "none" and "secret" not in value:
        checks.faults.add(code, at, "the field secret is missing: only scheme none works without")


def _fields(optional: Mapping[str, Shape], **required: Shape) -> Record:
    fields = {name: need(shape) for name, shape in required.items()}
    return Record(fields=fields | {name: may(shape) for name, shape in optional.items()})


PARAMETERS: dict[str, Record] = {
    "@trigger/manual": _fields({"form": SchemaObject(), "inputs": _INPUTS, "for_each": _FOR_EACH}),
    "@trigger/cron": _fields(_POLICIES, cron=_TEXT),
    "@trigger/interval": _fields(_POLICIES, seconds=_SECONDS),
    "@trigger/event": Record(
        fields={
            "source": may(Choice(("kafka", "http", "any"))),
            "topic": may(_TEXT),
            "name": may(Either(Listed(item=_TEXT, count_min=1, count_max=NAMES_COUNT_MAX, is_unique=True), _TEXT)),
            "filter": may(Anything()),
            "map": may(_INPUTS),
            "dedupe_key": may(_TEXT),
            "start": may(Choice(("latest", "earliest"))),
            "batch": may(
                Record(
                    fields={
                        "max": need(Number(minimum=1, maximum=BATCH_COUNT_MAX, is_whole=True)),
                        "window_s": may(_SECONDS),
                    }
                )
            ),
            "debounce_s": may(_SECONDS),
            "throttle": may(
                Record(
                    fields={
                        "limit": need(Number(minimum=1, maximum=1_000_000, is_whole=True)),
                        "per_s": need(_SECONDS),
                        "key": may(_TEXT),
                    }
                )
            ),
        },
        rule=_event_rule,
    ),
    "@trigger/webhook": Record(
        fields={
            "secret": may(_TEXT),
            "scheme": may(Choice(("standard", "github", "stripe", "none"))),
            "methods": may(Listed(item=Choice(_METHODS), count_min=1, count_max=len(_METHODS), is_unique=True)),
            "filter": may(Anything()),
            "map": may(_INPUTS),
            "respond": may(Choice(("accepted", "result"))),
        },
        rule=_webhook_rule,
    ),
    "@trigger/dag": _fields(
        {
            "on": Either(Listed(item=_OUTCOME, count_min=1, count_max=3, is_unique=True), _OUTCOME),
            "filter": Anything(),
            "inputs": _INPUTS,
        },
        dag=_TEXT,
    ),
    "@trigger/file": _fields({"inputs": _INPUTS}, path=_TEXT),
}
# What `trigger.kind` may say, those of later releases included.
KINDS = tuple(name.removeprefix("@trigger/") for name in PARAMETERS)
CALL_KIND = "call"  # of an instance that a step of another one started
# What this release starts by itself: nothing; people start DAGs.
RUNS = frozenset({"@trigger/manual"})
# The field that gives inputs (S49).
_MAPPED = frozenset({"@trigger/event", "@trigger/webhook"})


def inputs_field(trigger: Trigger) -> str:
    """Give the name of the parameter that holds a trigger's inputs: `map` or `inputs`."""
    return "map" if trigger.operator in _MAPPED else "inputs"


def check_triggers(dag: Dag, checks: Checks) -> None:
    """Add the faults of every trigger but those of its expressions (`dag.trigger`, `dag.operator.unknown`)."""
    for trigger in dag.triggers:
        shape = PARAMETERS.get(trigger.operator)
        if shape is None:
            if trigger.operator:
                hint = checks.faults.near(trigger.operator, PARAMETERS)
                pointer = f"{trigger.pointer}/operator"
                message = f"{quoted(trigger.operator)} is no trigger"
                checks.faults.add("dag.operator.unknown", pointer, message, hint=hint, allowed=tuple(PARAMETERS))
            continue
        at = _parameters_at(trigger)
        shape.check(trigger.parameters, at, "dag.trigger", checks)
        _check_times(trigger, at, checks.faults)
        filter_ = trigger.parameters.get("filter")
        if filter_ is not None and not isinstance(filter_, str):
            check_pattern(filter_, f"{at}/filter", checks.faults)
        _check_inputs(trigger, dag, at, checks.faults)


def _parameters_at(trigger: Trigger) -> str:
    """Point at the parameters, or at the trigger when it has none."""
    return f"{trigger.pointer}/parameters" if trigger.parameters else trigger.pointer


def _check_times(trigger: Trigger, at: str, faults: Faults) -> None:
    given = {name: value for name, value in trigger.parameters.items() if isinstance(value, str)}
    if "cron" in given and (said := cron_fault(given["cron"])):
        faults.add("dag.trigger", f"{at}/cron", said)
    if "timezone" in given and not _is_zone(given["timezone"]):
        faults.add("dag.trigger", f"{at}/timezone", f"{quoted(given['timezone'])} is no IANA time zone")
    for name in ("start_at", "end_at"):
        if name in given and not _is_time(given[name]):
            faults.add("dag.trigger", f"{at}/{name}", "must be a time with its zone, such as 2026-01-31T08:00:00Z")


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _check_inputs(trigger: Trigger, dag: Dag, at: str, faults: Faults) -> None:
    """Hold S49: what a start must give, the trigger gives; people give it themselves."""
    schema = dag.inputs
    field = inputs_field(trigger)
    given = trigger.parameters.get(field, {})
    if schema is None or trigger.operator in RUNS or not isinstance(given, dict):
        return
    pointer = f"{at}/{field}" if field in trigger.parameters else at
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        inner = properties.get(name)
        has_default = isinstance(inner, dict) and "default" in inner
        if name not in given and not has_default:
            faults.add("dag.trigger", pointer, f"the input {name} is required and the trigger does not give it")
    if given and not faults.has_within("/inputs"):
        without_required = {key: value for key, value in schema.items() if key != "required"}
        templates = list(template_pointers(given))
        check_value(without_required, given, pointer, "dag.trigger", faults, templates=templates)
