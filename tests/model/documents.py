"""The steps of the reference as a document of the language."""

from __future__ import annotations

from typing import Any

from tests.model.reference import Step

URL = "http://target.test"


def document_of(title: str, steps: tuple[Step, ...]) -> dict[str, Any]:
    """Write a DAG whose calls say which instance (input `n`) and step they are of."""
    return {
        "title": title,
        "inputs": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        "steps": [_step(step) for step in steps],
    }


def _step(step: Step) -> dict[str, Any]:
    written: dict[str, Any] = {"id": step.id, "depends_on": list(step.depends_on), "join": step.join}
    if step.is_continued:
        written["on_error"] = "continue"
    if step.kind == "call":
        written["operator"] = "@http/request"
        written["parameters"] = {"url": f"{URL}/{{{{ inputs.n }}}}/{step.id}"}
        written["retry"] = {
            "max_attempts": step.attempts_max, "delay_s": step.delay_s, "backoff": 1, "jitter": "none",
        }  # fmt: skip
        if step.bound_s is not None:
            written["timeout"] = {"attempt_s": step.bound_s}
        return written
    written["operator"] = "@control/wait"
    if step.kind == "sleep":
        written["parameters"] = {"seconds": step.sleep_s}
        return written
    written["parameters"] = {"event": {"name": step.signal}}
    if step.bound_s is not None:
        written["parameters"]["event"]["timeout_s"] = step.bound_s
    return written
