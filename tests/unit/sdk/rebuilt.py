"""A document told through the builder's calls alone, the way its author would have written it in Python."""

from __future__ import annotations

from typing import Any

from flow_automation import Dag, StepList

_FIELDS = {"$schema": "schema_url", "vars": "constants"}
_TAKEN_APART = ("title", "steps", "outputs")


def rebuilt(value: dict[str, Any]) -> Dag:
    """Build a DAG whose document must equal `value`."""
    fields = {_FIELDS.get(name, name): part for name, part in value.items() if name not in _TAKEN_APART}
    hooks = dict(fields.pop("settings", {}))
    told = {name: hooks.pop(name) for name in ("on_failure", "on_finish") if name in hooks}
    if hooks:
        fields["settings"] = hooks
    dag = Dag(value["title"], **fields)
    add(dag, value["steps"])
    for name, steps in told.items():
        add(getattr(dag, name)(), steps)
    if "outputs" in value:
        dag.outputs(value["outputs"])
    return dag


def add(target: StepList, steps: list[dict[str, Any]]) -> None:
    for step in steps:
        add_one(target, dict(step))


def add_one(target: StepList, step: dict[str, Any]) -> None:
    step_id, operator, parameters = step.pop("id"), step.pop("operator"), step.pop("parameters", None)
    caught = step.pop("on_error") if isinstance(step.get("on_error"), list) else None
    made: Any
    match operator:
        case "@control/branch":
            made = target.branch(step_id, mode=parameters.get("mode"), **step)
            for case in parameters["branches"]:
                add(made.case(case["id"], case["when"]), case["steps"])
            if "else" in parameters:
                add(made.otherwise(), parameters["else"])
        case "@control/parallel":
            made = target.parallel(step_id, **step)
            for branch in parameters["branches"]:
                add(made.branch(branch["id"]), branch["steps"])
        case "@control/map":
            plain = {name: part for name, part in parameters.items() if name not in ("steps", "outputs")}
            made = target.map(step_id, plain.pop("items"), **plain, **step)
            add(made.steps(), parameters["steps"])
            if "outputs" in parameters:
                made.outputs(parameters["outputs"])
        case "@control/loop":
            plain = {name: part for name, part in parameters.items() if name not in ("steps", "outputs", "break_when")}
            made = target.loop(step_id, plain.pop("mode"), **plain, **step)
            add(made.steps(), parameters["steps"])
            if "outputs" in parameters:
                made.outputs(parameters["outputs"])
            if "break_when" in parameters:
                made.break_when(parameters["break_when"])
        case "@control/try":
            made = target.try_(step_id, **step)
            for name, list_of in (("steps", made.steps), ("catch", made.catch), ("finally", made.finally_)):
                if name in parameters:
                    add(list_of(), parameters[name])
        case "@control/return":
            made = target.end(step_id, **(parameters or {}), **step)
        case "@data/define":
            made = target.define(step_id, **parameters, **step)
        case "@data/assign":
            made = target.assign(step_id, **parameters, **step)
        case _:
            made = target.step(step_id, operator, parameters, **step)
    if caught is not None:
        add(made.on_error(), caught)
