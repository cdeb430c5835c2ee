"""What is different between two versions of a DAG: by steps, not by lines (dag-language.md 7)."""

from __future__ import annotations

from typing import Any

import msgspec

from core.dag.graph import grouped_lists
from core.dag.lists import order_of
from core.dag.model import Dag, Settings, Step

# Compared apart: steps by id; a version's number and its log are different anyway.
_DAG_FIELDS = tuple(
    name for name in Dag.__struct_fields__ if name not in ("steps", "settings", "version", "change_log")
)
_SETTINGS_FIELDS = tuple(name for name in Settings.__struct_fields__ if name not in ("on_failure", "on_finish"))
# Where a step stands, the lists in it and what it waits for are told apart.
_STEP_FIELDS = tuple(
    name
    for name in Step.__struct_fields__
    if name not in ("id", "pointer", "depends_on", "branches", "lists", "on_error")
)


class StepPlace(msgspec.Struct, frozen=True):
    """A step that stands in one of the two versions only; `pointer` = its place there."""

    id: str
    pointer: str


class StepChange(msgspec.Struct, frozen=True, kw_only=True):
    """A step of both versions that does something else; `pointer` in the first, `other_pointer` in the second."""

    id: str
    pointer: str
    other_pointer: str
    fields: tuple[str, ...]


class StepRewired(msgspec.Struct, frozen=True, kw_only=True):
    """A step of both versions that waits for others, or stands in another list; `group` as in a drawing."""

    id: str
    pointer: str
    other_pointer: str
    group: str
    other_group: str
    upstream: tuple[str, ...]
    other_upstream: tuple[str, ...]


class DagDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The differences from one version to another; each list in the order of the text it points into.

    `fields` are pointers to what is different outside of steps. Only what is different beside the content may be all:
    `is_same_content` = both run alike.
    """

    is_same_content: bool
    added: tuple[StepPlace, ...]
    removed: tuple[StepPlace, ...]
    changed: tuple[StepChange, ...]
    rewired: tuple[StepRewired, ...]
    fields: tuple[str, ...]


class _Wired(msgspec.Struct, frozen=True):
    step: Step
    group: str
    upstream: tuple[str, ...]


def compare(dag: Dag, other: Dag, *, is_same_content: bool) -> DagDiff:
    """Give what is different in `other`, seen from `dag`."""
    steps, others = _wired(dag), _wired(other)
    both = [(steps[name], others[name]) for name in steps if name in others]
    return DagDiff(
        is_same_content=is_same_content,
        added=tuple(StepPlace(name, found.step.pointer) for name, found in others.items() if name not in steps),
        removed=tuple(StepPlace(name, found.step.pointer) for name, found in steps.items() if name not in others),
        changed=tuple(
            StepChange(id=one.step.id, pointer=one.step.pointer, other_pointer=two.step.pointer, fields=fields)
            for one, two in both
            if (fields := _step_fields(one.step, two.step))
        ),
        rewired=tuple(
            _rewired(one, two) for one, two in both if (one.group, one.upstream) != (two.group, two.upstream)
        ),
        fields=tuple(
            [f"/{name}" for name in _DAG_FIELDS if _field(dag, name) != _field(other, name)]
            + [
                f"/settings/{name}"
                for name in _SETTINGS_FIELDS
                if getattr(dag.settings, name) != getattr(other.settings, name)
            ]
        ),
    )


def _wired(dag: Dag) -> dict[str, _Wired]:
    found = {}
    for group, steps in grouped_lists(dag):
        for step, places in zip(steps, order_of(steps).upstream, strict=True):
            found[step.id] = _Wired(step, group.id, tuple(steps[place].id for place in places))
    return found


def _step_fields(step: Step, other: Step) -> tuple[str, ...]:
    fields = [name for name in _STEP_FIELDS if getattr(step, name) != getattr(other, name)]
    if _branches(step) != _branches(other) or step.lists.keys() != other.lists.keys():
        fields.append("branches" if step.branches or other.branches else "lists")
    if _on_error(step) != _on_error(other):
        fields.append("on_error")
    return tuple(fields)


def _branches(step: Step) -> list[tuple[str, str | None]]:
    """Give branches in order, without their steps: these are compared by their ids."""
    return [(branch.id, branch.when) for branch in step.branches]


def _on_error(step: Step) -> str:
    return step.on_error if isinstance(step.on_error, str) else "steps"


def _field(dag: Dag, name: str) -> Any:
    value = getattr(dag, name)
    # Where a trigger stands in the text is no difference.
    return [(one.id, one.operator, one.parameters) for one in value] if name == "triggers" else value


def _rewired(one: _Wired, two: _Wired) -> StepRewired:
    return StepRewired(
        id=one.step.id,
        pointer=one.step.pointer,
        other_pointer=two.step.pointer,
        group=one.group,
        other_group=two.group,
        upstream=one.upstream,
        other_upstream=two.upstream,
    )
