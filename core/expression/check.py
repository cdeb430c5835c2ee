"""The check of an expression against its environment: types, references, guards (semantics.md S30-S37)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import structs

from core.expression import tree
from core.expression.check_reference import Faults, Place, type_of_field, type_of_reference
from core.expression.environment import Environment
from core.expression.fault import ExprFault
from core.expression.functions import FUNCTIONS, Implementation
from core.expression.names import guards_of, reads_of, reference_of, static_name
from core.expression.signatures import FORMS, arithmetic_type, can_be_equal, can_be_ordered, form_of
from core.expression.tree import Node, Read
from core.expression.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    NULL,
    NUMBERS,
    STRING,
    TYPE,
    Type,
    element_of,
    join,
    list_of,
    object_of,
)
from core.expression.value import ExpressionFailed, Fuel

_OF_VALUES: Final = {
    type(None): NULL,
    bool: BOOL,
    int: INT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
}
_KEYS: Final = frozenset({"dyn", "string", "int", "bool"})
_TYPE: Final = "dag.expression.type"


class Checked(msgspec.Struct, frozen=True):
    """What a check found.

    Args:
        type: of the expression's value.
        faults: in the order of the text; the expression must not be compiled when there are any.
        reads: its references.
    """

    type: Type
    faults: tuple[ExprFault, ...]
    reads: tuple[Read, ...]


def check(node: Node, env: Environment) -> Checked:
    """Check an expression: every reference exists, is upstream and guarded, every operator has operands it can take.

    Args:
        node: from `parse_expression`.
        env: what may be referred to here.
    """
    faults = Faults()
    kind = _type_of(node, Place(env, faults, {}, env.proven))
    return Checked(kind, faults.all(), reads_of(node))


def _type_of(node: Node, place: Place) -> Type:
    match node:
        case tree.Literal(value=value):
            return _OF_VALUES[type(value)]
        case tree.Name() | tree.Access():
            return _type_of_access(node, place)
        case tree.Has(access=access):
            _type_of_access(access, structs.replace(place, is_asked=True))
            return BOOL
        case tree.Not(operand=operand):
            _want_bool("!", _type_of(operand, place), node.offset, place)
            return BOOL
        case tree.Negate(operand=operand):
            return _type_of_negation(_type_of(operand, place), node, place)
        case tree.Chain():
            return _type_of_chain(node, place)
        case tree.Compare():
            return _type_of_comparison(node, place)
        case tree.And(terms=terms) | tree.Or(terms=terms):
            return _type_of_logic(terms, place, is_and=isinstance(node, tree.And))
        case tree.Ternary():
            return _type_of_ternary(node, place)
        case tree.ListLiteral(items=items):
            return list_of(join([_type_of(item, place) for item in items]))
        case tree.MapLiteral():
            return _type_of_map(node, place)
        case tree.Call():
            return _type_of_call(node, place)
        case _:
            return _type_of_macro(node, place)


def _under(place: Place, proven: Iterable[str]) -> Place:
    return structs.replace(place, proven=place.proven | frozenset(proven))


def _want_bool(sign: str, kind: Type, offset: int, place: Place) -> None:
    if kind.kind not in ("bool", "dyn"):
        place.faults.add(_TYPE, f"{sign} needs a bool, not {kind}", offset)


def _type_of_access(node: tree.Name | tree.Access, place: Place) -> Type:
    reference = reference_of(node, frozenset(place.variables))
    # Keys that has() computes are not what it asks for.
    inner = structs.replace(place, is_asked=False) if place.is_asked else place
    if reference is not None:
        value, steps = type_of_reference(reference, node, place), reference.rest
    elif isinstance(node, tree.Name):
        return place.variables.get(node.name, TYPE)
    else:
        value, steps = _type_of(node.operand, inner), node.steps
    for step in steps:
        if isinstance(step, tree.Field):
            value = type_of_field(value, step.name, step.offset, place.faults)
        else:
            value = _type_of_index(value, step, inner)
    return value


def _type_of_index(value: Type, step: tree.Index, place: Place) -> Type:
    key, name = _type_of(step.key, place), static_name(step)
    if value.kind == "map" and name is not None:
        return type_of_field(value, name, step.offset, place.faults)
    if value.kind == "dyn":
        return DYN
    if value.kind not in ("list", "map"):
        return place.faults.add(_TYPE, f"no operator [] for {value}", step.offset)
    if value.kind == "list" and key.kind not in NUMBERS and key.kind != "dyn":
        return place.faults.add(_TYPE, f"a list has no index of type {key}", step.offset)
    if value.kind == "map" and key.kind not in _KEYS and key.kind not in NUMBERS:
        return place.faults.add(_TYPE, f"a map has no keys of type {key}", step.offset)
    return DYN if value.properties is not None else element_of(value)


def _type_of_negation(kind: Type, node: tree.Negate, place: Place) -> Type:
    if kind.kind in NUMBERS or kind.kind == "dyn":
        return kind
    return place.faults.add(_TYPE, f"no operator - for {kind}", node.offset)


def _type_of_chain(node: tree.Chain, place: Place) -> Type:
    left = _type_of(node.first, place)
    for sign, operand in node.rest:
        right = _type_of(operand, place)
        result = arithmetic_type(sign, left, right)
        if result is None:
            text_beside = sign == "+" and "string" in (left.kind, right.kind)
            hint = "convert with string()" if text_beside else ""
            result = place.faults.add(_TYPE, f"no operator {sign} for {left} and {right}", node.offset, hint)
        left = result
    return left


def _type_of_comparison(node: tree.Compare, place: Place) -> Type:
    sign = node.operator
    left, right = _type_of(node.left, place), _type_of(node.right, place)
    times = "convert the text with timestamp()" if {left.kind, right.kind} == {"timestamp", "string"} else ""
    if sign == "in":
        _check_membership(left, right, node, place)
    elif sign in ("==", "!="):
        if not can_be_equal(left, right):
            message = f"{left} and {right} are never equal"
            place.faults.add(_TYPE, message, node.offset, times)
    elif not can_be_ordered(left, right):
        place.faults.add(_TYPE, f"no operator {sign} for {left} and {right}", node.offset, times)
    return BOOL


def _check_membership(item: Type, items: Type, node: tree.Compare, place: Place) -> None:
    if items.kind not in ("list", "map", "dyn"):
        hint = "write text.contains(part)" if items.kind == "string" else ""
        place.faults.add(_TYPE, f"no operator in for {item} and {items}", node.offset, hint)
    elif items.kind == "list" and not can_be_equal(item, element_of(items)):
        place.faults.add(_TYPE, f"a list of {element_of(items)} never holds a {item}", node.offset)


def _type_of_logic(terms: tuple[Node, ...], place: Place, *, is_and: bool) -> Type:
    for term in terms:
        _want_bool("&&" if is_and else "||", _type_of(term, place), term.offset, place)
        place = _under(place, guards_of(term, truth=is_and, bound=frozenset(place.variables)))
    return BOOL


def _type_of_ternary(node: tree.Ternary, place: Place) -> Type:
    _want_bool("? :", _type_of(node.condition, place), node.condition.offset, place)
    bound = frozenset(place.variables)
    then = _type_of(node.then, _under(place, guards_of(node.condition, bound=bound)))
    other = _type_of(node.other, _under(place, guards_of(node.condition, truth=False, bound=bound)))
    return join([then, other])


def _type_of_map(node: tree.MapLiteral, place: Place) -> Type:
    declared: dict[str, Type] = {}
    values: list[Type] = []
    for key, value in node.entries:
        kind = _type_of(key, place)
        if kind.kind not in _KEYS:
            place.faults.add(_TYPE, f"a map has no keys of type {kind}", key.offset)
        values.append(_type_of(value, place))
        if isinstance(key, tree.Literal) and isinstance(key.value, str):
            if key.value in declared:
                place.faults.add(_TYPE, f"the key {key.value!r} stands twice", key.offset)
            declared[key.value] = values[-1]
    # What a literal lacks is no fault, so that has() may ask for it.
    return object_of(declared, DYN) if len(declared) == len(values) > 0 else Type("map", join(values))


def _type_of_call(node: tree.Call, place: Place) -> Type:
    operands = [] if node.receiver is None else [_type_of(node.receiver, place)]
    operands += [_type_of(arg, place) for arg in node.args]
    if node.function not in FORMS:
        return place.faults.unknown("function", node.function, [*FORMS, *_MACROS], node.offset, _instead(node))
    form = form_of(node.function, operands, is_method=node.receiver is not None)
    if form is None:
        kinds = ", ".join(kind.kind for kind in operands)
        return place.faults.add(_TYPE, f"{node.function}() does not take ({kinds})", node.offset, _usage(node.function))
    _check_constants(node, place)
    return form.result


_MACROS: Final = ("has", "all", "exists", "exists_one", "map", "filter")


def _instead(node: tree.Call) -> str:
    if node.function in _MACROS:
        return f"{node.function}() is written items.{node.function}(variable, expression)"
    return "there are no unsigned integers; use int()" if node.function == "uint" else ""


def _usage(name: str) -> str:
    usages = []
    for form in FORMS[name]:
        if form.is_method:
            usages.append(f"{form.kinds[0]}.{name}({', '.join(form.kinds[1:])})")
        if form.is_function:
            usages.append(f"{name}({', '.join(form.kinds)})")
    return "write " + " or ".join(usages)


def _check_constants(node: tree.Call, place: Place) -> None:
    """Try a call whose operands are all written out, or whose pattern is: what fails now would always fail."""
    operands = [*([node.receiver] if node.receiver is not None else []), *node.args]
    function = FUNCTIONS.get((node.function, len(operands)))
    if function is None or not operands:
        return
    values = [operand.value if isinstance(operand, tree.Literal) else None for operand in operands]
    if function.prepare is not None and isinstance(values[-1], str):
        function = structs.replace(function, run=_preparation(function.prepare))
    elif not all(isinstance(operand, tree.Literal) for operand in operands):
        return
    try:
        function.run(Fuel(), *values)
    except ExpressionFailed as error:
        place.faults.add(_TYPE, f"{node.function}() fails: {error.message}", node.offset)


def _preparation(prepare: Callable[[str], object]) -> Implementation:
    return lambda _fuel, _first, text: prepare(text)


def _type_of_macro(node: tree.Macro, place: Place) -> Type:
    items = _type_of(node.items, place)
    if items.kind not in ("list", "map", "dyn"):
        place.faults.add(_TYPE, f"{node.kind}() needs a list or a map, not {items}", node.offset)
    keys = STRING if items.properties is not None else DYN
    variable = element_of(items) if items.kind == "list" else keys
    inner = structs.replace(place, variables={**place.variables, node.variable: variable})
    if node.condition is not None:
        _want_bool("map()", _type_of(node.condition, inner), node.condition.offset, place)
        inner = _under(inner, guards_of(node.condition, bound=frozenset(inner.variables)))
    body = _type_of(node.body, inner)
    if node.kind == "map":
        return list_of(body)
    _want_bool(f"{node.kind}()", body, node.body.offset, place)
    return list_of(variable) if node.kind == "filter" else BOOL
