"""The shape of a DAG document: fields, types and bounds (dag-language.md 1 and 2)."""

from __future__ import annotations

from typing import Any

from core.dag.control import CONDITION, NAME
from core.dag.label import LABELS
from core.dag.shape import (
    Anything,
    Checks,
    Choice,
    Either,
    Flag,
    Listed,
    Mapped,
    Number,
    Record,
    SchemaObject,
    Steps,
    Text,
    may,
    need,
)

# dag-language.md 1, "Limits".
STEPS_COUNT_MAX = 1_000
LIST_DEPTH_MAX = 16
TRIGGERS_COUNT_MAX = 50
VARS_COUNT_MAX = 100
VARS_BYTES_MAX = 64 * 1024
# Tags are for searching; more than these are data.
TAGS_COUNT_MAX = 100
TAG_CHARACTERS_MAX = 128
TITLE_CHARACTERS_MAX = 128
DESCRIPTION_CHARACTERS_MAX = 300
# A title of a step stands in one line of a drawing.
STEP_TITLE_CHARACTERS_MAX = 300
# A step is tried for days, not for ever: 1 000 attempts at the longest default delay are three and a half days.
ATTEMPTS_COUNT_MAX = 1_000
# The longest duration that is added to a time without leaving the calendar: a hundred years.
DURATION_S_MAX = 100 * 365 * 86_400
BACKOFF_MAX = 100
RETENTION_DAYS_MAX = 36_500
CONCURRENCY_COUNT_MAX = 1_000_000
PRIORITY_MIN, PRIORITY_MAX = 1, 5

RETRIABLE_KINDS = (
    "failed", "timeout", "unavailable", "exhausted",
    "invalid", "not_found", "unauthenticated", "forbidden", "conflict", "resource",
)  # fmt: skip
# semantics.md S13: naming these is a fault of its own (`dag.policy`), so the shape lets them pass.
NEVER_RETRIED_KINDS = ("expression", "limit", "rejected", "cancelled")

_DURATION = Number(above=0, maximum=DURATION_S_MAX)
_DELAY = Number(minimum=0, maximum=DURATION_S_MAX)
_COUNT = Number(minimum=1, maximum=CONCURRENCY_COUNT_MAX, is_whole=True)
_TEMPLATE_TEXT = Text(characters_min=1)

RETRY = Record(
    fields={
        "max_attempts": may(Number(minimum=1, maximum=ATTEMPTS_COUNT_MAX, is_whole=True)),
        "delay_s": may(_DELAY),
        "backoff": may(Number(minimum=1, maximum=BACKOFF_MAX)),
        "max_delay_s": may(_DELAY),
        "jitter": may(Choice(("none", "full"))),
        "on": may(Listed(item=Choice(RETRIABLE_KINDS + NEVER_RETRIED_KINDS), is_unique=True, count_max=100)),
    }
)
TIMEOUT = Record(fields=dict.fromkeys(("attempt_s", "total_s", "queue_s", "heartbeat_s"), may(_DURATION)))
CACHE = Record(fields={"key": may(_TEMPLATE_TEXT), "ttl_s": need(_DURATION)})
STEP_CONCURRENCY = Record(fields={"key": may(_TEMPLATE_TEXT), "max": need(_COUNT)})

STEP = Record(
    fields={
        "id": need(NAME),
        "title": may(Text(characters_max=STEP_TITLE_CHARACTERS_MAX)),
        "operator": need(Text(characters_min=1)),
        "parameters": may(Mapped(value=Anything(), name=Text())),
        "depends_on": may(Listed(item=NAME, is_unique=True, count_max=STEPS_COUNT_MAX)),
        "when": may(CONDITION),
        "join": may(Choice(("all_succeeded", "none_failed", "any_succeeded", "all_done"))),
        "retry": may(RETRY),
        "timeout": may(TIMEOUT),
        "on_error": may(Either(Steps(), Choice(("fail", "continue")))),
        "at_most_once": may(Flag()),
        "cache": may(CACHE),
        "concurrency": may(STEP_CONCURRENCY),
        "output_schema": may(SchemaObject()),
        "breakpoint": may(Flag()),
    }
)

SETTINGS = Record(
    fields={
        "timeout_s": may(_DURATION),
        "priority": may(Number(minimum=PRIORITY_MIN, maximum=PRIORITY_MAX, is_whole=True)),
        "concurrency": may(
            Record(
                fields={
                    "key": may(_TEMPLATE_TEXT),
                    "max": need(_COUNT),
                    "on_limit": may(Choice(("queue", "skip", "cancel_running", "reject"))),
                }
            )
        ),
        "retention_days": may(Number(minimum=1, maximum=RETENTION_DAYS_MAX, is_whole=True)),
        "labels": may(LABELS),
        "on_failure": may(Steps()),
        "on_finish": may(Steps()),
    }
)

TRIGGER = Record(
    fields={
        "id": need(NAME),
        "operator": need(Text(characters_min=1)),
        "parameters": may(Mapped(value=Anything(), name=Text())),
    }
)


def _operator_rule(value: dict[str, Any], at: str, code: str, checks: Checks) -> None:
    """Hold semantics.md S47: who calls an operator must know what it takes and gives."""
    if value.get("type") == "operator":
        for name in ("inputs", "outputs"):
            if name not in value:
                checks.faults.add(code, at, f"the field {name} is missing: a DAG of type operator must declare it")


DOCUMENT = Record(
    fields={
        "$schema": may(Text()),
        "title": need(
            Text(
                characters_min=1,
                characters_max=TITLE_CHARACTERS_MAX,
                pattern=r'\A[^/\\:*?"<>|\x00-\x1f]*\Z',
                says='must hold none of / \\ : * ? " < > | and no control character',
            )
        ),
        "description": may(Text(characters_max=DESCRIPTION_CHARACTERS_MAX)),
        "type": may(Choice(("workflow", "data-flow", "operator", "security-policy"))),
        "status": may(Choice(("normal", "stopped"))),
        "tags": may(
            Listed(
                item=Text(characters_min=1, characters_max=TAG_CHARACTERS_MAX),
                is_unique=True,
                count_max=TAGS_COUNT_MAX,
            )
        ),
        "triggers": may(Listed(item=TRIGGER, count_max=TRIGGERS_COUNT_MAX)),
        "inputs": may(SchemaObject()),
        "vars": may(Mapped(value=Anything(), name=NAME, count_max=VARS_COUNT_MAX)),
        "steps": need(Steps()),
        "outputs": may(Anything()),
        "settings": may(SETTINGS),
        "version": may(
            Text(
                pattern=r"\Av(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\Z",
                says="must look like v1.4.0",
            )
        ),
        "change_log": may(Text(characters_max=DESCRIPTION_CHARACTERS_MAX)),
    },
    rule=_operator_rule,
    rule_schema={
        "if": {"properties": {"type": {"const": "operator"}}, "required": ["type"]},
        "then": {"required": ["inputs", "outputs"]},
    },
)
