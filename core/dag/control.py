"""Operators that the engine itself evaluates (dag-language.md 4): shapes of their parameters and declarations."""

from __future__ import annotations

from typing import Any

from core.dag.catalog import JsonSchema, OperatorSpec
from core.dag.shape import (
    Anything,
    Checks,
    Choice,
    Field,
    Flag,
    Listed,
    Number,
    Record,
    SchemaObject,
    Steps,
    Templated,
    Text,
    may,
    need,
)

# dag-language.md 1.
BRANCHES_COUNT_MAX = 100
# semantics.md S19: a map over more ends with kind `limit`; the same holds for all counts of one container.
ITEMS_COUNT_MAX = 100_000
# One answer form shows them all; more people are a group.
APPROVERS_COUNT_MAX = 100

BRANCH = "@control/branch"
PARALLEL = "@control/parallel"
MAP = "@control/map"
LOOP = "@control/loop"
TRY = "@control/try"
RETURN = "@control/return"
WAIT = "@control/wait"
APPROVAL = "@control/approval"
CALL = "@control/call"
DEFINE = "@data/define"
ASSIGN = "@data/assign"


# What `source` of a wait's event says of a signal, and `event.source` in its filter (semantics.md S26).
SIGNAL_SOURCE = "signal"


def _proposed_name(name: str) -> str:
    fit = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)[:64]
    return f"use {'_' + fit[:63] if not fit or fit[0].isdigit() else fit}"


NAME = Text(
    pattern=r"\A[A-Za-z_][A-Za-z0-9_]{0,63}\Z",
    says="must begin with a letter or _ and have at most 64 letters, digits and _",
    propose=_proposed_name,
)
CONDITION = Text(characters_min=1)
SECONDS = Number(minimum=0)
SECONDS_ABOVE_ZERO = Number(above=0)


def _one_of(*names: str, needed: int = 1, most: int | None = None) -> Any:
    def rule(value: dict[str, Any], at: str, code: str, checks: Checks) -> None:
        given = [name for name in names if name in value]
        if len(given) < needed:
            checks.faults.add(code, at, f"one of the fields {', '.join(names)} is missing", allowed=names)
        elif most is not None and len(given) > most:
            checks.faults.add(code, at, f"only one of {', '.join(given)} can be given", allowed=names)

    return rule


def _loop_rule(value: dict[str, Any], at: str, code: str, checks: Checks) -> None:
    needs = {"count": "limit", "while": "condition", "each": "items"}
    mode = value.get("mode")
    if not isinstance(mode, str) or mode not in needs:
        return
    for other, field in needs.items():
        if other == mode and field not in value:
            checks.faults.add(code, at, f"the field {field} is missing: mode {mode} needs it")
        elif other != mode and field in value:
            checks.faults.add(code, f"{at}/{field}", f"belongs to mode {other}, not to {mode}")


def _required(*alternatives: str) -> list[JsonSchema]:
    return [{"required": [name]} for name in alternatives]


_BRANCHES = {"id": need(NAME), "steps": need(Steps())}
_LOOP_NEEDS = {"count": "limit", "while": "condition", "each": "items"}

