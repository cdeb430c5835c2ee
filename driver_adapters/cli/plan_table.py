"""The table of `flow plan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

STEP_COLUMNS = ("stage", "step", "operator", "after", "join", "when", "runs", "limits")
DRY_RUN_COLUMNS = ("step", "list", "status", "why", "items", "parameters", "value", "p50_s", "p95_s")
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


def dry_run_lines(value: Mapping[str, Any]) -> dict[str, Any]:
    """Give what stands above the table of a dry run, by name; None is left out."""
    forecast = value["forecast"]
    told = value["no_forecast"]
    if forecast is not None:
        spread = forecast["duration_s"]
        count = len(forecast["instances"])
        told = f"p50 {spread['p50']:g} s, p95 {spread['p95']:g} s, of {count} instances of {forecast['version']}"
        told += f", {forecast['failure_share']:.0%} failed"
    binding = [f"{one['step'] or 'instance'}: {one['limit']} ({one['message']})" for one in value["limits"]["binding"]]
    return {
        "version": value["version"],
        "priority": value["limits"]["priority"],
        "outcome": value["outcome"],
        "outputs": value["outputs"],
        "error": value["error"],
        "cut short": None if value["is_complete"] else "a bound of dry runs was reached",
        "limits": "; ".join(binding) or None,
        "forecast": told,
    }


def dry_run_table(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the rows of a dry run: nested steps stand indented below their container."""
    return [
        {
            "step": _INDENT * step["depth"] + step["step"],
            "list": step["list"],
            "status": step["status"]
            if step["outcome"] in (None, "unknown")
            else f"{step['status']}, {step['outcome']}",
            "why": step["why"] or ", ".join(step["waits_for"]),
            "items": step["items"],
            "parameters": _waited(step["limits"]) or _shown(step["parameters"], step["parameters_bytes"]),
            "value": _shown(step["value"] if step["error"] is None else step["error"], step["value_bytes"]),
            **_seconds(step["forecast"]),
        }
        for step in steps
    ]


def _waited(limits: Mapping[str, Any]) -> str:
    """Say of a wait how long it is, and when it ends."""
    told = [] if limits.get("wait_s") is None else [f"{limits['wait_s']:g} s"]
    told += [] if limits.get("wait_until") is None else [f"until {limits['wait_until']}"]
    return ", ".join(told)


def _shown(value: Any, size: int | None) -> str:
    if size is not None:
        return f"{size} bytes"
    return "" if value is None else _cut(_json(value))


def _seconds(forecast: Mapping[str, Any] | None) -> dict[str, float]:
    spread = None if forecast is None else forecast["duration_s"]
    return {} if spread is None else {"p50_s": spread["p50"], "p95_s": spread["p95"]}


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value if isinstance(value, str) else _json(value)}" for name, value in values.items())


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[: SHOWN_CHARACTERS_MAX - 1] + "…"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
