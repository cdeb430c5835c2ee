"""The form of an event pattern (triggers.md "Filter", semantics.md S52): refused at save, it blocks no event later."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.dag.fault import Faults, below, quoted

OPERATORS = (
    "$startsWith", "$endsWith", "$ignoreCaseEquals", "$exists", "$isNull", "$gt", "$gte", "$lt", "$lte", "$between",
    "$includes", "$anythingBut", "$not", "$or", "$and",
)  # fmt: skip
_TEXT = frozenset({"$startsWith", "$endsWith", "$ignoreCaseEquals"})
_FLAG = frozenset({"$exists", "$isNull"})
_ORDER = frozenset({"$gt", "$gte", "$lt", "$lte"})
_LISTS = frozenset({"$or", "$and"})


def check_pattern(pattern: Any, at: str, faults: Faults) -> None:
    """Add the faults of a pattern, each at its place (`dag.trigger`). Its depth is bounded by the document's."""
    if not isinstance(pattern, dict):
        faults.add("dag.trigger", at, f"must be an expression or a pattern object, not {quoted(pattern)}")
        return
    for name, matcher in pattern.items():
        pointer = below(at, name)
        if not name:
            faults.add("dag.trigger", pointer, "a field needs a name", is_at_key=True)
        elif name.startswith("$"):
            message = f"{name} is an operator; it stands in a list: field: [{{{name}: ...}}]"
            faults.add("dag.trigger", pointer, message, is_at_key=True)
        elif isinstance(matcher, list):
            _check_matcher(matcher, pointer, faults)
        else:
            check_pattern(matcher, pointer, faults)


def _check_matcher(matcher: list[Any], at: str, faults: Faults) -> None:
    """Check one list: all literals or all operator objects."""
    objects = [element for element in matcher if isinstance(element, dict)]
    if objects and len(objects) < len(matcher):
        faults.add("dag.trigger", at, "a list holds literals or operators, not both")
        return
    for place, element in enumerate(matcher):
        pointer = below(at, place)
        if isinstance(element, list):
            faults.add("dag.trigger", pointer, "a literal never equals a list; nest a pattern or use $includes")
        elif isinstance(element, dict):
            for name, operand in element.items():
                _check_operator(name, operand, below(pointer, name), faults)


def _check_operator(name: str, operand: Any, at: str, faults: Faults) -> None:
    if name not in OPERATORS:
        hint = faults.near(name, OPERATORS)
        faults.add("dag.trigger", at, f"{quoted(name)} is no operator", hint=hint, allowed=OPERATORS, is_at_key=True)
    elif name in _LISTS:
        _check_alternatives(operand, at, faults)
    elif name == "$not":
        _check_operand_matcher(operand, at, faults)
    elif not _fits(name, operand):
        faults.add("dag.trigger", at, f"{quoted(operand)} is no operand of {name}")


def _check_alternatives(operand: Any, at: str, faults: Faults) -> None:
    if not isinstance(operand, list) or not operand:
        faults.add("dag.trigger", at, "must be a list of matchers")
        return
    for place, matcher in enumerate(operand):
        _check_operand_matcher(matcher, below(at, place), faults)


def _check_operand_matcher(matcher: Any, at: str, faults: Faults) -> None:
    """Check a matcher inside an operator: a list, one operator object, or one literal."""
    if isinstance(matcher, list):
        _check_matcher(matcher, at, faults)
    elif isinstance(matcher, dict):
        for name, operand in matcher.items():
            _check_operator(name, operand, below(at, name), faults)


def _fits(name: str, operand: Any) -> bool:
    if name in _TEXT:
        return isinstance(operand, str)
    if name in _FLAG:
        return isinstance(operand, bool)
    if name in _ORDER:
        return _is_ordered(operand)
    if name == "$between":
        return isinstance(operand, list) and len(operand) == 2 and all(_is_ordered(one) for one in operand)
    return not isinstance(operand, dict) and not (isinstance(operand, list) and not _is_plain(operand))


def _is_plain(operand: list[Any]) -> bool:
    return bool(operand) and not any(isinstance(one, dict | list) for one in operand)


def _is_ordered(operand: Any) -> bool:
    """Accept a number or an RFC 3339 time with its zone."""
    if isinstance(operand, str):
        try:
            return datetime.fromisoformat(operand).tzinfo is not None
        except ValueError:
            return False
    return isinstance(operand, int | float) and not isinstance(operand, bool)