PARAMETERS: dict[str, Record] = {
    BRANCH: Record(
        fields={
            "mode": may(Choice(("first", "all"))),
            "branches": need(
                Listed(
                    item=Record(fields={**_BRANCHES, "when": need(CONDITION)}),
                    count_min=1,
                    count_max=BRANCHES_COUNT_MAX,
                )
            ),
            "else": may(Steps()),
        }
    ),
    PARALLEL: Record(
        fields={"branches": need(Listed(item=Record(fields=_BRANCHES), count_min=1, count_max=BRANCHES_COUNT_MAX))}
    ),
    MAP: Record(
        fields={
            "items": need(Templated(Listed(item=Anything(), count_max=ITEMS_COUNT_MAX))),
            "steps": need(Steps()),
            "outputs": may(Anything()),
            "max_concurrency": may(Number(minimum=1, maximum=ITEMS_COUNT_MAX, is_whole=True)),
            "batch_size": may(Number(minimum=1, maximum=ITEMS_COUNT_MAX, is_whole=True)),
            "on_item_error": may(Choice(("fail", "collect", "ignore"))),
        }
    ),
    LOOP: Record(
        fields={
            "mode": need(Choice(("count", "while", "each"))),
            "limit": may(Templated(Number(minimum=0, maximum=ITEMS_COUNT_MAX, is_whole=True))),
            "condition": may(CONDITION),
            "items": may(Templated(Listed(item=Anything(), count_max=ITEMS_COUNT_MAX))),
            "steps": need(Steps()),
            "outputs": may(Anything()),
            "break_when": may(CONDITION),
            "max_iterations": may(Number(minimum=1, maximum=ITEMS_COUNT_MAX, is_whole=True)),
        },
        rule=_loop_rule,
        rule_schema={
            "allOf": [
                {"if": {"properties": {"mode": {"const": mode}}}, "then": {"required": [field]}}
                for mode, field in _LOOP_NEEDS.items()
            ]
        },
    ),
    TRY: Record(
        fields={"steps": need(Steps()), "catch": may(Steps()), "finally": may(Steps())},
        rule=_one_of("catch", "finally"),
        rule_schema={"anyOf": _required("catch", "finally")},
    ),
    RETURN: Record(
        fields={"result": may(Choice(("success", "failed"))), "outputs": may(Anything()), "reason": may(Text())}
    ),
    WAIT: Record(
        fields={
            "seconds": may(Templated(SECONDS)),
            "until": may(Text(characters_min=1)),
            "event": may(
                Record(
                    fields={
                        "name": need(Text(characters_min=1)),
                        "source": may(Text(characters_min=1)),
                        "filter": may(Anything()),
                        "timeout_s": may(SECONDS_ABOVE_ZERO),
                    }
                )
            ),
            "callback": may(Record(fields={"timeout_s": may(SECONDS_ABOVE_ZERO)})),
        },
        rule=_one_of("seconds", "until", "event", "callback", most=1),
        rule_schema={"oneOf": _required("seconds", "until", "event", "callback")},
    ),
    APPROVAL: Record(
        fields={
            "title": need(Text(characters_min=1)),
            "form": may(SchemaObject()),
            "approvers": may(Listed(item=Text(characters_min=1), count_min=1, count_max=APPROVERS_COUNT_MAX)),
            "timeout_s": may(SECONDS_ABOVE_ZERO),
            "on_timeout": may(Choice(("fail", "approve", "reject"))),
        }
    ),
    CALL: Record(
        fields={
            "dag": need(Text(characters_min=1)),
            "version": may(Text(pattern=r"\Av[0-9]+\.[0-9]+\.[0-9]+\Z", says="must look like v1.4.0")),
            "inputs": may(Anything()),
            "wait": may(Flag()),
            "on_cancel": may(Choice(("cancel", "leave"))),
        }
    ),
    DEFINE: Record(fields={"name": need(NAME), "value": need(Anything())}),
    ASSIGN: Record(fields={"name": need(NAME), "value": need(Anything())}),
}

# Parameters that are bare CEL; all others with text in them are templates, but for names and choices.
EXPRESSION_FIELDS: dict[str, tuple[str, ...]] = {
    BRANCH: ("/branches/*/when",),
    LOOP: ("/condition", "/break_when"),
    WAIT: ("/event/filter",),
}

_TIME = {"type": "string", "format": "date-time"}
# What a step that refers to the container can rely on (semantics.md S17); `{}` = known only when it runs.
OUTPUTS: dict[str, JsonSchema] = {
    BRANCH: {},
    PARALLEL: {"type": "object"},
    MAP: {"type": "array"},
    LOOP: {"type": "array"},
    TRY: {},
    RETURN: {"type": "null"},
    WAIT: {
        "type": "object",
        "properties": {"reason": {"enum": ["time", "event", "signal", "callback"]}, "at": _TIME, "data": {}},
        "required": ["reason", "at", "data"],
    },
    APPROVAL: {
        "type": "object",
        "properties": {
            "decision": {"const": "approved"},
            "by": {"type": "string"},
            "at": _TIME,
            "data": {},
            "comment": {"type": ["string", "null"]},
        },
        "required": ["decision", "by", "at", "data", "comment"],
    },
    CALL: {},
    DEFINE: {},
    ASSIGN: {},
}

TITLES = {
    BRANCH: "Take one branch, or every branch that matches",
    PARALLEL: "Run branches at once",
    MAP: "Run steps for every item",
    LOOP: "Repeat steps one after another",
    TRY: "Catch failures and clean up",
    RETURN: "End the instance",
    WAIT: "Wait for a time, an event or a callback",
    APPROVAL: "Wait for a person's decision",
    CALL: "Run another DAG",
    DEFINE: "Define a run variable",
    ASSIGN: "Assign to a run variable",
}


def control_specs() -> list[OperatorSpec]:
    """Declare the control operators, as the catalog of operators shows them."""
    steps: dict[str, Field | JsonSchema] = {"steps": {"type": "array", "minItems": 1}}
    return [
        OperatorSpec(
            name=name,
            title=TITLES[name],
            kind="control",
            parameters=shape.schema() | {"$defs": steps},
            output=OUTPUTS[name],
            has_side_effects=False,
            expression_fields=EXPRESSION_FIELDS.get(name, ()),
            dry_run="runs",
        )
        for name, shape in PARAMETERS.items()
    ]
