"""DAGs that the fuzzer stores, without their titles."""

from __future__ import annotations

from typing import Any

_NOOP = {"id": "a", "operator": "@debug/noop", "parameters": {"x": "{{ has(inputs.x) ? inputs.x : 0 }}"}}
_INNER = {"id": "work", "operator": "@debug/noop", "parameters": {"item": "{{ item }}"}}
# One that ends at once, one that fails, one with nested tasks, and one that stays open for a second: long enough to be
# ended by the next call, short enough to be waited for.
BODIES: tuple[dict[str, Any], ...] = (
    {"steps": [_NOOP], "outputs": {"x": "{{ steps.a.output.x }}"}},
    {"steps": [{"id": "a", "operator": "@debug/fail"}]},
    {"steps": [{"id": "a", "operator": "@control/map", "parameters": {"items": [1, 2, 3], "steps": [_INNER]}}]},
    {"steps": [{"id": "a", "operator": "@debug/fail", "retry": {"max_attempts": 2, "delay_s": 1, "jitter": "none"}}]},
)
# One that stays open longer than the rounds last.
SLOW_BODY: dict[str, Any] = {
    "steps": [
        {
            "id": "a",
            "operator": "@debug/fail",
            # Without jitter: one in twenty would end within the rounds.
            "retry": {"max_attempts": 2, "delay_s": 3_600, "max_delay_s": 3_600, "jitter": "none"},
        }
    ]
}
