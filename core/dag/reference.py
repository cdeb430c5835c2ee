"""Every expression of a DAG: syntax, references, types (semantics.md S7, S30 to S37), checked where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.dag.catalog import Catalog, JsonSchema, OperatorSpec
from core.dag.control import BRANCH, LOOP, MAP, TRY, WAIT
from core.dag.fault import Faults, names_of
from core.dag.json_schema import schema_at
from core.dag.language import find_operator
from core.dag.lists import Orders, lists_of
from core.dag.model import Dag, Step, Trigger
from core.dag.scope import Frame, Level, Scopes, level_of
from core.dag.trigger import inputs_field
from core.dag.walk import TOO_MANY_EXPRESSIONS, is_expression_field, texts
from core.expression import (
    ERROR_TYPE,
    TRIGGER_TYPE,
    Environment,
    ExpressionSyntaxError,
    Read,
    TemplateSyntaxErrors,
    Type,
    can_be,
    check,
    guards_of,
    parse_expression,
    parse_template,
    type_of_schema,
)
from core.expression.template import EXPRESSION_COUNT_MAX
from core.expression.types import BOOL, DYN, INT, STRING, element_of, list_of

_ITEM_TYPES = {"item": DYN, "index": INT}
_NO_LABEL = frozenset({"null", "list", "map"})
# Roots of sealed values: known, checked, and read only by a later release.
SEALED = ("secrets", "connections")
# Of all expressions of a document. Reading one costs up to 20 us per character, a thousand times what its text costs.
EXPRESSIONS_CHARACTERS_MAX = 64 * 1024


class References:
    """One pass over the expressions of a DAG. `sealed` = pointers of texts that read secrets where they may."""

    def __init__(self, dag: Dag, catalog: Catalog, orders: Orders, faults: Faults) -> None:
        self.sealed: list[str] = []
        self._dag = dag
        self._catalog = catalog
        self._orders = orders
        self._left = EXPRESSIONS_CHARACTERS_MAX
        self._faults = faults
        self._scopes = Scopes(dag, catalog, faults)
        self._filter = Environment(names={"event": DYN, "trigger": TRIGGER_TYPE})

    def check(self) -> None:
        """Add the faults of all expressions (`dag.expression.*`, `dag.reference.*`, `dag.secret.misplaced`)."""
        dag, start = self._dag, self._scopes.start
        self._check_list(dag.steps, start)
        ended = level_of(dag.steps)
        self._templates(dag.outputs, "/outputs", start.inside(levels=(ended,)))
        settings = dag.settings
        if settings.concurrency is not None:
            self._templates(settings.concurrency.key, "/settings/concurrency/key", start, {"type": "string"})
        self._check_labels(settings.labels)
        may_have_failed = level_of(dag.steps, may_have_failed=True)
        hook = start.inside(levels=(may_have_failed,), names={**start.names, "error": ERROR_TYPE})
        self._check_list(settings.on_failure, hook)
        self._check_list(settings.on_finish, hook)
        for trigger in dag.triggers:
            self._check_trigger(trigger)

    def _check_labels(self, labels: Mapping[str, str]) -> None:
        """Check the labels of instances: they are rendered before an instance is there, and become texts."""
        known = self._scopes.start.names
        frame = Frame(names={name: known[name] for name in ("inputs", "trigger")})
        for pointer, kind in self._templates(labels, "/settings/labels", frame).items():
            if kind.kind in _NO_LABEL:
                self._faults.add(
                    "dag.expression.type", pointer, f"gives a {kind}; a label is text, a number or a boolean"
                )

    def _check_trigger(self, trigger: Trigger) -> None:
        at = f"{trigger.pointer}/parameters"
        names: dict[str, Type] = {"event": DYN, "trigger": TRIGGER_TYPE}
        if "batch" in trigger.parameters:
            names["events"] = list_of(DYN)
        frame = Frame(names=names)
        field = inputs_field(trigger)
        self._templates(trigger.parameters.get(field), f"{at}/{field}", frame, self._dag.inputs or {})
        throttle = trigger.parameters.get("throttle")
        keys = {"/dedupe_key": trigger.parameters.get("dedupe_key")}
        keys["/throttle/key"] = throttle.get("key") if isinstance(throttle, dict) else None
        for name, value in keys.items():
            self._templates(value, f"{at}{name}", frame, {"type": "string"})
        self._condition(trigger.parameters.get("filter"), f"{at}/filter", self._filter)

    def _check_list(self, steps: tuple[Step, ...], frame: Frame) -> None:
        """Check the steps of a list whose container sees `frame`."""
        order = self._orders.of(steps)
        here = level_of(steps, 0)
        for place, step in enumerate(steps):
            level = Level(steps, here.places, order.before[place], may_have_failed=step.join == "all_done")
            self._check_step(step, frame.inside(levels=(level, *frame.levels)))

    def _check_step(self, step: Step, frame: Frame) -> None:
        self._condition(step.when, f"{step.pointer}/when", self._scopes.environment(frame))
        inside = frame.inside(proven=frame.proven | _proven_by(step.when))
        at = f"{step.pointer}/parameters"
        spec = find_operator(self._catalog, step.operator)
        item = DYN
        if spec is not None and spec.kind == "control":
            item = self._check_control(step, spec, inside, at)
        else:
            self._check_work(step, spec, inside, at)
        for name, policy in (("cache", step.cache), ("concurrency", step.concurrency)):
            if policy is not None:
                self._templates(policy.key, f"{step.pointer}/{name}/key", inside, {"type": "string"})
        for name, steps in lists_of(step):
            self._check_list(steps, self._below(step, name, inside, item))

    def _check_work(self, step: Step, spec: OperatorSpec | None, frame: Frame, at: str) -> None:
        schema = spec.parameters if spec is not None else {}
        bare = spec.expression_fields if spec is not None else ()
        sealed = spec.secrets_in if spec is not None else ("",)
        verbatim = spec.verbatim_fields if spec is not None else ()
        self._templates(step.parameters, at, frame, schema, bare=verbatim, sealed=sealed)
        for pointer, text in texts(step.parameters) if bare else ():
            if is_expression_field(pointer, bare):
                self._condition(text, at + pointer, Environment(names=_ITEM_TYPES), wanted=DYN)

    def _check_control(self, step: Step, spec: OperatorSpec, frame: Frame, at: str) -> Type:
        """Check a control operator's parameters; gives the type of a map's or loop's item."""
        parameters = dict(step.parameters)
        environment = self._scopes.environment(frame)
        if step.operator == BRANCH:
            for branch in step.branches:
                self._condition(branch.when or None, f"{branch.pointer}/when", environment)
        if step.operator == WAIT and isinstance(event := parameters.get("event"), dict):
            taken = self._scopes.environment(frame.inside(names={**frame.names, "event": DYN}))
            self._condition(event.get("filter"), f"{at}/event/filter", taken)
            parameters["event"] = {name: value for name, value in event.items() if name != "filter"}
        late = {name: parameters.pop(name) for name in _LATE if name in parameters and step.operator in (MAP, LOOP)}
        types = self._templates(parameters, at, frame, spec.parameters)
        item = _item_type(step, types.get(f"{at}/items"))
        if late:
            body = self._below(step, "steps", frame, item)
            ended = level_of(step.lists.get("steps", ()))
            after = body.inside(levels=(ended, *body.levels))
            self._templates(late.get("outputs"), f"{at}/outputs", after)
            self._condition(late.get("break_when"), f"{at}/break_when", self._scopes.environment(after))
            self._condition(late.get("condition"), f"{at}/condition", self._scopes.environment(body))
        return item

    def _below(self, step: Step, name: str, frame: Frame, item: Type) -> Frame:
        """Give what the list of this name inside a step sees."""
        if name == "on_error":
            return frame.inside(names={**frame.names, "error": ERROR_TYPE})
        if step.operator == TRY and name in ("catch", "finally"):
            tried = level_of(step.lists.get("steps", ()), may_have_failed=True)
            names = {**frame.names, "error": ERROR_TYPE} if name == "catch" else frame.names
            return frame.inside(levels=(tried, *frame.levels), names=names)
        if step.operator not in (MAP, LOOP):
            return frame
        own: dict[str, Type] = {"index": INT}
        if step.operator == MAP or step.parameters.get("mode") == "each":
            own["item"] = item
        last = {"last": self._scopes.outputs.of_turn(step)} if step.operator == LOOP else {}
        return frame.inside(names={**frame.names, **own}, loops={**frame.loops, step.id: {**own, **last}})

    def _condition(self, text: Any, at: str, environment: Environment, *, wanted: Type = BOOL) -> None:
        """Check bare CEL; what is no text has a fault already or is no expression."""
        if not isinstance(text, str) or not text or not self._may_read(len(text), at):
            return
        if text.lstrip().startswith("{{"):
            message = "this is an expression by itself, without {{ }}"
            self._faults.add("dag.expression.syntax", at, message, hint=_unwrapped(text))
            return
        try:
            node = parse_expression(text)
        except ExpressionSyntaxError as error:
            self._faults.add(error.code, at, f"{error.message} (character {error.offset + 1})")
            return
        kind = self._check_node(node, at, environment, 0)
        if not can_be(kind, wanted):
            self._faults.add("dag.expression.type", at, f"must give a {wanted}, not a {kind}")

    def _templates(
        self,
        value: Any,
        at: str,
        frame: Frame,
        schema: JsonSchema | None = None,
        *,
        bare: tuple[str, ...] = (),
        sealed: tuple[str, ...] = (),
    ) -> Mapping[str, Type]:
        """Check every template in a value against the schema of its place; gives types of whole texts by pointer."""
        types: dict[str, Type] = {}
        left = EXPRESSION_COUNT_MAX
        for pointer, text in texts(value, "{{"):
            if is_expression_field(pointer, bare):
                continue
            left -= text.count("{{")
            if left < 0:
                self._faults.add("dag.limit", at, TOO_MANY_EXPRESSIONS)
                break
            if not self._may_read(_expression_characters(text), at + pointer):
                break
            allows = any(pointer == one or pointer.startswith(f"{one}/") for one in sealed)
            environment = self._scopes.environment(frame, allows_secrets=allows)
            kind, is_whole = self._template(text, at + pointer, environment)
            if is_whole:
                types[at + pointer] = kind
            if schema is not None:
                self._check_fit(kind, schema_at(schema, names_of(pointer)), at + pointer)
        return types

    def _may_read(self, characters_count: int, at: str) -> bool:
        """Take from what may be read; the first text that passes it is named, and those after it are not looked at."""
        had = self._left
        self._left -= characters_count
        if self._left < 0 <= had:
            message = f"a document has at most {EXPRESSIONS_CHARACTERS_MAX} characters of expressions in all"
            self._faults.add("dag.limit", at, message)
        return self._left >= 0

    def _template(self, text: str, at: str, environment: Environment) -> tuple[Type, bool]:
        """Check one text; gives the type of what it renders to, and whether it is one whole expression."""
        try:
            template = parse_template(text)
        except TemplateSyntaxErrors as error:
            for fault in error.faults:
                self._faults.add(fault.code, at, f"{fault.message} (character {fault.offset + 1})")
            return DYN, False
        kind = DYN
        for one in template.expressions:
            kind = self._check_node(one.node, at, environment, one.offset)
        is_whole = len(template.expressions) == 1 and template.expressions[0].whole
        return (kind, True) if is_whole else (STRING, False)

    def _check_node(self, node: Any, at: str, environment: Environment, offset: int) -> Type:
        checked = check(node, environment)
        for fault in checked.faults:
            code = fault.code
            if code == "dag.reference.unknown" and fault.hint and fault.hint in environment.hidden.values():
                # The step exists, only elsewhere: nothing upstream of this place.
                code = "dag.reference.not_upstream"
            message = f"{fault.message} (character {offset + fault.offset + 1})"
            self._faults.add(code, at, message, hint=fault.hint, allowed=fault.allowed)
        if not checked.faults and _reads_sealed(checked.reads):
            self.sealed.append(at)
        return DYN if checked.faults else checked.type

    def _check_fit(self, kind: Type, schema: Any, at: str) -> None:
        wanted = type_of_schema(schema)
        if not can_be(kind, wanted) and not (kind.kind == "null" and _allows_null(schema)):
            self._faults.add("dag.expression.type", at, f"gives a {kind}, but the parameter is a {wanted}")


