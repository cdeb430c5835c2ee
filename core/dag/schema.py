"""The JSON Schema of a document, made from the declarations that check it: for editors and programs that write DAGs.

It says what one place alone can tell. References, order and uniqueness of ids are for `parse_dag`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.dag import trigger
from core.dag.catalog import Catalog, JsonSchema, OperatorSpec
from core.dag.control import PARAMETERS
from core.dag.fault import below
from core.dag.grammar import DOCUMENT, LIST_DEPTH_MAX, STEP, STEPS_COUNT_MAX
from core.dag.shape import Record, Templated
from core.dag.walk import is_expression_field

_TEMPLATE: JsonSchema = {"$ref": "#/$defs/template"}
# Operators that users name themselves, as `core.dag.language` knows them.
_FAMILIES = "^@(executor/[^/]+/[^/]+|operator/[^/]+|endpoint/[^/]+/[^/]+)$"
# Where a schema holds schemas of parts of the value.
_BY_NAME = ("properties", "patternProperties")
_SINGLE = ("items", "additionalProperties")


def document_schema(catalog: Catalog) -> JsonSchema:
    """Give the schema of documents for an installation with these operators; equal catalogs give equal schemas."""
    specs = sorted(catalog.values(), key=lambda spec: spec.name)
    step = STEP.schema()
    step["properties"] |= {
        "operator": {"anyOf": [{"enum": [spec.name for spec in specs]}, {"type": "string", "pattern": _FAMILIES}]}
    }
    step["allOf"] = list(_operator_rules(specs))
    document = DOCUMENT.schema()
    document["properties"]["triggers"]["items"]["allOf"] = list(_trigger_rules())
    labels = document["properties"]["settings"]["properties"]["labels"]
    labels["additionalProperties"] = {"anyOf": [_TEMPLATE, labels["additionalProperties"]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "DAG document",
        "description": f"At most {STEPS_COUNT_MAX} steps in all, lists nested at most {LIST_DEPTH_MAX} deep.",
        **document,
        "$defs": {
            "steps": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}},
            "step": step,
            "template": {"type": "string", "pattern": r"\{\{"},
        },
    }


def _operator_rules(specs: list[OperatorSpec]) -> Iterator[JsonSchema]:
    """Give one rule per operator whose parameters are restricted."""
    for spec in specs:
        shape = PARAMETERS.get(spec.name)
        schema = _shape_schema(shape) if shape is not None else _with_templates(spec.parameters, spec.verbatim_fields)
        if schema != {"type": "object"}:
            yield _rule("operator", spec.name, schema)


def _trigger_rules() -> Iterator[JsonSchema]:
    for name, shape in trigger.PARAMETERS.items():
        yield _rule("operator", name, shape.schema())
    yield {"properties": {"operator": {"enum": list(trigger.PARAMETERS)}}}


def _rule(field: str, name: str, parameters: JsonSchema) -> JsonSchema:
    then: JsonSchema = {"properties": {"parameters": parameters}}
    if parameters.get("required"):
        then["required"] = ["parameters"]
    return {"if": {"properties": {field: {"const": name}}, "required": [field]}, "then": then}


def _shape_schema(shape: Record) -> JsonSchema:
    schema = shape.schema()
    for name, field in shape.fields.items():
        if isinstance(field.shape, Templated):
            schema["properties"][name] = {"anyOf": [_TEMPLATE, schema["properties"][name]]}
    return schema


def _with_templates(schema: Any, expression_fields: tuple[str, ...], at: str = "") -> Any:
    """Allow a template in place of every part of a value; the whole stays what it is, and bare CEL has none."""
    if not isinstance(schema, dict):
        return schema
    changed = dict(schema)
    for keyword in _BY_NAME:
        if isinstance(schema.get(keyword), dict):
            changed[keyword] = {
                name: _part(part, expression_fields, below(at, name)) for name, part in schema[keyword].items()
            }
    for keyword in _SINGLE:
        if isinstance(schema.get(keyword), dict):
            changed[keyword] = _part(schema[keyword], expression_fields, f"{at}/*")
    return changed


def _part(schema: Any, expression_fields: tuple[str, ...], at: str) -> Any:
    inner = _with_templates(schema, expression_fields, at)
    if not inner or is_expression_field(at, expression_fields):
        return inner
    return {"anyOf": [_TEMPLATE, inner]}
