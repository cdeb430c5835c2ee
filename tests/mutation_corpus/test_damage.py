"""Damage without aim: any value anywhere, any byte anywhere. Nothing but a typed error may come of it."""

from __future__ import annotations

import copy
import random  # noqa: TID251 - a seeded generator of a test; the seed is printed
from typing import Any

import msgspec

from core.dag.compile import compile_dag
from core.dag.parse import parse_dag
from core.errors import DagInvalid, DagUndecodable
from tests.dags.catalog import catalog
from tests.dags.corpus import valid_documents, valid_values

SEED = 71
COUNT = 4_000
CATALOG = catalog()
COMPUTATIONS = {name: print for name, spec in CATALOG.items() if spec.kind == "pure"}
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, "", "x", "{{ 1 }}", "{{", "{{ steps.a.output }}", "@control/map", "@control/try", [], {}, ["x"],
    [[]], [{}], {"x": 1}, {"id": "z"}, [{"id": "z", "operator": "@control/loop", "parameters": {}}], "in", {"": 1}, [None],
    {"$ref": "#/x"}, {"$ref": "#"}, {"type": "object", "properties": 7}, {"items": [1], "steps": []}, 10**18, "\U0001f600",
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Give every (container, key) of a value."""
    found = []
    for name, part in list(value.items()) if isinstance(value, dict) else enumerate(value):
        found.append((value, name))
        if isinstance(part, dict | list):
            found += places(part)
    return found


def outcome(data: bytes) -> str:
    """Parse and, when valid, compile; anything but the two errors of the language leaves this function."""
    try:
        dag = parse_dag(data, catalog=CATALOG)
    except DagInvalid as error:
        return "invalid" if error.faults else "without faults"
    except DagUndecodable as error:
        return "undecodable" if error.faults else "without faults"
    plan = compile_dag(dag, dag_id="d", version="v1.0.0", content_hash="h", catalog=CATALOG, computations=COMPUTATIONS)
    return "valid" if plan.nodes else "empty"


def test_any_value_at_any_place_gives_a_typed_error_or_a_plan() -> None:
    chance = random.Random(SEED)
    origins = list(valid_values().values())
    seen = set()
    for _ in range(COUNT):
        document = copy.deepcopy(chance.choice(origins))
        for _ in range(chance.choice((1, 1, 2, 5))):
            container, name = chance.choice(places(document))
            if isinstance(container, dict) and chance.random() < 0.2:
                container[chance.choice(("steps", "when", "id", "cache", "x", "else", "finally"))] = chance.choice(
                    VALUES
                )
            elif chance.random() < 0.1:
                del container[name]
                break
            else:
                container[name] = copy.deepcopy(chance.choice(VALUES))
                break
        seen.add(outcome(msgspec.json.encode(document)))
    assert {"invalid", "valid"} == seen


def test_any_byte_anywhere_gives_a_typed_error_or_a_plan() -> None:
    chance = random.Random(SEED)
    origins = list(valid_documents().values())
    seen = set()
    for _ in range(COUNT):
        data = bytearray(chance.choice(origins))
        for _ in range(chance.choice((1, 1, 3, 20))):
            at = chance.randrange(len(data))
            data[at : at + chance.choice((0, 1, 1, 5))] = bytes(
                chance.choice((*b"{}[]:,-&*!|>'\"%@`# \n\t?0a", chance.randrange(256)))
                for _ in range(chance.choice((0, 1, 1, 3)))
            )
        seen.add(outcome(bytes(data)))
    assert {"invalid", "undecodable", "valid"} == seen
