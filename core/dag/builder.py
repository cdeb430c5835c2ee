"""Raw document -> `Dag`, leaving out what has a fault already, so that one fault does not make others."""

from __future__ import annotations

from typing import Any

import msgspec

from core.dag.catalog import Retry, Timeout
from core.dag.control import BRANCH, PARALLEL, PARAMETERS
from core.dag.fault import Faults, below
from core.dag.model import Branch, Cache, Concurrency, Dag, Settings, Step, StepConcurrency, Trigger
from core.dag.shape import Record, Steps

_STEP_PLAIN = ("title", "when", "join", "at_most_once", "output_schema", "breakpoint")
_STEP_POLICIES: dict[str, Any] = {
    "retry": Retry, "timeout": Timeout, "cache": Cache, "concurrency": StepConcurrency,
}  # fmt: skip
_DAG_PLAIN = ("description", "type", "status", "inputs", "vars", "outputs", "version", "change_log")
_LIST_FIELDS = {
    operator: tuple(name for name, field in shape.fields.items() if isinstance(field.shape, Steps))
    for operator, shape in PARAMETERS.items()
}


def build_dag(value: dict[str, Any], faults: Faults) -> Dag:
    """Build the model of a document; fields with faults take their defaults, steps that are no objects are left out."""
    sound = _sound(value, "", _DAG_PLAIN, faults)
    return Dag(
        title=_text(value, "title", "", faults),
        steps=build_steps(value.get("steps"), "/steps", faults),
        tags=tuple(value["tags"]) if "tags" in value and not faults.has_within("/tags") else (),
        triggers=_triggers(value.get("triggers"), faults),
        settings=_settings(value.get("settings"), faults),
        **sound,
    )


def build_steps(value: Any, at: str, faults: Faults) -> tuple[Step, ...]:
    """Build one list of steps; anything but a list gives none."""
    if not isinstance(value, list):
        return ()
    return tuple(_step(step, below(at, index), faults) for index, step in enumerate(value) if isinstance(step, dict))


def _step(raw: dict[str, Any], at: str, faults: Faults) -> Step:
    operator = _text(raw, "operator", at, faults)
    parameters = raw.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    shape = PARAMETERS.get(operator)
    policies = {
        name: msgspec.convert(raw[name], kind)
        for name, kind in _STEP_POLICIES.items()
        if name in raw and not faults.has_within(f"{at}/{name}")
    }
    depends_on = None
    if isinstance(raw.get("depends_on"), list):
        depends_on = tuple(name if isinstance(name, str) else "" for name in raw["depends_on"])
    return Step(
        id=_text(raw, "id", at, faults),
        operator=operator,
        pointer=at,
        depends_on=depends_on,
        parameters=parameters if shape is None else _scalars(operator, shape, parameters, at, faults),
        on_error=_on_error(raw.get("on_error"), f"{at}/on_error", faults),
        branches=_branches(parameters.get("branches"), f"{at}/parameters/branches", faults)
        if operator in (BRANCH, PARALLEL)
        else (),
        lists={
            name: build_steps(parameters[name], f"{at}/parameters/{name}", faults)
            for name in _LIST_FIELDS.get(operator, ())
            if name in parameters
        },
        **_sound(raw, at, _STEP_PLAIN, faults),
        **policies,
    )


def _scalars(operator: str, shape: Record, parameters: dict[str, Any], at: str, faults: Faults) -> dict[str, Any]:
    """Give a control operator's parameters without its lists and without faulty ones."""
    return {
        name: value
        for name, value in parameters.items()
        if name in shape.fields
        and name != "branches"
        and name not in _LIST_FIELDS[operator]
        and not faults.has_within(below(f"{at}/parameters", name))
    }


def _on_error(value: Any, at: str, faults: Faults) -> Any:
    if isinstance(value, list):
        return build_steps(value, at, faults)
    return "continue" if value == "continue" else "fail"


def _branches(value: Any, at: str, faults: Faults) -> tuple[Branch, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(
        Branch(
            id=_text(raw, "id", below(at, index), faults),
            steps=build_steps(raw.get("steps"), f"{below(at, index)}/steps", faults),
            when=_text(raw, "when", below(at, index), faults) if "when" in raw else None,
            pointer=below(at, index),
        )
        for index, raw in enumerate(value)
        if isinstance(raw, dict)
    )


def _triggers(value: Any, faults: Faults) -> tuple[Trigger, ...]:
    if not isinstance(value, list):
        return ()
    triggers = []
    for index, raw in enumerate(value):
        if isinstance(raw, dict):
            parameters = raw.get("parameters")
            at = f"/triggers/{index}"
            triggers.append(
                Trigger(
                    id=_text(raw, "id", at, faults),
                    operator=_text(raw, "operator", at, faults),
                    parameters=parameters if isinstance(parameters, dict) else {},
                    pointer=at,
                )
            )
    return tuple(triggers)


def _settings(value: Any, faults: Faults) -> Settings:
    if not isinstance(value, dict):
        return Settings()
    plain = _sound(value, "/settings", ("timeout_s", "priority", "retention_days", "labels"), faults)
    if "concurrency" in value and not faults.has_within("/settings/concurrency"):
        plain["concurrency"] = msgspec.convert(value["concurrency"], Concurrency)
    return Settings(
        on_failure=build_steps(value.get("on_failure"), "/settings/on_failure", faults),
        on_finish=build_steps(value.get("on_finish"), "/settings/on_finish", faults),
        **plain,
    )


def _sound(raw: dict[str, Any], at: str, names: tuple[str, ...], faults: Faults) -> dict[str, Any]:
    """Give the fields that are there and have no fault."""
    return {name: raw[name] for name in names if name in raw and not faults.has_within(f"{at}/{name}")}


def _text(raw: dict[str, Any], name: str, at: str, faults: Faults) -> str:
    """Give a text field without fault, else an empty text."""
    value = raw.get(name)
    return value if isinstance(value, str) and not faults.has_within(f"{at}/{name}") else ""
