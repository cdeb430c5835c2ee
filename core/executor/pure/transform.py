"""`@data/transform`: filter, map, pick and group a list."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from core.dag.catalog import OperatorSpec
from core.executor.operator import ComputeFailed, PureOperator
from core.expression import (
    ExpressionFailed,
    ExpressionSyntaxError,
    Fuel,
    Program,
    compile_expression,
    parse_expression,
    to_json,
)

PROGRAM_COUNT_MAX = 1024  # compiled expressions kept: more than the transforms of 100 busy DAGs
EXPRESSION_CHARS_MAX = 2048  # the language's own bound
FIELD_COUNT_MAX = 256  # fields that one pick names
SLICE_ITEMS = 64  # items between two pauses: well below the 5 ms that a slice may take (engine.md 2)

_OnItem = Callable[[Any, int], Any]
_Slices = Generator[None, None, list[Any]]


def transform(parameters: Any, now: datetime, fuel: Fuel) -> Any:
    """Do the whole transform at once; see `transform_slices`."""
    slices = transform_slices(parameters, now, fuel)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value


def transform_slices(parameters: Any, now: datetime, fuel: Fuel) -> Generator[None, None, Any]:
    """Filter, map, pick, group `items`, in this order, pausing after every SLICE_ITEMS items.

    `item` and `index` are the element and its place (from 0) in the list that the stage got: `map` counts what `filter`
    left. `filter` must give a boolean, `group_by` a text.

    Returns:
        As the generator's value: a list; with `group_by` an object of lists, groups in order of first appearance.

    Raises:
        ComputeFailed: kind `expression` when an expression errs or gives another type, `limit` when fuel is used up,
            `invalid` when `pick` meets an item that is no object.
    """
    items: Any = parameters["items"]
    try:
        if "filter" in parameters:
            keep = _on_item("filter", parameters["filter"], now, fuel)
            kept = yield from _each(items, lambda item, index: _checked("filter", keep(item, index), bool))
            items = [item for item, is_kept in zip(items, kept, strict=True) if is_kept]
        if "map" in parameters:
            items = yield from _each(items, _on_item("map", parameters["map"], now, fuel))
        if "pick" in parameters:
            names = parameters["pick"]
            items = yield from _each(items, lambda item, _index: _picked(item, names, fuel))
        if "group_by" not in parameters:
            fuel.burn(len(items))
            return list(items)
        key_of = _on_item("group_by", parameters["group_by"], now, fuel)
        keys = yield from _each(items, lambda item, index: _checked("group_by", key_of(item, index), str))
        return _grouped(items, keys)
    except ExpressionFailed as error:
        raise ComputeFailed(error.kind, error.message) from error


def _each(items: Iterable[Any], act: _OnItem) -> _Slices:
    results = []
    for index, item in enumerate(items):
        results.append(act(item, index))
        if index % SLICE_ITEMS == SLICE_ITEMS - 1:
            yield
    return results


def _on_item(field: str, text: str, now: datetime, fuel: Fuel) -> _OnItem:
    """Give the compiled expression as a function of item and index."""
    program, order = _program(field, text)
    run = program.run

    def act(item: Any, index: int) -> Any:
        pair = (item, index)
        fuel.burn(1)
        return to_json(run([pair[place] for place in order], fuel, now))

    return act


@lru_cache(maxsize=PROGRAM_COUNT_MAX)
def _program(field: str, text: str) -> tuple[Program, tuple[int, ...]]:
    try:
        program = compile_expression(parse_expression(text))
    except ExpressionSyntaxError as error:
        raise ComputeFailed("expression", f"{field}: {error}") from error
    places: dict[tuple[str, ...], int] = {("item",): 0, ("index",): 1}
    if (foreign := next((read.path for read in program.reads if read.path not in places), None)) is not None:
        raise ComputeFailed("expression", f"{field} sees item and index only, not {'.'.join(foreign)}")
    return program, tuple(places[read.path] for read in program.reads)


def _checked(field: str, value: Any, wanted: type) -> Any:
    if type(value) is not wanted:
        word = {bool: "a boolean", str: "text"}[wanted]
        raise ComputeFailed("expression", f"{field} must give {word}, not {type(value).__name__}")
    return value


def _picked(item: Any, names: Sequence[str], fuel: Fuel) -> dict[str, Any]:
    fuel.burn(len(names) + 1)
    if not isinstance(item, Mapping):
        raise ComputeFailed("invalid", f"pick needs objects, not {type(item).__name__}")
    return {name: item[name] for name in names if name in item}


def _grouped(items: Iterable[Any], keys: Iterable[str]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for item, key in zip(items, keys, strict=True):
        groups.setdefault(key, []).append(item)
    return groups


_EXPRESSION = {"type": "string", "minLength": 1, "maxLength": EXPRESSION_CHARS_MAX}

DATA_TRANSFORM = PureOperator(
    OperatorSpec(
        name="@data/transform",
        title="Transform a list",
        kind="pure",
        parameters={
            "type": "object",
            "properties": {
                "items": {"type": "array"},
                "filter": _EXPRESSION,
                "map": _EXPRESSION,
                "pick": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": FIELD_COUNT_MAX},
                "group_by": _EXPRESSION,
            },
            "required": ["items"],
            "additionalProperties": False,
        },
        output={},  # a list, or an object of lists when grouped: the schema cannot know the groups' names
        has_side_effects=False,
        expression_fields=("/filter", "/map", "/group_by"),
        dry_run="runs",
    ),
    transform,
)
