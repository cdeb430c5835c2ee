"""Golden journals: trace files of runs that earlier releases made. This release must replay them byte by byte.

`python -m tests.golden_journals` writes those that do not exist yet; what exists is never written anew: a journal that an
installation has stored does not change either.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flow_automation.testing import Faults, Simulation

FOLDER = Path(__file__).parent / "golden" / "journals"
NOOP = "@debug/noop"
SCENARIOS: dict[str, tuple[dict[str, Any], Any]] = {
    "chain": (
        {
            "title": "Chain",
            "inputs": {"type": "object", "properties": {"n": {"type": "integer", "default": 2}}},
            "steps": [
                {"id": "a", "operator": NOOP, "parameters": {"n": "{{ inputs.n }}"}, "retry": {"max_attempts": 3}},
                {"id": "b", "operator": NOOP, "when": "steps.a.output.n > 5"},
                {"id": "c", "operator": NOOP, "join": "all_done", "parameters": {"text": "x" * 20}},
            ],
            "outputs": {"n": "{{ steps.a.output.n }}"},
        },
        {},
    ),
    "containers": (
        {
            "title": "Containers",
            "steps": [
                {
                    "id": "fan",
                    "operator": "@control/map",
                    "parameters": {
                        "items": [1, 2, 3],
                        "steps": [{"id": "w", "operator": NOOP, "parameters": {"i": "{{ item }}"}}],
                    },
                },
                {
                    "id": "l",
                    "operator": "@control/loop",
                    "parameters": {"mode": "count", "limit": 3, "steps": [{"id": "i", "operator": NOOP}]},
                },
                {
                    "id": "p",
                    "operator": "@control/parallel",
                    "parameters": {"branches": [{"id": "x", "steps": [{"id": "px", "operator": NOOP}]}]},
                },
                {
                    "id": "t",
                    "operator": "@control/try",
                    "parameters": {
                        "steps": [{"id": "bad", "operator": "@http/request", "parameters": {"url": "http://h/"}}],
                        "catch": [{"id": "mend", "operator": NOOP}],
                        "finally": [{"id": "clean", "operator": NOOP}],
                    },
                },
                {"id": "pause", "operator": "@control/wait", "parameters": {"seconds": 60}},
            ],
        },
        {},
    ),
    "failing": (
        {
            "title": "Failing",
            "settings": {
                "on_failure": [{"id": "told", "operator": NOOP}],
                "on_finish": [{"id": "last", "operator": NOOP}],
            },
            "steps": [{"id": "bad", "operator": "@http/request", "parameters": {"url": "http://h/"}}],
        },
        {},
    ),
}
CALLEE = {
    "title": "Callee",
    "steps": [{"id": "w", "operator": NOOP, "parameters": {"n": "{{ inputs.n }}"}}],
    "outputs": {"got": "{{ steps.w.output.n }}"},
}
SCENARIOS["calling"] = SCENARIOS["called"] = (
    {
        "title": "Calling",
        "steps": [
            {"id": "c", "operator": "@control/call", "parameters": {"dag": "Callee", "inputs": {"n": 7}}},
            {"id": "n", "operator": "@control/call", "parameters": {"dag": "Nobody"}, "on_error": "continue"},
        ],
        "outputs": "{{ steps.c.output }}",
    },
    {},
)


def made(name: str) -> bytes:
    """Run a scenario, with crashes by seed; gives its trace file."""
    document, inputs = SCENARIOS[name]
    with Simulation(seed=len(name), faults=Faults(crash_share=0.1)) as simulation:
        simulation.when(NOOP).returns_from(lambda call: call.parameters)
        simulation.when("@http/request").fails("invalid", "no such address")
        simulation.offer(CALLEE)
        instance_id = simulation.run(document, inputs).id
        if name == "called":
            begun = (event for event in simulation.read_events(instance_id) if event["event"] == "wait_begun")
            instance_id = next(begun)["detail"]["instance_id"]
        return simulation.read_trace(instance_id)


def main() -> int:
    """Write what does not exist."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in SCENARIOS:
        file = FOLDER / f"{name}.flowtrace"
        if not file.exists():
            file.write_bytes(made(name))
            print(f"wrote {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
