"""Shapes: the grammar of a document as values. One declaration gives the check and the JSON Schema."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from core.dag.catalog import JsonSchema
from core.dag.fault import Faults, below, quoted


class Checks(Protocol):
    """What shapes need of the pass that walks a document."""

    faults: Faults

    def check_steps(self, value: list[Any], at: str) -> None:
        """Check a list of steps that is not empty."""
        ...

    def check_schema(self, value: dict[str, Any], at: str) -> None:
        """Check a JSON Schema inside the document."""
        ...


class Shape(Protocol):
    """What a value may be. `check` adds every fault with this code; `schema` says the same as JSON Schema."""

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Add the faults of a value at a pointer."""
        ...

    def schema(self) -> JsonSchema:
        """Give the JSON Schema of the shape."""
        ...


class Anything(msgspec.Struct, frozen=True):
    """Any JSON value."""

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Accept."""

    def schema(self) -> JsonSchema:
        """Give the schema that allows all."""
        return {}


class Flag(msgspec.Struct, frozen=True):
    """True or false."""

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse what is no boolean."""
        if not isinstance(value, bool):
            checks.faults.add(code, at, f"must be a boolean, not {quoted(value)}", allowed=(True, False))

    def schema(self) -> JsonSchema:
        """Give the schema of a boolean."""
        return {"type": "boolean"}


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A number, whole when `is_whole`, within bounds; `above` is an exclusive lower bound."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    is_whole: bool = False

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse other types and numbers out of range."""
        kind = "an integer" if self.is_whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else int | float):
            checks.faults.add(code, at, f"must be {kind}, not {quoted(value)}")
        elif self.above is not None and value <= self.above:
            checks.faults.add(code, at, f"must be greater than {self.above:g}")
        elif self.minimum is not None and value < self.minimum:
            checks.faults.add(code, at, f"must be at least {self.minimum:g}")
        elif self.maximum is not None and value > self.maximum:
            checks.faults.add(code, at, f"must be at most {self.maximum:g}")

    def schema(self) -> JsonSchema:
        """Give the schema of the number."""
        bounds = {"minimum": self.minimum, "maximum": self.maximum, "exclusiveMinimum": self.above}
        return {"type": "integer" if self.is_whole else "number"} | {k: v for k, v in bounds.items() if v is not None}


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text; lengths in code points; `says` explains the pattern, `propose` may give a text that would do."""

    characters_min: int = 0
    characters_max: int | None = None
    pattern: str | None = None
    says: str = ""
    propose: Callable[[str], str] | None = None

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse other types, lengths and forms."""
        if not isinstance(value, str):
            checks.faults.add(code, at, f"must be text, not {quoted(value)}")
        elif len(value) < self.characters_min:
            checks.faults.add(code, at, "must not be empty")
        elif self.characters_max is not None and len(value) > self.characters_max:
            checks.faults.add(code, at, f"must have at most {self.characters_max} characters")
        elif self.pattern is not None and not _compiled(self.pattern).search(value):
            checks.faults.add(code, at, self.says, hint=self.propose(value) if self.propose else "")

    def schema(self) -> JsonSchema:
        """Give the schema of the text."""
        schema: JsonSchema = {"type": "string"}
        if self.characters_min:
            schema["minLength"] = self.characters_min
        if self.characters_max is not None:
            schema["maxLength"] = self.characters_max
        if self.pattern is not None:
            schema["pattern"] = self.pattern.replace(r"\A", "^").replace(r"\Z", "$")
        return schema


_compiled = functools.cache(re.compile)


class Choice(msgspec.Struct, frozen=True):
    """One of some texts."""

    names: tuple[str, ...]

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse what is none of the names."""
        if not isinstance(value, str) or value not in self.names:
            hint = checks.faults.near(value, self.names) if isinstance(value, str) else ""
            checks.faults.add(code, at, f"{quoted(value)} is not allowed here", hint=hint, allowed=self.names)

    def schema(self) -> JsonSchema:
        """Give the schema of the choice."""
        return {"enum": list(self.names)}


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A list of one shape. More than `count_max` is `dag.limit`; equal elements are refused when `is_unique`."""

    item: Shape
    count_max: int
    count_min: int = 0
    is_unique: bool = False

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse other types and lengths; check every element."""
        if not isinstance(value, list):
            checks.faults.add(code, at, f"must be a list, not {quoted(value)}")
            return
        if len(value) < self.count_min:
            checks.faults.add(code, at, f"must have at least {self.count_min} element")
        if len(value) > self.count_max:
            checks.faults.add("dag.limit", at, f"has {len(value)} elements; at most {self.count_max} are allowed")
            return
        seen: set[str | bytes] = set()
        for index, element in enumerate(value):
            pointer = f"{at}/{index}"
            if self.is_unique:
                known = element if type(element) is str else msgspec.json.encode(element, order="deterministic")
                if known in seen:
                    checks.faults.add(code, pointer, f"{quoted(element)} stands in this list already")
                seen.add(known)
            self.item.check(element, pointer, code, checks)

    def schema(self) -> JsonSchema:
        """Give the schema of the list."""
        schema: JsonSchema = {"type": "array", "items": self.item.schema(), "maxItems": self.count_max}
        if self.count_min:
            schema["minItems"] = self.count_min
        if self.is_unique:
            schema["uniqueItems"] = True
        return schema


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """An object with free names of one form and values of one shape. More than `count_max` is `dag.limit`."""

    value: Shape
    name: Text
    count_max: int | None = None

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse other types, bad names and too many of them."""
        if not isinstance(value, dict):
            checks.faults.add(code, at, f"must be an object, not {quoted(value)}")
            return
        if self.count_max is not None and len(value) > self.count_max:
            checks.faults.add("dag.limit", at, f"has {len(value)} names; at most {self.count_max} are allowed")
            return
        for name, element in value.items():
            self.name.check(name, below(at, name), code, checks)
            self.value.check(element, below(at, name), code, checks)

    def schema(self) -> JsonSchema:
        """Give the schema of the object."""
        schema = {"type": "object", "propertyNames": self.name.schema(), "additionalProperties": self.value.schema()}
        return schema if self.count_max is None else schema | {"maxProperties": self.count_max}


class Templated(msgspec.Struct, frozen=True):
    """A constant of a shape, or a text with a template that gives it when the step starts."""

    constant: Shape

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Check constants; what a template gives is checked by its type and when it is rendered."""
        if not (isinstance(value, str) and "{{" in value):
            self.constant.check(value, at, code, checks)

    def schema(self) -> JsonSchema:
        """Give the schema of the rendered value; `core.dag.schema` adds the template beside it."""
        return self.constant.schema()


