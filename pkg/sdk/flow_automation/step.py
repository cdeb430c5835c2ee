"""Steps and lists of steps under construction; what each call adds stands in the document at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

from flow_automation.expression import Expression, bare, named, rendered
from flow_automation.policy import Cache, Join, JsonSchema, Retry, StepConcurrency, Timeout


class StepFields(TypedDict, total=False):
    """Fields of every step (dag-language.md 2); what is not given is not written and keeps the language's default.

    `when` is an `Expression` or bare CEL; `depends_on` names steps of the same list, `[]` = starts with its list.
    """

    title: str
    depends_on: Sequence[Step | str]
    when: Expression | str
    join: Join
    retry: Retry
    timeout: Timeout
    on_error: Literal["fail", "continue"]
    at_most_once: bool
    cache: Cache
    concurrency: StepConcurrency
    output_schema: JsonSchema
    breakpoint: bool


class Step:
    """One step; its attributes are expressions for the steps that come after it."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Take the step's place in the document; `StepList.step` makes it."""
        self._document = document
        self._path = named(f"steps.{document['id']}")

    @property
    def id(self) -> str:
        """The step's id."""
        return str(self._document["id"])

    @property
    def output(self) -> Expression:
        """What it gave; guard it when it may have given nothing (semantics.md S32)."""
        return self._path.output

    @property
    def status(self) -> Expression:
        """How it ended: `succeeded`, `failed`, `skipped`, `cancelled`."""
        return self._path.status

    @property
    def error(self) -> Expression:
        """Why it failed: `{kind, message, step, attempt, ...}`, or null."""
        return self._path.error

    @property
    def attempts(self) -> Expression:
        """How often its operator was called."""
        return self._path.attempts

    def on_error(self) -> StepList:
        """Begin the list that answers this step's failure; its value takes the output's place (semantics.md S12)."""
        return StepList(self._document.setdefault("on_error", []))

    @property
    def _parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = self._document.setdefault("parameters", {})
        return parameters


class BranchStep(Step):
    """`@control/branch`: the first case that holds, or all that do."""

    def case(self, branch_id: str, when: Expression | str) -> StepList:
        """Begin the list of one case."""
        return _branch(self._parameters, {"id": branch_id, "when": _condition(when)})

    def otherwise(self) -> StepList:
        """Begin the list that runs when no case holds."""
        return StepList(self._parameters.setdefault("else", []))


class ParallelStep(Step):
    """`@control/parallel`: all branches at once, joined."""

    def branch(self, branch_id: str) -> StepList:
        """Begin the list of one branch."""
        return _branch(self._parameters, {"id": branch_id})


class MapStep(Step):
    """`@control/map`: one sub-graph per item."""

    @property
    def errors(self) -> Expression:
        """Failed items `[{index, error}]` with `on_item_error: collect`."""
        return self._path.errors

    @property
    def item(self) -> Expression:
        """This map's item, also from maps inside it."""
        return named(f"loops.{self.id}.item")

    @property
    def index(self) -> Expression:
        """This map's place, from 0, also from maps inside it."""
        return named(f"loops.{self.id}.index")

    def steps(self) -> StepList:
        """Begin, or go on with, the steps of each item."""
        return StepList(self._parameters.setdefault("steps", []))

    def outputs(self, value: object) -> None:
        """Set what each item gives; without it the output of its last step."""
        self._parameters["outputs"] = rendered(value)


class LoopStep(Step):
    """`@control/loop`: iterations of one sub-graph, one after another."""

    @property
    def item(self) -> Expression:
        """The item of an `each` loop, also from containers inside it."""
        return named(f"loops.{self.id}.item")

    @property
    def index(self) -> Expression:
        """The number of the iteration, from 0, also from containers inside it."""
        return named(f"loops.{self.id}.index")

    @property
    def last(self) -> Expression:
        """The value of the iteration before, null at first."""
        return named(f"loops.{self.id}.last")

    def steps(self) -> StepList:
        """Begin, or go on with, the steps of each iteration."""
        return StepList(self._parameters.setdefault("steps", []))

    def outputs(self, value: object) -> None:
        """Set what each iteration gives; without it the output of its last step."""
        self._parameters["outputs"] = rendered(value)

    def break_when(self, condition: Expression | str) -> None:
        """End the loop after the iteration whose steps make this true; its value is kept."""
        self._parameters["break_when"] = _condition(condition)


class TryStep(Step):
    """`@control/try`: steps, what catches their failure, and what runs last in every case."""

    def steps(self) -> StepList:
        """Begin, or go on with, the steps that are tried."""
        return StepList(self._parameters.setdefault("steps", []))

    def catch(self) -> StepList:
        """Begin the list that answers a failure; it sees `error`, and its value takes the output's place."""
        return StepList(self._parameters.setdefault("catch", []))

    def finally_(self) -> StepList:
        """Begin the list that runs last, whatever became of the others."""
        return StepList(self._parameters.setdefault("finally", []))


