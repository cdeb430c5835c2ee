"""`python -m tests.docs.operators_page` writes docs/operators.md: the catalogue of operators as a page."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core.dag.catalog import NO_RETRY, NO_TIMEOUT, OperatorSpec
from tests.dags.built_in import built_in_catalog

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
NOTES_FILE = Path(__file__).with_name("operator_notes.yaml")
# A shape of more words is a line nobody reads; the JSON Schema has it whole.
WORDS_CHARACTERS_MAX = 160
COLUMNS = 118
_KINDS = {
    "control": "evaluated by the engine, no attempts",
    "pure": "computed by the engine, no attempts",
    "attempt": "called in attempts, each with the same idempotency key",
}
_HEAD = """\
# Operators

What a step can do. This page is made from the declarations in the code (`python -m tests.docs.operators_page`) and compared
with them by a test; `GET /operators/catalog` gives the same for the server that is asked, with the operators of third
parties. The JSON Schema at `/schemas/dag.json` lets an editor complete and check parameters.

Any parameter may hold templates: `"{{ steps.load.output.rows }}"`. A whole template keeps the type of its value.
"""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def notes() -> dict[str, dict[str, Any]]:
    """Give what people wrote of operators: `says`, a few sentences, and `example`, a step."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(NOTES_FILE.read_text("utf-8"))
    return found


def operators_page(catalog: Mapping[str, OperatorSpec], told: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the page: available operators by group, then the names that a later release runs."""
    parts = [_HEAD]
    group = ""
    for name in sorted(catalog):
        spec = catalog[name]
        if not spec.is_available:
            continue
        if name.split("/")[0] != group:
            group = name.split("/")[0]
            parts.append(f"\n## {group}\n")
        parts.append(_operator(spec, told.get(name, {})))
    later = ", ".join(f"`{name}`" for name in sorted(catalog) if not catalog[name].is_available)
    parts.append(
        "\n## Known, run by a later release\n\n"
        + textwrap.fill(
            f"A DAG that uses one of these is refused when it is saved, with `dag.operator.unavailable`: {later}.",
            COLUMNS,
        )
        + "\n"
    )
    return "".join(parts)


def _operator(spec: OperatorSpec, told: Mapping[str, Any]) -> str:
    title = f": {_lowered(spec.title)}" if spec.title else ""
    parts = [f"\n### `{spec.name}`{title}\n\n"]
    if told.get("says"):
        parts.append(f"{textwrap.fill(told['says'], COLUMNS, break_long_words=False)}\n\n")
    parts.append(textwrap.fill(f"*{_KINDS[spec.kind]}{_policies(spec)}*", COLUMNS) + "\n")
    rows = _rows(spec)
    if rows:
        parts.append(f"\n| parameter | may be | needed |\n|---|---|---|\n{rows}")
    elif spec.parameters.get("properties") is None:
        parts.append("\nParameters: any.\n")
    output = words(spec.output)
    if output != "any JSON":
        parts.append(f"\nOutput: {output}.\n")
    if "example" in told:
        text = yaml.dump([told["example"]], Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
        parts.append(f"\n```yaml\n{text}```\n")
    return "".join(parts)


def _lowered(title: str) -> str:
    return title if title[1:2].isupper() else title[0].lower() + title[1:]


def _policies(spec: OperatorSpec) -> str:
    said = []
    if spec.kind == "attempt":
        said.append("with side effects" if spec.has_side_effects else "without side effects")
    if spec.retry != NO_RETRY:
        kinds = ", ".join(spec.retry.on)
        said.append(f"at most {spec.retry.max_attempts} attempts on {kinds} unless the step says otherwise")
    if spec.timeout != NO_TIMEOUT and spec.timeout.attempt_s is not None:
        said.append(f"an attempt has {spec.timeout.attempt_s:g} s")
    if spec.expression_fields:
        fields = ", ".join(f"`{field.strip('/')}`" for field in spec.expression_fields)
        said.append(f"{fields}: bare CEL, no template")
    return "".join(f"; {each}" for each in said)


def _rows(spec: OperatorSpec) -> str:
    required = spec.parameters.get("required", ())
    return "".join(
        f"| `{name}` | {_cell(words(schema))} | {'yes' if name in required else _default(schema)} |\n"
        for name, schema in spec.parameters.get("properties", {}).items()
    )


def _default(schema: Any) -> str:
    if isinstance(schema, dict) and "default" in schema:
        return f"no, `{json.dumps(schema['default'])}`"
    return "no"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def words(schema: Any) -> str:
    """Say in a line what a value may be."""
    said = _words(schema)
    if len(said) <= WORDS_CHARACTERS_MAX:
        return said
    kind = "text" if "enum" in schema else _name(str(schema.get("type", "any JSON")))
    return f"{kind} (see the JSON Schema)"


def _words(schema: Any) -> str:
    if not isinstance(schema, dict) or not schema:
        return "any JSON"
    if "$ref" in schema:
        return "list of steps" if schema["$ref"].endswith("/steps") else schema["$ref"].rsplit("/", 1)[-1]
    for word in ("anyOf", "oneOf"):
        if word in schema and "type" not in schema:
            return " or ".join(dict.fromkeys(_words(each) for each in schema[word]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any JSON")
    if isinstance(kind, list):
        return " or ".join(map(_name, kind))
    if kind == "array":
        inner = _words(schema.get("items"))
        return "list" if inner == "any JSON" else f"list of {inner}"
    if kind == "object" and schema.get("properties"):
        return "{" + ", ".join(f"{name}: {_words(shape)}" for name, shape in schema["properties"].items()) + "}"
    return _name(kind) + _range(schema)


def _name(kind: str) -> str:
    return {"string": "text", "boolean": "true or false", "object": "object", "null": "null"}.get(kind, kind)


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is not None and high is not None:
        return f" {low}..{high}"
    if low is not None:
        return f" from {low}" if "minimum" in schema else f" above {low}"
    return ""


if __name__ == "__main__":
    PAGE.write_text(operators_page(built_in_catalog(), notes()), "utf-8")
