"""What each place of a DAG sees (semantics.md S5, S20, S24, S32): environments for the checks of expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from core.dag.catalog import Catalog
from core.dag.control import (
    ASSIGN,
    BRANCH,
    DEFINE,
    LOOP,
    MAP,
    PARALLEL,
    TRY,
    WAIT,
)
from core.dag.fault import Faults
from core.dag.language import find_operator
from core.dag.lists import lists_of, top_lists, walk_steps
from core.dag.model import Dag, Step
from core.dag.variable import definitions, name_of
from core.expression import (
    INSTANCE_TYPE,
    MAP_STEP_FIELDS,
    STEP_FIELDS,
    TRIGGER_TYPE,
    Environment,
    StepView,
    Type,
    VariableView,
    type_of_schema,
)
from core.expression.types import BOOL, DOUBLE, DYN, INT, NULL, STRING, join, list_of, object_of

_ANY_OBJECT = type_of_schema({"type": "object"})


def type_of_value(value: Any) -> Type:
    """Give the type of a constant, a template's text being anything."""
    if isinstance(value, str):
        return DYN if "{{" in value else STRING
    if isinstance(value, dict):
        return object_of({name: type_of_value(part) for name, part in value.items()})
    if isinstance(value, list):
        return list_of(join([type_of_value(part) for part in value]))
    return {type(None): NULL, bool: BOOL, int: INT, float: DOUBLE}[type(value)]


class Outputs:
    """Types of the steps' outputs (S17), each worked out once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._of_step: dict[str, Type] = {}
        self._of_operator: dict[str, Type] = {}

    def of(self, step: Step) -> Type:
        """Give the type of a step's output, that of its `on_error` list included."""
        known = self._of_step.get(step.pointer)
        if known is None:
            known = type_of_schema(step.output_schema) if step.output_schema is not None else self._own(step)
            if isinstance(step.on_error, tuple):
                known = join([known, self.of_list(step.on_error)])
            self._of_step[step.pointer] = known
        return known

    def of_list(self, steps: tuple[Step, ...]) -> Type:
        """Give the type of a list's value: the output of its last step."""
        return self.of(steps[-1]) if steps else DYN

    def of_turn(self, step: Step) -> Type:
        """Give the type of what one item of a map, or iteration of a loop, comes to."""
        if "outputs" in step.parameters:
            return type_of_value(step.parameters["outputs"])
        return self.of_list(step.lists.get("steps", ()))

    def _own(self, step: Step) -> Type:
        parameters = step.parameters
        if step.operator in (MAP, LOOP):
            return list_of(self.of_turn(step))
        if step.operator in (BRANCH, PARALLEL):
            return self._of_branches(step)
        if step.operator == TRY:
            return join([self.of_list(step.lists[name]) for name in ("steps", "catch") if name in step.lists])
        if step.operator in (DEFINE, ASSIGN):
            return type_of_value(parameters.get("value", ""))
        return self._declared(step.operator)

    def _of_branches(self, step: Step) -> Type:
        values = {branch.id: self.of_list(branch.steps) for branch in step.branches}
        if "else" in step.lists:
            values["else"] = self.of_list(step.lists["else"])
        if step.operator == BRANCH and step.parameters.get("mode", "first") == "first":
            return object_of({"branch": DYN, "value": join(list(values.values()))})
        return object_of(values)

    def _declared(self, operator: str) -> Type:
        known = self._of_operator.get(operator)
        if known is None:
            spec = find_operator(self._catalog, operator)
            known = self._of_operator[operator] = DYN if spec is None else type_of_schema(spec.output)
        return known


def may_lack_output(step: Step) -> bool:
    """Say whether a step that has ended may have no output though its list goes on (S32)."""
    return step.when is not None or step.join in ("any_succeeded", "none_failed") or step.on_error == "continue"


class Level(msgspec.Struct, frozen=True):
    """One list as seen from a place: `before` = bit set of the steps that have ended; `may_have_failed`: S32."""

    steps: tuple[Step, ...]
    places: dict[str, int]
    before: int
    may_have_failed: bool = False


def level_of(steps: tuple[Step, ...], before: int | None = None, *, may_have_failed: bool = False) -> Level:
    """Make a level; `before` None = every step has ended."""
    places = {step.id: place for place, step in reversed(list(enumerate(steps))) if step.id}
    return Level(steps, places, (1 << len(steps)) - 1 if before is None else before, may_have_failed)


