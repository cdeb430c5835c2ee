"""The DAGs of the workloads."""

from __future__ import annotations

from typing import Any

NOOP = "@debug/noop"
CHAIN_STEPS = 10
FAN_STEPS = 200
LIGHT_STEPS = 40  # of W5
# Of W9. Half of a hundred in flight have the key: each takes a permit and gives it back, and hardly one waits for it.
LIMIT = 64
MAP_CONCURRENCY = 100
ITEM_BYTES = 1_024
FETCHED_BYTES_MAX = 16 * 1_048_576  # ten thousand items and their commas

Document = dict[str, Any]


def chain(step_count: int = CHAIN_STEPS) -> Document:
    """W1: ten no-ops, one after the other."""
    return {"title": "W1 chain", "steps": [{"id": f"s{number}", "operator": NOOP} for number in range(step_count)]}


def limited_chain() -> Document:
    """Half of W9: the chain of W1 behind one gate."""
    limit = {"key": "crane", "max": LIMIT, "on_limit": "queue"}
    return {**chain(), "title": "W9 limited chain", "settings": {"concurrency": limit}}


def fan() -> Document:
    """W2: one no-op, two hundred at once, one that waits for all of them."""
    middle = [{"id": f"m{number}", "operator": NOOP, "depends_on": ["first"]} for number in range(FAN_STEPS)]
    last = {"id": "last", "operator": NOOP, "depends_on": [step["id"] for step in middle]}
    return {"title": "W2 fan-out", "steps": [{"id": "first", "operator": NOOP}, *middle, last]}


def light_chain() -> Document:
    """W5: forty steps of Python, one after the other, each with ten milliseconds of work in the sandbox."""
    code = (
        "import time\n"
        "def main():\n"
        "    end = time.perf_counter() + 0.01\n"
        "    while time.perf_counter() < end:\n"
        "        pass\n"
        "    return 1\n"
    )
    run = {"operator": "@python/run", "parameters": {"mode": "isolated", "code": code}}
    return {"title": "W5 light chain", "steps": [{"id": f"s{number}", **run} for number in range(LIGHT_STEPS)]}


def single(title: str) -> Document:
    """W3 and W4: one no-op."""
    return {"title": title, "steps": [{"id": "only", "operator": NOOP}]}


def single_wait() -> Document:
    """W7: one wait for the time that the inputs give."""
    return {
        "title": "W7 waiting",
        "inputs": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
        "steps": [{"id": "wait", "operator": "@control/wait", "parameters": {"until": "{{ inputs.at }}"}}],
    }


def noop_map() -> Document:
    """W6: a no-op per integer of the inputs."""
    return {
        "title": "W6 map",
        "inputs": {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "integer"}}}},
        "steps": [
            {
                "id": "all",
                "operator": "@control/map",
                "parameters": {
                    "items": "{{ inputs.items }}",
                    "max_concurrency": MAP_CONCURRENCY,
                    "steps": [{"id": "each", "operator": NOOP}],
                },
            }
        ],
    }


def made_map(mock_port: int) -> Document:
    """The map whose bodies each make an output of 1 KiB: more of them than one value may hold (64 MiB, engine.md 1)."""
    made = {"url": f"http://127.0.0.1:{mock_port}/items", "query": {"count": 1, "bytes": ITEM_BYTES}}
    document = noop_map()
    document["title"] = "Map of made items"
    document["steps"][0]["parameters"]["steps"] = [
        {"id": "make", "operator": "@http/request", "parameters": made},
        {"id": "give", "operator": NOOP, "parameters": {"item": "{{ steps.make.output.body }}"}},
    ]
    return document


def fetched_map(mock_port: int) -> Document:
    """The map over items of 1 KiB that are fetched first; each body gives its item back after a call of its own length.

    The lengths, 0 to 39 ms in no order, are what shuffles the ends: calls of a hundred items are under way at once.
    """
    server = f"http://127.0.0.1:{mock_port}"
    return {
        "title": "Map of fetched items",
        "inputs": {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
        "steps": [
            {
                "id": "fetch",
                "operator": "@http/request",
                "parameters": {
                    "url": f"{server}/items",
                    "query": {"count": "{{ inputs.count }}", "bytes": ITEM_BYTES},
                    "body_bytes_max": FETCHED_BYTES_MAX,
                },
            },
            {
                "id": "all",
                "operator": "@control/map",
                "parameters": {
                    "items": "{{ steps.fetch.output.body }}",
                    "max_concurrency": MAP_CONCURRENCY,
                    "steps": [
                        {
                            "id": "work",
                            "operator": "@http/request",
                            "parameters": {"method": "POST", "url": server + "/work/{{ index * 7919 % 40 }}"},
                        },
                        {"id": "give", "operator": NOOP, "parameters": {"item": "{{ item }}"}},
                    ],
                },
            },
        ],
    }
