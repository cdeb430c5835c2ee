"""What an expression may refer to at one place of a DAG: filled per step when a version is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from core.expression.types import DYN, INT, STRING, TIMESTAMP, Type, list_of, object_of

ERROR_TYPE: Final = object_of(
    {"kind": STRING, "message": STRING, "step": STRING, "attempt": INT, "cause": DYN, "data": DYN}
)
TRIGGER_TYPE: Final = object_of({"kind": STRING, "event": DYN, "scheduled_at": TIMESTAMP, "data": DYN})
INSTANCE_TYPE: Final = object_of(
    {"id": STRING, "started_at": TIMESTAMP, "version": STRING, "parent": DYN, "outcome": STRING}
)
# What every step has beside its output, always, for a step upstream (S32).
STEP_FIELDS: Final[Mapping[str, Type]] = {"status": STRING, "error": ERROR_TYPE, "attempts": INT}
# What a map has more (S17).
MAP_STEP_FIELDS: Final[Mapping[str, Type]] = {**STEP_FIELDS, "errors": list_of(DYN)}
LOOP_FIELDS: Final[Mapping[str, Type]] = {"item": DYN, "index": INT}


class StepView(msgspec.Struct, frozen=True):
    """A step as an expression sees it.

    Args:
        id: the step's id.
        output: type of its output.
        may_lack_output: it may have no output here, so that reading it must be guarded (S32).
        upstream: it has ended, on every path, before this expression is evaluated.
        fields: what can be read of it beside `output`.
    """

    id: str
    output: Type = DYN
    may_lack_output: bool = False
    upstream: bool = True
    fields: Mapping[str, Type] = msgspec.field(default_factory=lambda: STEP_FIELDS)


class VariableView(msgspec.Struct, frozen=True):
    """A variable as an expression sees it.

    Args:
        type: of its value.
        may_lack_value: the step that defines it may not have run (S24); reading it must be guarded.
        defined_by: id of that step; its guard covers the variable. None for the DAG's constants.
        upstream: that step has ended, on every path, before this expression is evaluated.
    """

    type: Type = DYN
    may_lack_value: bool = False
    defined_by: str | None = None
    upstream: bool = True


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """All names at one place.

    Args:
        names: roots that may be read whole here, with their types: `inputs`, `trigger`, `instance`, `item`, `index`,
            `error`, and roots of operators' own.
        steps: every step that is visible here (S5).
        hidden: steps that exist but are not visible here, with the reason as a hint.
        vars: constants and variables.
        loops: enclosing maps and loops, with what each has: `item`, `index`, `last`.
        callbacks: ids of waits whose callback can be read here.
        allows_secrets: `secrets` and `connections` may be read here (S37).
        proven: guards that hold for the whole expression: what `guards_of` gives for the step's own `when` (S32).
    """

    names: Mapping[str, Type] = {}
    steps: Mapping[str, StepView] = {}
    hidden: Mapping[str, str] = {}
    vars: Mapping[str, VariableView] = {}
    loops: Mapping[str, Mapping[str, Type]] = {}
    callbacks: frozenset[str] = frozenset()
    allows_secrets: bool = False
    proven: frozenset[str] = frozenset()