# Parameters of map and loop that are evaluated inside: with the item, or after the body.
_LATE = ("outputs", "break_when", "condition")


def _proven_by(when: str | None) -> frozenset[str]:
    """Give the steps that a step's own `when` proves; one that cannot be read proves nothing."""
    if when is None:
        return frozenset()
    try:
        return guards_of(parse_expression(when))
    except ExpressionSyntaxError:
        return frozenset()


def _expression_characters(text: str) -> int:
    return sum(len(part.partition("}}")[0]) for part in text.split("{{")[1:])


def _item_type(step: Step, rendered: Type | None) -> Type:
    """Give the type of one item of a map or loop."""
    items = step.parameters.get("items")
    element = DYN
    if rendered is not None:
        element = element_of(rendered)
    elif isinstance(items, list):
        element = DYN if not items else element_of(_type_of_constant(items))
    return list_of(element) if "batch_size" in step.parameters else element


def _type_of_constant(items: list[Any]) -> Type:
    return type_of_schema({"type": "array", "items": {"enum": items}})


def _reads_sealed(reads: tuple[Read, ...]) -> bool:
    return any(read.path[0] in SEALED for read in reads)


def _unwrapped(text: str) -> str:
    inner = text.strip().removeprefix("{{").removesuffix("}}").strip()
    return f"write {inner}" if inner else ""


def _allows_null(schema: Any) -> bool:
    names = schema.get("type") if isinstance(schema, dict) else None
    return isinstance(names, list) and "null" in names