class VisibleSteps(Mapping[str, StepView]):
    """The steps of a chain of lists, inner ones first; views are made when asked for."""

    def __init__(self, levels: tuple[Level, ...], outputs: Outputs, faults: Faults) -> None:
        self._levels = levels
        self._outputs = outputs
        self._faults = faults

    def __getitem__(self, name: str) -> StepView:
        for level in self._levels:
            place = level.places.get(name)
            if place is not None:
                step = level.steps[place]
                return StepView(
                    id=name,
                    output=self._outputs.of(step),
                    may_lack_output=level.may_have_failed or may_lack_output(step),
                    upstream=bool(level.before >> place & 1),
                    fields=MAP_STEP_FIELDS if step.operator == MAP else STEP_FIELDS,
                )
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Give the names, which only proposals ask for; none when the document had its proposals."""
        return iter(self._faults.candidates(chain.from_iterable(level.places for level in self._levels)))

    def __len__(self) -> int:
        return sum(len(level.places) for level in self._levels)


class VisibleVariables(Mapping[str, VariableView]):
    """Constants and run variables; a variable is upstream where the step that defines it is."""

    def __init__(self, constants: Mapping[str, VariableView], defined: Mapping[str, Step], steps: VisibleSteps) -> None:
        self._constants = constants
        self._defined = defined
        self._steps = steps

    def __getitem__(self, name: str) -> VariableView:
        if name in self._constants:
            return self._constants[name]
        step = self._defined[name]
        view = self._steps.get(step.id)
        if view is None:
            return VariableView(defined_by=step.id, upstream=False)
        return VariableView(may_lack_value=view.may_lack_output, defined_by=step.id, upstream=view.upstream)

    def __iter__(self) -> Iterator[str]:
        yield from self._constants
        yield from (name for name in self._defined if name not in self._constants)

    def __len__(self) -> int:
        return len(self._constants.keys() | self._defined.keys())


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What a list adds to what its container sees: names, loops, guards that hold."""

    levels: tuple[Level, ...] = ()
    names: Mapping[str, Type] = {}
    loops: Mapping[str, Mapping[str, Type]] = {}
    proven: frozenset[str] = frozenset()

    def inside(self, **changes: Any) -> Frame:
        """Give a frame with some fields replaced."""
        return msgspec.structs.replace(self, **changes)


class Scopes:
    """Makes environments for one DAG."""

    def __init__(self, dag: Dag, catalog: Catalog, faults: Faults) -> None:
        self.outputs = Outputs(catalog)
        self._faults = faults
        self._constants = {name: VariableView(type=type_of_value(value)) for name, value in dag.vars.items()}
        self._defined = {name_of(step): step for step in reversed(list(definitions(dag)))}
        self._hidden = dict(_hidden(dag))
        self._callbacks = frozenset(
            step.id
            for _, top in top_lists(dag)
            for step in walk_steps(top)
            if step.operator == WAIT and "callback" in step.parameters
        )
        inputs = _ANY_OBJECT if dag.inputs is None else type_of_schema(dag.inputs)
        self.start = Frame(names={"inputs": inputs, "trigger": TRIGGER_TYPE, "instance": INSTANCE_TYPE})

    def environment(self, frame: Frame, *, allows_secrets: bool = False) -> Environment:
        """Give the environment of an expression at a frame."""
        steps = VisibleSteps(frame.levels, self.outputs, self._faults)
        return Environment(
            names=frame.names,
            steps=steps,
            hidden=self._hidden,
            vars=VisibleVariables(self._constants, self._defined, steps),
            loops=frame.loops,
            # As a step: in its own list and those below, whether it comes earlier or later (S27).
            callbacks=frozenset(id_ for level in frame.levels for id_ in self._callbacks & level.places.keys()),
            allows_secrets=allows_secrets,
            proven=frame.proven,
        )


def _hidden(dag: Dag) -> Iterator[tuple[str, str]]:
    """Give every step with the hint for places that do not see it."""
    for at, top in top_lists(dag):
        where = "a hook" if at != "/steps" else "the top list"
        yield from ((step.id, f"it stands in {where}") for step in top)
        for owner in walk_steps(top):
            for _, inner in lists_of(owner):
                hint = f"it is seen inside {owner.id} only; read steps.{owner.id}.output"
                yield from ((step.id, hint) for step in inner)
