"""One pass over a raw document: shapes, limits, operators and their constant parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from core.dag.catalog import Catalog, OperatorSpec
from core.dag.control import PARAMETERS
from core.dag.fault import Faults, below, quoted
from core.dag.grammar import (
    DOCUMENT,
    LIST_DEPTH_MAX,
    STEP,
    STEPS_COUNT_MAX,
    VARS_BYTES_MAX,
)
from core.dag.json_schema import check_schema, check_value
from core.dag.language import find_operator
from core.expression.template import EXPRESSION_COUNT_MAX

TOO_MANY_EXPRESSIONS = f"a value has at most {EXPRESSION_COUNT_MAX} expressions"


class Walk:
    """The state of one pass: faults so far, how deep lists are nested, how many steps were seen.

    `is_too_large` = there are too many steps to look at them.
    """

    def __init__(self, catalog: Catalog, faults: Faults) -> None:
        self.faults = faults
        self.is_too_large = False
        self._catalog = catalog
        self._list_depth = 0
        self._steps_count = 0

    def check_document(self, value: Any) -> None:
        """Add every fault of shape and of constant parameters."""
        DOCUMENT.check(value, "", "dag.schema", self)
        if isinstance(value, dict) and isinstance(constants := value.get("vars"), dict):
            size = len(msgspec.json.encode(constants))
            if size > VARS_BYTES_MAX:
                self.faults.add("dag.limit", "/vars", f"vars have {size} bytes; at most {VARS_BYTES_MAX} are allowed")

    def check_steps(self, value: list[Any], at: str) -> None:
        """Check one list of steps; too deep or too many of them are named once, at the list."""
        if self._list_depth >= LIST_DEPTH_MAX:
            self.faults.add("dag.limit", at, f"lists are nested deeper than {LIST_DEPTH_MAX}")
            return
        was_within = self._steps_count <= STEPS_COUNT_MAX
        self._steps_count += len(value)
        if self._steps_count > STEPS_COUNT_MAX:
            if was_within:
                self.faults.add("dag.limit", at, f"a DAG has at most {STEPS_COUNT_MAX} steps, nested ones included")
            self.is_too_large = True
            return
        self._list_depth += 1
        for index, step in enumerate(value):
            self._check_step(step, below(at, index))
        self._list_depth -= 1

    def check_schema(self, value: dict[str, Any], at: str) -> None:
        """Check a JSON Schema of the document."""
        check_schema(value, at, self.faults)

    def _check_step(self, step: Any, at: str) -> None:
        STEP.check(step, at, "dag.schema", self)
        name = step.get("operator") if isinstance(step, dict) else None
        if not isinstance(name, str) or not name:
            return
        spec = find_operator(self._catalog, name)
        if spec is None:
            hint = self.faults.near(name, self._catalog)
            if name.startswith("@trigger/"):
                hint = "triggers stand under the document's triggers"
            self.faults.add("dag.operator.unknown", f"{at}/operator", f"{quoted(name)} is no operator", hint=hint)
        else:
            self._check_parameters(spec, step.get("parameters", _ABSENT), at)

    def _check_parameters(self, spec: OperatorSpec, value: Any, at: str) -> None:
        """Check parameters; when there are none, a missing one is a fault of the step."""
        pointer = at if value is _ABSENT else f"{at}/parameters"
        given = {} if value is _ABSENT else value
        if not isinstance(given, dict):
            return
        shape = PARAMETERS.get(spec.name)
        if shape is not None:
            shape.check(given, pointer, "dag.operator.parameters", self)
            return
        templates = list(islice(template_pointers(given, spec.verbatim_fields), EXPRESSION_COUNT_MAX + 1))
        if len(templates) > EXPRESSION_COUNT_MAX:
            self.faults.add("dag.limit", pointer, TOO_MANY_EXPRESSIONS)
            return
        check_value(spec.parameters, given, pointer, "dag.operator.parameters", self.faults, templates=templates)


_ABSENT = object()


def template_pointers(value: Any, expression_fields: Sequence[str] = ()) -> Iterator[str]:
    """List the texts with a template in them, relative to the value; fields of bare CEL are none."""
    for pointer, text in texts(value, "{{"):
        if "{{" in text and not is_expression_field(pointer, expression_fields):
            yield pointer


def texts(value: Any, mark: str = "") -> Iterator[tuple[str, str]]:
    """List every text in a value that holds `mark`, with its pointer; keys of objects are no texts."""
    if isinstance(value, str):
        yield "", value
    if not isinstance(value, dict | list) or mark.encode() not in msgspec.json.encode(value):
        # Most values have no template at all, which their text says faster than a look at each element.
        return
    stack: list[tuple[Any, _Way]] = [(value, ())]
    while stack:
        container, way = stack.pop()
        elements = container.values() if type(container) is dict else container
        if _TELLING.isdisjoint(map(type, elements)):
            continue
        pointer: str | None = None
        for name, item in container.items() if type(container) is dict else enumerate(container):
            kind = type(item)
            if kind is str:
                if mark in item:
                    pointer = _pointer(way) if pointer is None else pointer
                    yield below(pointer, name), item
            elif (kind is dict or kind is list) and item:
                stack.append((item, (way, name)))


# How a container was reached: the way of the one around it, and its name there. Few are asked for a pointer, which
# costs more.
_Way: TypeAlias = tuple[Any, ...]
_TELLING = frozenset({str, dict, list})


def _pointer(way: _Way) -> str:
    names = []
    while way:
        way, name = way
        names.append(name)
    return "".join(below("", name) for name in reversed(names))


def is_expression_field(pointer: str, expression_fields: Sequence[str]) -> bool:
    """Say whether a pointer is one of the fields; `*` in a field stands for any one name."""
    names = pointer.split("/")
    for field in expression_fields:
        wanted = field.split("/")
        if len(wanted) == len(names) and all(w in ("*", n) for w, n in zip(wanted, names, strict=True)):
            return True
    return False