class StepList:
    """A list of steps: each begins when the one before it has ended, unless `depends_on` says otherwise.

    `with list as name:` only draws its lines together for the reader.
    """

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        """Take the list in the document."""
        self._steps = steps

    def __enter__(self) -> Self:
        """Give the list itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""

    def step(
        self,
        step_id: str,
        operator: str,
        parameters: Mapping[str, object] | None = None,
        **fields: Unpack[StepFields],
    ) -> Step:
        """Add a step of any operator; `parameters` None writes none."""
        return Step(self._add(step_id, operator, parameters, fields))

    def branch(
        self, step_id: str, *, mode: Literal["first", "all"] | None = None, **fields: Unpack[StepFields]
    ) -> BranchStep:
        """Add `@control/branch`; without `mode` the first case that holds is taken."""
        given: dict[str, object] = {"branches": []} if mode is None else {"mode": mode, "branches": []}
        return BranchStep(self._add(step_id, "@control/branch", given, fields))

    def parallel(self, step_id: str, **fields: Unpack[StepFields]) -> ParallelStep:
        """Add `@control/parallel`."""
        return ParallelStep(self._add(step_id, "@control/parallel", {"branches": []}, fields))

    def map(
        self,
        step_id: str,
        items: object,
        *,
        max_concurrency: int | None = None,
        batch_size: int | None = None,
        on_item_error: Literal["fail", "collect", "ignore"] | None = None,
        **fields: Unpack[StepFields],
    ) -> MapStep:
        """Add `@control/map` over a list, or an expression that gives one (at most 100 000 items)."""
        optional = {"max_concurrency": max_concurrency, "batch_size": batch_size, "on_item_error": on_item_error}
        given = {"items": items, **{name: value for name, value in optional.items() if value is not None}}
        return MapStep(self._add(step_id, "@control/map", given, fields))

    def loop(
        self,
        step_id: str,
        mode: Literal["count", "while", "each"],
        *,
        limit: object = None,
        condition: Expression | str | None = None,
        items: object = None,
        max_iterations: int | None = None,
        **fields: Unpack[StepFields],
    ) -> LoopStep:
        """Add `@control/loop`: `count` takes `limit`, `while` a `condition`, `each` a list of `items`."""
        optional = {"limit": limit, "items": items, "max_iterations": max_iterations}
        given = {"mode": mode, **{name: value for name, value in optional.items() if value is not None}}
        if condition is not None:
            given["condition"] = _condition(condition)
        return LoopStep(self._add(step_id, "@control/loop", given, fields))

    def try_(self, step_id: str, **fields: Unpack[StepFields]) -> TryStep:
        """Add `@control/try`; it needs `steps()`, and `catch()` or `finally_()`."""
        return TryStep(self._add(step_id, "@control/try", {}, fields))

    def end(
        self,
        step_id: str,
        *,
        result: Literal["success", "failed"] | None = None,
        outputs: object = None,
        reason: object = None,
        **fields: Unpack[StepFields],
    ) -> Step:
        """Add `@control/return`: ends the instance from any depth; `outputs` replace the DAG's."""
        optional = {"result": result, "outputs": outputs, "reason": reason}
        given = {name: value for name, value in optional.items() if value is not None}
        return Step(self._add(step_id, "@control/return", given or None, fields))

    def define(self, step_id: str, name: str, value: object, **fields: Unpack[StepFields]) -> Step:
        """Add `@data/define`: a run variable, read as `variables.<name>`."""
        return Step(self._add(step_id, "@data/define", {"name": name, "value": value}, fields))

    def assign(self, step_id: str, name: str, value: object, **fields: Unpack[StepFields]) -> Step:
        """Add `@data/assign`: a new value of a run variable."""
        return Step(self._add(step_id, "@data/assign", {"name": name, "value": value}, fields))

    def _add(
        self, step_id: str, operator: str, parameters: Mapping[str, object] | None, fields: StepFields
    ) -> dict[str, Any]:
        document: dict[str, Any] = {"id": step_id}
        if "title" in fields:
            document["title"] = fields["title"]
        document["operator"] = operator
        if parameters is not None:
            document["parameters"] = rendered(parameters, "/parameters")
        for name, value in fields.items():
            if name == "depends_on":
                document[name] = [step.id if isinstance(step, Step) else step for step in fields["depends_on"]]
            elif name == "when":
                document[name] = _condition(fields["when"])
            elif name != "title":
                document[name] = rendered(value, f"/{name}")
        self._steps.append(document)
        return document


def _branch(parameters: dict[str, Any], branch: dict[str, Any]) -> StepList:
    steps: list[dict[str, Any]] = []
    parameters["branches"].append({**branch, "steps": steps})
    return StepList(steps)


def _condition(when: Expression | str) -> str:
    return when if isinstance(when, str) else bare(when)
