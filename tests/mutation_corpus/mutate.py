"""Breaks valid DAGs in known ways: each mutation says which code must come, and where (semantics.md S54)."""

from __future__ import annotations

import copy
import random  # noqa: TID251 - a seeded generator of a test; the seed is printed
from collections.abc import Callable
from typing import Any

import msgspec
import yaml

from core.dag.document import Format
from tests.mutation_corpus.outline import Spot, spots

Document = dict[str, Any]
Expected = tuple[str, str]
Kind = Callable[[random.Random, Document], Expected | None]


class Mutant(msgspec.Struct, frozen=True):
    """A broken document: what was done to which DAG, and the fault that must be among those found."""

    kind: str
    origin: str
    document: Document
    code: str
    pointer: str


KINDS: dict[str, Kind] = {}
# Every so many mutants are written as YAML: the other notation has other readers and other places.
YAML_EVERY = 10


def encoded(number: int, mutant: Mutant) -> tuple[bytes, Format]:
    """Write the mutant of this number, and say in which notation."""
    if number % YAML_EVERY == 0 and mutant.code != "dag.syntax":
        text: str = yaml.dump(mutant.document, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False)
        return text.encode(), "yaml"
    return msgspec.json.encode(mutant.document), "json"


def kind(mutation: Kind) -> Kind:
    """Register a mutation; it changes the document in place, or gives None when the document has no place for it."""
    KINDS[mutation.__name__] = mutation
    return mutation


def mutants(seed: int, count: int, origins: dict[str, Document]) -> list[Mutant]:
    """Make mutants: kinds in turn, DAGs and places by chance."""
    chance = random.Random(seed)
    names = sorted(origins)
    made: list[Mutant] = []
    turn = 0
    while len(made) < count:
        name = list(KINDS)[turn % len(KINDS)]
        turn += 1
        origin = chance.choice(names)
        document = copy.deepcopy(origins[origin])
        expected = KINDS[name](chance, document)
        if expected is not None:
            made.append(Mutant(name, origin, document, *expected))
    return made


def pick(chance: random.Random, document: Document, wanted: Callable[[Spot], bool] = lambda _: True) -> Spot | None:
    """Choose a step that fits."""
    fitting = [spot for spot in spots(document) if wanted(spot)]
    return chance.choice(fitting) if fitting else None


def is_noop(spot: Spot) -> bool:
    return bool(spot.step["operator"] == "@debug/noop")


def put(spot: Spot, text: Any) -> str:
    """Add a parameter to a step that takes any; gives its pointer."""
    spot.step.setdefault("parameters", {})["mutated"] = text
    return f"{spot.pointer}/parameters/mutated"


# Shapes


@kind
def title_missing(_: random.Random, document: Document) -> Expected:
    del document["title"]
    return "dag.schema", ""


@kind
def title_with_a_slash(_: random.Random, document: Document) -> Expected:
    document["title"] += "/x"
    return "dag.schema", "/title"


@kind
def unknown_field_of_the_document(chance: random.Random, document: Document) -> Expected:
    name = chance.choice(["step", "colour", "on_error", "timeout"])
    document[name] = 1
    return "dag.schema", f"/{name}"


@kind
def unknown_field_of_a_step(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    name = chance.choice(["params", "depends", "retries", "if"])
    if spot is None:
        return None
    spot.step[name] = {}
    return "dag.schema", f"{spot.pointer}/{name}"


WRONG_TYPES: dict[str, list[Any]] = {
    "title": [5, ["x"], None],
    "operator": [5, None, ["@debug/noop"]],
    "depends_on": ["a", {}, 3],
    "when": [True, 1, {}],
    "join": [1, "all", None],
    "retry": ["3", [], 3],
    "timeout": [5, "5s", []],
    "on_error": [False, "ignore", {}],
    "parameters": ["x", [], None],
    "at_most_once": ["yes", 1],
    "breakpoint": ["no", 0],
    "output_schema": ["object", []],
    "cache": [True, "key"],
}


@kind
def wrong_type(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    name = chance.choice(sorted(WRONG_TYPES))
    if spot is None:
        return None
    spot.step[name] = chance.choice(WRONG_TYPES[name])
    return "dag.schema", f"{spot.pointer}/{name}"


@kind
def required_field_missing(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    if spot is None:
        return None
    del spot.step[chance.choice(["id", "operator"])]
    return "dag.schema", spot.pointer


@kind
def empty_list(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: spot.step["operator"] == "@control/map")
    if spot is None:
        return None
    spot.step["parameters"]["steps"] = []
    return "dag.operator.parameters", f"{spot.pointer}/parameters/steps"


@kind
def status_not_allowed(chance: random.Random, document: Document) -> Expected:
    document["status"] = chance.choice(["paused", "", "Normal"])
    return "dag.schema", "/status"


@kind
def version_of_a_wrong_form(chance: random.Random, document: Document) -> Expected:
    document["version"] = chance.choice(["1.0.0", "v1", "v1.0", "v1.0.0-rc1", "v01.0.0"])
    return "dag.schema", "/version"


@kind
def priority_out_of_range(chance: random.Random, document: Document) -> Expected:
    document.setdefault("settings", {})["priority"] = chance.choice([0, 6, -1, 2.5, True])
    return "dag.schema", "/settings/priority"


@kind
def tag_twice(_: random.Random, document: Document) -> Expected:
    document["tags"] = ["a", "b", "a"]
    return "dag.schema", "/tags/2"


@kind
def schema_with_an_unknown_type(_: random.Random, document: Document) -> Expected:
    document["inputs"] = {"type": "object", "properties": {"x": {"type": "strin"}}}
    return "dag.schema", "/inputs/properties/x/type"


@kind
def too_many_vars(_: random.Random, document: Document) -> Expected:
    document["vars"] = {f"v{n}": n for n in range(101)}
    return "dag.limit", "/vars"


@kind
def integer_too_wide(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, is_noop)
    return None if spot is None else ("dag.syntax", put(spot, 2**63 + chance.randrange(2**20)))


# Ids


@kind
def id_with_a_hyphen(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    if spot is None:
        return None
    spot.step["id"] = chance.choice(["a-b", "1a", "", "a b", "ä", "x" * 65])
    return "dag.schema", f"{spot.pointer}/id"


@kind
def id_reserved(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    if spot is None:
        return None
    spot.step["id"] = chance.choice(["in", "true", "false", "null"])
    return "dag.id.reserved", f"{spot.pointer}/id"


@kind
def id_twice(chance: random.Random, document: Document) -> Expected | None:
    found = spots(document)
    if len(found) < 2:
        return None
    later = chance.randrange(1, len(found))
    found[later].step["id"] = found[chance.randrange(later)].step["id"]
    return "dag.id.duplicate", f"{found[later].pointer}/id"


@kind
def branch_id_wrong(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: len(spot.step.get("parameters", {}).get("branches", ())) > 1)
    if spot is None:
        return None
    branches = spot.step["parameters"]["branches"]
    is_double = chance.random() < 0.5
    branches[1]["id"] = branches[0]["id"] if is_double else "else"
    return "dag.id.duplicate" if is_double else "dag.id.reserved", f"{spot.pointer}/parameters/branches/1/id"
