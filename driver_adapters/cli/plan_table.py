"""The table of `flow plan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

STEP_COLUMNS = ("stage", "step", "operator", "after", "join", "when", "runs", "limits")
_INDENT = "  "
SHOWN_CHARACTERS_MAX = 48  # of an expression: beside it stand the limits, which should fit a screen


def summary_lines(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give what stands above the table of steps, by name; what a document does not have is left out."""
    inputs = [
        one["name"] + ("" if one["is_required"] else f"={_json(one['default'])}" if "default" in one else "?")
        for one in value["inputs"]
    ]
    lines = {
        "title": value["title"],
        "inputs": ", ".join(inputs),
        "outputs": ", ".join(value["outputs"]),
        "settings": _pairs(value["settings"]),
    }
    return [(name, text) for name, text in lines.items() if text]


def step_table(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the rows of the table of steps: nested steps stand indented below their container."""
    return [
        {
            **step,
            "step": _INDENT * step["depth"] + step["step"],
            "after": ", ".join(step["after"]),
            "join": "" if step["join"] == "all_succeeded" else step["join"],
            "when": _cut(step["when"] or ""),
            "runs": _cut(step["runs"]),
            "limits": _pairs(step["limits"]),
        }
        for step in steps
    ]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value if isinstance(value, str) else _json(value)}" for name, value in values.items())


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[: SHOWN_CHARACTERS_MAX - 1] + "…"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
