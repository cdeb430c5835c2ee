"""One pass over a raw document: shapes, limits, operators and their constant parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

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


class Walk:
    """The state of one pass: faults so far, how deep lists are nested, how many steps were seen."""

    def __init__(self, catalog: Catalog, faults: Faults) -> None:
        self.faults = faults
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
        templates = list(template_pointers(given, spec.expression_fields))
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
    stack = [(value, "")] if isinstance(value, dict | list) else []
    while stack:
        container, pointer = stack.pop()
        for name, item in container.items() if isinstance(container, dict) else enumerate(container):
            kind = type(item)
            if kind is str:
                if mark in item:
                    yield below(pointer, name), item
            elif (kind is dict or kind is list) and item:
                stack.append((item, below(pointer, name)))


def is_expression_field(pointer: str, expression_fields: Sequence[str]) -> bool:
    """Say whether a pointer is one of the fields; `*` in a field stands for any one name."""
    names = pointer.split("/")
    for field in expression_fields:
        wanted = field.split("/")
        if len(wanted) == len(names) and all(w in ("*", n) for w, n in zip(wanted, names, strict=True)):
            return True
    return False