class SchemaObject(msgspec.Struct, frozen=True):
    """A JSON Schema (2020-12) as an object."""

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse other types; the walk checks it against the meta-schema."""
        if not isinstance(value, dict):
            checks.faults.add(code, at, f"must be a JSON Schema object, not {quoted(value)}")
        else:
            checks.check_schema(value, at)

    def schema(self) -> JsonSchema:
        """Give the schema of an object."""
        return {"type": "object"}


class Steps(msgspec.Struct, frozen=True):
    """A list of steps, at least one."""

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse other types and the empty list; the walk checks each step."""
        if not isinstance(value, list):
            checks.faults.add(code, at, f"must be a list of steps, not {quoted(value)}")
        elif not value:
            checks.faults.add(code, at, "must have at least one step")
        else:
            checks.check_steps(value, at)

    def schema(self) -> JsonSchema:
        """Refer to the list of steps of the document's schema."""
        return {"$ref": "#/$defs/steps"}


class Either(msgspec.Struct, frozen=True):
    """A list of one shape, or else anything that the other shape allows."""

    listed: Shape
    other: Shape

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Let the type choose the shape."""
        (self.listed if isinstance(value, list) else self.other).check(value, at, code, checks)

    def schema(self) -> JsonSchema:
        """Give both schemas."""
        return {"anyOf": [self.other.schema(), self.listed.schema()]}


class Field(msgspec.Struct, frozen=True):
    """One field of a record."""

    shape: Shape
    is_required: bool = False


Rule = Callable[[dict[str, Any], str, str, Checks], None]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An object with known fields. `rule` checks what holds between fields, `rule_schema` says it as JSON Schema."""

    fields: Mapping[str, Field]
    rule: Rule | None = None
    rule_schema: JsonSchema = {}

    def check(self, value: Any, at: str, code: str, checks: Checks) -> None:
        """Refuse other types, unknown and missing fields; check every known one."""
        if not isinstance(value, dict):
            checks.faults.add(code, at, f"must be an object, not {quoted(value)}")
            return
        for name, element in value.items():
            field = self.fields.get(name)
            if field is None:
                self._refuse_unknown(name, at, code, checks)
            else:
                field.shape.check(element, below(at, name), code, checks)
        for name, field in self.fields.items():
            if field.is_required and name not in value:
                checks.faults.add(code, at, f"the field {name} is missing")
        if self.rule is not None:
            self.rule(value, at, code, checks)

    def _refuse_unknown(self, name: str, at: str, code: str, checks: Checks) -> None:
        if checks.faults.is_full:
            checks.faults.taint(at)
            return
        checks.faults.add(
            code,
            below(at, name),
            f"the field {quoted(name)} is unknown",
            hint=checks.faults.near(name, self.fields),
            allowed=tuple(self.fields),
            is_at_key=True,
        )

    def schema(self) -> JsonSchema:
        """Give the schema of the object."""
        schema: JsonSchema = {
            "type": "object",
            "properties": {name: field.shape.schema() for name, field in self.fields.items()},
            "additionalProperties": False,
        }
        required = [name for name, field in self.fields.items() if field.is_required]
        return schema | ({"required": required} if required else {}) | self.rule_schema


def need(shape: Shape) -> Field:
    """Declare a required field."""
    return Field(shape, is_required=True)


def may(shape: Shape) -> Field:
    """Declare an optional field."""
    return Field(shape)
