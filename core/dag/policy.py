"""Rules between the fields of a step (semantics.md S3, S13, S16, S23, S47) and calls of itself (S29)."""

from __future__ import annotations

from collections.abc import Iterator

from core.dag.control import ASSIGN, CALL, DEFINE, RETURN, TRY
from core.dag.fault import Faults, below
from core.dag.grammar import NEVER_RETRIED_KINDS
from core.dag.lists import lists_of, top_lists, walk_steps
from core.dag.model import Dag, Step

# semantics.md S3: words of the expression language.
RESERVED_IDS = frozenset({"in", "true", "false", "null"})
ELSE = "else"


def check_ids(dag: Dag, faults: Faults) -> None:
    """Add reserved and duplicate ids of steps, branches and triggers."""
    steps = [step for _, top in top_lists(dag) for step in walk_steps(top)]
    _check_unique([(step.id, f"{step.pointer}/id") for step in steps], "step", RESERVED_IDS, faults)
    _check_unique([(one.id, f"{one.pointer}/id") for one in dag.triggers], "trigger", RESERVED_IDS, faults)
    for step in steps:
        named = [(branch.id, f"{branch.pointer}/id") for branch in step.branches]
        _check_unique(named, "branch", RESERVED_IDS | {ELSE}, faults)


def _check_unique(named: list[tuple[str, str]], what: str, reserved: frozenset[str], faults: Faults) -> None:
    seen: set[str] = set()
    for name, pointer in named:
        if name in reserved:
            faults.add("dag.id.reserved", pointer, f"{name} is a word of the language", hint=f"use {name}_1")
        elif name in seen:
            faults.add("dag.id.duplicate", pointer, f"another {what} has the id {name}")
        elif name:
            seen.add(name)


def check_policies(dag: Dag, faults: Faults) -> None:
    """Add what the policies of a step may not say (`dag.policy`), and a DAG that calls itself (`dag.call.cycle`)."""
    for at, top in top_lists(dag):
        for step in walk_steps(top):
            _check_retried_kinds(step, faults)
            if step.operator.startswith("@control/") or step.operator in (DEFINE, ASSIGN):
                _check_engine_step(step, faults)
            if step.at_most_once and step.retry is not None and step.retry.max_attempts > 1:
                _add_attempts(step, faults)
            if step.operator == CALL and step.parameters.get("dag") == dag.title:
                pointer = f"{step.pointer}/parameters/dag"
                faults.add("dag.call.cycle", pointer, f"the DAG {dag.title} would call itself for ever")
        is_hook = at != "/steps"
        for step in _returns(top, is_refused=is_hook):
            message = "a return is not allowed in a hook or in finally: the instance is ending already"
            faults.add("dag.policy", f"{step.pointer}/operator", message)
    if dag.triggers and dag.type in ("operator", "security-policy"):
        faults.add("dag.trigger", "/triggers", f"a DAG of type {dag.type} has no triggers")


def _check_retried_kinds(step: Step, faults: Faults) -> None:
    for place, kind in enumerate(step.retry.on if step.retry else ()):
        if kind in NEVER_RETRIED_KINDS:
            pointer = below(f"{step.pointer}/retry/on", place)
            faults.add("dag.policy", pointer, f"a failure of kind {kind} is never retried")


def _check_engine_step(step: Step, faults: Faults) -> None:
    """Refuse policies of attempts on a step that has none (S16)."""
    given = {
        "retry": step.retry is not None,
        "cache": step.cache is not None,
        "at_most_once": step.at_most_once,
        "concurrency": step.concurrency is not None,
    }
    for name, is_given in given.items():
        if is_given:
            faults.add("dag.policy", f"{step.pointer}/{name}", f"{name} is not allowed on {step.operator}")
    for name in ("attempt_s", "queue_s", "heartbeat_s"):
        if step.timeout is not None and getattr(step.timeout, name) is not None:
            pointer = f"{step.pointer}/timeout/{name}"
            faults.add("dag.policy", pointer, f"{step.operator} has no attempts", allowed=("total_s",))


def _add_attempts(step: Step, faults: Faults) -> None:
    message = "a step that is called at most once has one attempt"
    faults.add("dag.policy", f"{step.pointer}/retry/max_attempts", message, hint="set max_attempts to 1")


def _returns(steps: tuple[Step, ...], *, is_refused: bool) -> Iterator[Step]:
    """Give the returns that stand where none may be: in hooks, and in `finally` at any depth."""
    for step in steps:
        if step.operator == RETURN and is_refused:
            yield step
        for name, inner in lists_of(step):
            yield from _returns(inner, is_refused=is_refused or (step.operator == TRY and name == "finally"))
