"""The check of references: what is visible, upstream, guarded and declared (semantics.md S5, S20, S32, S33, S37)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from core.expression import tree
from core.expression.environment import Environment
from core.expression.fault import ExprFault, allowed_of, did_you_mean
from core.expression.names import PATH_LENGTHS, SECRETS, Reference, guard_name
from core.expression.types import DYN, STRING, Type, object_of

# Names of the language that exist only in some places, and where.
_PLACES: Final = {
    "item": "inside of map and each loops",
    "index": "inside of map and loops",
    "error": "in catch lists, on_error lists and hooks",
    "trigger": "where an instance was started",
    "instance": "inside of an instance",
    "inputs": "inside of an instance",
}
_FORMS: Final = {
    "steps": "write steps.<id>.output, .status, .error or .attempts",
    "loops": "write loops.<id>.item, .index or .last",
    "callbacks": "write callbacks.<wait id>",
    "connections": "write connections.<name>",
    SECRETS: "write secrets.<key>.<path>",
}


class Faults:
    """Collects the faults of one expression, each once."""

    def __init__(self) -> None:
        self._found: dict[ExprFault, None] = {}

    def add(self, code: str, message: str, offset: int, hint: str = "", allowed: Iterable[str] = ()) -> Type:
        """Note a fault and give the type of what it leaves unknown."""
        self._found[ExprFault(code, message, offset, hint, allowed_of(allowed))] = None
        return DYN

    def unknown(self, what: str, name: str, names: Iterable[str], offset: int, hint: str = "") -> Type:
        """Note a name that does not exist."""
        known = list(names)
        hint = hint or did_you_mean(name, known)
        return self.add("dag.reference.unknown", f"there is no {what} `{name}` here", offset, hint, known)

    def all(self) -> tuple[ExprFault, ...]:
        """Give the faults in the order of the text."""
        return tuple(sorted(self._found, key=lambda fault: fault.offset))


class Place(msgspec.Struct, frozen=True):
    """Where in an expression a reference stands.

    Args:
        environment: of the whole expression.
        variables: of the macros around, with their types.
        proven: guards that hold here.
        faults: where faults are noted.
        is_asked: the reference is what a `has()` asks for.
    """

    environment: Environment
    faults: Faults
    variables: Mapping[str, Type]
    proven: frozenset[str]
    is_asked: bool = False


def type_of_reference(reference: Reference, node: tree.Name | tree.Access, place: Place) -> Type:
    """Check the path of a reference and give the type of its slot."""
    path, environment = reference.path, place.environment
    root = path[0]
    offset = node.offset if isinstance(node, tree.Name) or len(path) < 2 else node.steps[len(path) - 2].offset
    if root in (SECRETS, "connections"):
        return _type_of_secret(reference, node, place)
    if root == "vars" and len(path) == 1:
        # Read whole, or with a computed name: only constants and variables that are there can be in it.
        return object_of({name: view.type for name, view in environment.vars.items()})
    if root in PATH_LENGTHS:
        if len(path) < PATH_LENGTHS[root]:
            return _too_short(reference, node, place)
        return _OF_ROOT[root](path, node, offset, place)
    if root in environment.names:
        return environment.names[root]
    if root in _PLACES:
        message = f"`{root}` exists only {_PLACES[root]}"
        return place.faults.add("dag.reference.unknown", message, offset, allowed=_roots(environment))
    return place.faults.unknown("name", root, _roots(environment), offset)


def _roots(environment: Environment) -> list[str]:
    roots = [*environment.names, "steps", "vars"]
    roots += ["loops"] if environment.loops else []
    roots += ["callbacks"] if environment.callbacks else []
    return roots + ([SECRETS, "connections"] if environment.allows_secrets else [])


def _too_short(reference: Reference, node: tree.Name | tree.Access, place: Place) -> Type:
    root = reference.path[0]
    what = "is read by a name that is written out" if reference.rest else "is not read as a whole"
    name = ".".join(reference.path)
    return place.faults.add("dag.reference.unknown", f"`{name}` {what}", node.offset, _FORMS[root])


def _type_of_secret(reference: Reference, node: tree.Name | tree.Access, place: Place) -> Type:
    root = reference.path[0]
    if not place.environment.allows_secrets:
        message = f"`{root}` may stand only in parameters of operators that declare them safe"
        return place.faults.add("dag.secret.misplaced", message, node.offset)
    is_computed = root == SECRETS and bool(reference.rest)
    return _too_short(reference, node, place) if is_computed or len(reference.path) == 1 else DYN


def _id_offset(node: tree.Name | tree.Access) -> int:
    return node.steps[0].offset if isinstance(node, tree.Access) else node.offset


def _type_of_step(path: tuple[str, ...], node: tree.Name | tree.Access, offset: int, place: Place) -> Type:
    _, step_id, field = path
    environment = place.environment
    view = environment.steps.get(step_id)
    if view is None:
        hint = environment.hidden.get(step_id, "")
        return place.faults.unknown("step", step_id, environment.steps, _id_offset(node), hint)
    if not view.upstream:
        message = f"step `{step_id}` has not surely ended before this is evaluated"
        return place.faults.add(
            "dag.reference.not_upstream", message, _id_offset(node), f"let this step depend on `{step_id}`"
        )
    if field != "output":
        if field in view.fields:
            return view.fields[field]
        fields = ["output", *view.fields]
        message = f"a step has no field `{field}`"
        return place.faults.add("dag.reference.path", message, offset, did_you_mean(field, fields), fields)
    if view.may_lack_output and step_id not in place.proven and not place.is_asked:
        message = f"step `{step_id}` may have no output here"
        place.faults.add("dag.reference.unguarded", message, _id_offset(node), _guard_hint(path))
    return view.output


def _guard_hint(path: tuple[str, ...]) -> str:
    name = ".".join(path)
    return f"guard it, as in `has({name}) ? {name} : null`"


def _type_of_variable(path: tuple[str, ...], node: tree.Name | tree.Access, _offset: int, place: Place) -> Type:
    name = path[1]
    view = place.environment.vars.get(name)
    if view is None:
        return place.faults.unknown("variable", name, place.environment.vars, _id_offset(node))
    if not view.upstream:
        message = f"the step that defines `{name}` has not surely ended before this is evaluated"
        hint = f"let this step depend on `{view.defined_by}`" if view.defined_by else ""
        return place.faults.add("dag.reference.not_upstream", message, _id_offset(node), hint)
    is_proven = guard_name(path) in place.proven or view.defined_by in place.proven
    if view.may_lack_value and not is_proven and not place.is_asked:
        message = f"variable `{name}` may have no value here"
        place.faults.add("dag.reference.unguarded", message, _id_offset(node), _guard_hint(path))
    return view.type


def _type_of_loop(path: tuple[str, ...], node: tree.Name | tree.Access, offset: int, place: Place) -> Type:
    loops = place.environment.loops
    fields = loops.get(path[1])
    if fields is None:
        return place.faults.unknown("enclosing map or loop", path[1], loops, _id_offset(node))
    if path[2] in fields:
        return fields[path[2]]
    message = f"`loops.{path[1]}` has no field `{path[2]}`"
    return place.faults.add("dag.reference.path", message, offset, did_you_mean(path[2], fields), fields)


def _type_of_callback(path: tuple[str, ...], _node: tree.Name | tree.Access, offset: int, place: Place) -> Type:
    callbacks = place.environment.callbacks
    return STRING if path[1] in callbacks else place.faults.unknown("wait", path[1], callbacks, offset)


_OF_ROOT: Final = {
    "steps": _type_of_step,
    "vars": _type_of_variable,
    "loops": _type_of_loop,
    "callbacks": _type_of_callback,
}


def type_of_field(value: Type, name: str, offset: int, faults: Faults) -> Type:
    """Check the selection of a key and give its type."""
    if value.kind == "dyn":
        return DYN
    if value.kind != "map":
        return faults.add("dag.reference.path", f"a value of type {value} has no field `{name}`", offset)
    if value.properties is not None and name in value.properties:
        return value.properties[name]
    if not value.is_closed:
        return value.element or DYN
    declared = value.properties or {}
    message = f"`{name}` is not declared there"
    return faults.add("dag.reference.path", message, offset, did_you_mean(name, declared), declared)
