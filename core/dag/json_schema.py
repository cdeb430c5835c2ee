"""JSON Schema 2020-12: schemas inside a document, values against them, defaults.

No reference leaves its schema: the library loads files and addresses unless its retriever refuses (libraries.md).
Patterns run on the linear engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NoReturn

import jsonschema_rs
import msgspec

from core.dag.catalog import JsonSchema
from core.dag.fault import QUOTE_CHARACTERS_MAX, Faults, below

# dag-language.md 1.
SCHEMA_BYTES_MAX = 64 * 1024
# A message quotes values; a sentence of this length still reads.
_MESSAGE_CHARACTERS_MAX = 4 * QUOTE_CHARACTERS_MAX
# Faults of one value: the first ones are read, the list of a long array's elements is not.
_ERRORS_COUNT_MAX = 100
# The library makes every error before it gives the first, at 10 us each: a list of 64 KiB has 32 000 at most.
_LISTED_BYTES_MAX = 64 * 1024
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_META = {"$ref": _DIALECT}
# Keywords that judge an object or list by what is there, whatever templates in it will give.
_PRESENCE = frozenset(
    {"required", "additionalProperties", "minProperties", "maxProperties", "minItems", "maxItems", "dependentRequired",
     "type"}
)  # fmt: skip
_PRESENCE_WRAPPERS = frozenset({"anyOf", "oneOf", "allOf"})


def _refuse_reference(address: str) -> NoReturn:
    raise ValueError(f"{address} is outside of the schema")


def validator(schema: JsonSchema | bool, *, mask: str | None = None) -> jsonschema_rs.Draft202012Validator:
    """Compile a schema. `mask` takes the place of values in messages, so that no message holds a secret.

    Raises:
        jsonschema_rs.ValidationError: not a schema, or a reference that does not resolve inside it.
    """
    return jsonschema_rs.Draft202012Validator(
        schema, retriever=_refuse_reference, pattern_options=jsonschema_rs.RegexOptions(), mask=mask
    )


_META_VALIDATOR = jsonschema_rs.Draft202012Validator(_META)


def check_schema(schema: JsonSchema, at: str, faults: Faults) -> None:
    """Add the faults of a schema that stands in a document at a pointer (`dag.schema`, `dag.limit`)."""
    if len(msgspec.json.encode(schema)) > SCHEMA_BYTES_MAX:
        faults.add("dag.limit", at, f"a schema has at most {SCHEMA_BYTES_MAX} bytes")
        return
    if schema.get("$schema", _DIALECT) != _DIALECT:
        faults.add("dag.schema", below(at, "$schema"), "only draft 2020-12 is known", allowed=(_DIALECT,))
        return
    outside = list(_references_outside(schema, at))
    for pointer in outside:
        faults.add("dag.schema", pointer, "a reference must stay inside its schema", hint="use $defs and #/$defs/...")
    errors = _first(_META_VALIDATOR, schema)
    for error in errors:
        faults.add("dag.schema", _pointer(at, error.instance_path), f"not a JSON Schema: {_cut(error.message)}")
    if not outside and not errors:
        try:
            validator(schema)
        except jsonschema_rs.ValidationError as error:
            faults.add("dag.schema", _pointer(at, error.instance_path), f"not a JSON Schema: {_cut(error.message)}")


def _references_outside(schema: Any, at: str) -> Iterator[str]:
    stack = [(schema, at)]
    while stack:
        value, pointer = stack.pop()
        if isinstance(value, dict):
            for name, element in value.items():
                if name in ("$ref", "$dynamicRef", "$id") and isinstance(element, str) and not element.startswith("#"):
                    yield below(pointer, name)
                stack.append((element, below(pointer, name)))
        elif isinstance(value, list):
            stack.extend((element, below(pointer, index)) for index, element in enumerate(value))


def check_value(
    schema: JsonSchema, value: Any, at: str, code: str, faults: Faults, *, templates: Collection[str] = ()
) -> None:
    """Add the faults of a value that stands in a document at a pointer.

    `templates` are pointers, relative to the value, of texts that become other values later. What depends on them is
    not judged here: their types are checked apart, and the rendered value when the step starts (S36).
    """
    for error in _first(validator(schema), value):
        if _is_certain(error, schema, templates):
            _add_error(error, schema, at, code, faults)


def _first(checker: jsonschema_rs.Draft202012Validator, value: Any) -> list[jsonschema_rs.ValidationError]:
    """List errors of a value, at most `_ERRORS_COUNT_MAX`; of a large value the first one only."""
    if len(msgspec.json.encode(value)) <= _LISTED_BYTES_MAX:
        return list(islice(checker.iter_errors(value), _ERRORS_COUNT_MAX))
    found: list[jsonschema_rs.ValidationError] = []
    try:
        checker.validate(value)
    except jsonschema_rs.ValidationError as error:
        found.append(error)
    return found


def _is_certain(error: jsonschema_rs.ValidationError, schema: JsonSchema, templates: Collection[str]) -> bool:
    pointer = _pointer("", error.instance_path)
    if pointer in templates:
        return False
    if not any(template.startswith(pointer + "/") for template in templates):
        return True
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.AnyOf | jsonschema_rs.ValidationErrorKind.OneOfNotValid):
        return all(any(_is_certain(one, schema, templates) for one in branch) for branch in kind.context)
    if kind.name in ("not", "oneOf"):
        return _is_about_presence(_inside(schema, error.schema_path))
    return kind.name in _PRESENCE


def _is_about_presence(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(_is_about_presence(one) for one in schema)
    if not isinstance(schema, dict):
        return isinstance(schema, bool)
    return all(
        name == "required" or (name in {*_PRESENCE_WRAPPERS, "not"} and _is_about_presence(part))
        for name, part in schema.items()
    )


def _inside(schema: Any, path: Sequence[str | int]) -> Any:
    for name in path:
        if isinstance(schema, dict):
            schema = schema.get(str(name))
        elif isinstance(schema, list) and isinstance(name, int) and name < len(schema):
            schema = schema[name]
        else:
            return None
    return schema


def _add_error(error: jsonschema_rs.ValidationError, schema: JsonSchema, at: str, code: str, faults: Faults) -> None:
    pointer = _pointer(at, error.instance_path)
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        known = _inside(schema, [*error.schema_path[:-1], "properties"]) or {}
        for name in kind.unexpected:
            message = f"the field {name} is unknown"
            hint = faults.near(name, known)
            faults.add(code, below(pointer, name), message, hint=hint, allowed=tuple(known), is_at_key=True)
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        faults.add(code, pointer, f"the field {kind.property} is missing")
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.Enum):
        faults.add(code, pointer, _cut(error.message), allowed=tuple(kind.options))
    else:
        faults.add(code, pointer, _cut(error.message))


def _pointer(at: str, path: Sequence[str | int]) -> str:
    for name in path:
        at = below(at, name)
    return at


def _cut(message: str) -> str:
    return message if len(message) <= _MESSAGE_CHARACTERS_MAX else message[: _MESSAGE_CHARACTERS_MAX - 1] + "…"


def value_check(schema: JsonSchema) -> Callable[[Any], list[str]] | None:
    """Give a function that lists what is wrong with a value, in words without the value; None = nothing ever is."""
    if not _restricts(schema):
        return None
    checker = validator(schema, mask="the value")

    def faults(value: Any) -> list[str]:
        if checker.is_valid(value):
            return []
        return [
            f"{_pointer('', error.instance_path) or '/'}: {_cut(error.message)}" for error in _first(checker, value)
        ]

    return faults


# Keywords that only describe.
_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "$schema", "$comment", "$defs", "deprecated"})


def _restricts(schema: JsonSchema) -> bool:
    return bool(schema.keys() - _ANNOTATIONS)


def completion(schema: JsonSchema | None) -> Callable[[Any], tuple[Any, list[dict[str, str]]]]:
    """Give the function that fills defaults into inputs and checks them (semantics.md S45).

    It answers (completed value, faults {pointer, message}); the value given is not changed. Without schema any object
    is right.
    """
    chosen: JsonSchema = {"type": "object"} if schema is None else schema
    checker = validator(chosen)

    def complete(value: Any) -> tuple[Any, list[dict[str, str]]]:
        whole = filled(chosen, value, chosen)
        if checker.is_valid(whole):
            return whole, []
        faults = Faults()
        for error in _first(checker, whole):
            _add_error(error, chosen, "", "input", faults)
        return whole, [{"pointer": fault.pointer, "message": fault.message} for fault in faults.found]

    return complete


def filled(schema: Any, value: Any, root: JsonSchema) -> Any:
    """Fill the defaults of `properties`, nested ones too, into objects and lists of objects; gives a new value."""
    schema = _resolved(schema, root)
    if not isinstance(schema, dict):
        return value
    if isinstance(value, list):
        items = schema.get("items")
        return value if items is None else [filled(items, element, root) for element in value]
    if not isinstance(value, dict):
        return value
    whole = dict(value)
    for part in (*_parts(schema.get("allOf")), schema):
        for name, inner in _properties(_resolved(part, root)):
            target = _resolved(inner, root)
            if name not in whole and isinstance(target, dict) and "default" in target:
                whole[name] = target["default"]
            if name in whole:
                whole[name] = filled(inner, whole[name], root)
    return whole


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _properties(schema: Any) -> list[tuple[str, Any]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return list(properties.items()) if isinstance(properties, Mapping) else []


# A chain of references longer than this is a circle for all that people write.
_REFERENCES_MAX = 16


def _resolved(schema: Any, root: JsonSchema) -> Any:
    """Follow `$ref` inside the schema; a circle ends after `_REFERENCES_MAX` steps with the last one."""
    for _ in range(_REFERENCES_MAX):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        names = [name.replace("~1", "/").replace("~0", "~") for name in reference[1:].split("/")[1:]]
        schema = _inside(root, [int(name) if name.isdigit() else name for name in names])
    return schema


def schema_at(schema: JsonSchema, names: Sequence[str]) -> Any:
    """Give the schema of a place inside a value as far as it is said plainly; `{}` where it is not."""
    current: Any = schema
    for name in names:
        current = _resolved(current, schema)
        if not isinstance(current, dict):
            return {}
        properties = current.get("properties")
        if isinstance(properties, dict) and name in properties:
            current = properties[name]
        elif name.isdigit() and "items" in current and "prefixItems" not in current:
            current = current["items"]
        else:
            current = current.get("additionalProperties", {})
    return _resolved(current, schema)
