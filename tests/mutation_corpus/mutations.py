"""Mutations of operators, order, expressions, references, policies and variables."""

from __future__ import annotations

import random  # noqa: TID251 - a seeded generator of a test; the seed is printed
from typing import Any

from tests.mutation_corpus.mutate import Document, Expected, is_noop, kind, pick, put
from tests.mutation_corpus.outline import Spot, spots

# Text parameters of operators whose schema allows nothing else in their place.
TEXTS = {
    "@text/split": "separator",
    "@text/join": "separator",
    "@text/match": "pattern",
    "@text/template": "template",
    "@json/parse": "text",
    "@time/format": "format",
    "@time/add": "at",
    "@http/request": "url",
    "@debug/log": "message",
}


def has_texts(spot: Spot) -> bool:
    return spot.step["operator"] in TEXTS


def text_of(spot: Spot) -> str:
    return TEXTS[spot.step["operator"]]


@kind
def operator_unknown(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: not spot.is_control)
    if spot is None:
        return None
    spot.step["operator"] = chance.choice(["@debug/nop", "noop", "@http/get", "@trigger/manual", "@control/if"])
    return "dag.operator.unknown", f"{spot.pointer}/operator"


@kind
def parameter_of_a_wrong_type(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, has_texts)
    if spot is None:
        return None
    spot.step["parameters"][text_of(spot)] = chance.choice([{"x": 1}, [], 7, None, True])
    return "dag.operator.parameters", f"{spot.pointer}/parameters/{text_of(spot)}"


@kind
def parameter_missing(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, has_texts)
    if spot is None:
        return None
    del spot.step["parameters"][text_of(spot)]
    return "dag.operator.parameters", f"{spot.pointer}/parameters"


@kind
def parameter_unknown(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: has_texts(spot) or spot.is_control)
    if spot is None:
        return None
    spot.step["parameters"]["mutated"] = 1
    return "dag.operator.parameters", f"{spot.pointer}/parameters/mutated"


@kind
def choice_of_a_map_wrong(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: spot.step["operator"] == "@control/map")
    if spot is None:
        return None
    name = chance.choice(["on_item_error", "max_concurrency", "batch_size"])
    spot.step["parameters"][name] = chance.choice(["stop", 0, -3, 1.5])
    return "dag.operator.parameters", f"{spot.pointer}/parameters/{name}"


@kind
def depends_on_unknown(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    if spot is None:
        return None
    known = list(spot.step.get("depends_on", ()))
    spot.step["depends_on"] = [*known, "no_such_step"]
    return "dag.depends_on.unknown", f"{spot.pointer}/depends_on/{len(known)}"


@kind
def depends_on_another_list(chance: random.Random, document: Document) -> Expected | None:
    found = spots(document)
    inner = [spot for spot in found if spot.depth]
    spot = pick(chance, document, lambda spot: not spot.depth)
    if spot is None or not inner:
        return None
    spot.step["depends_on"] = [chance.choice(inner).step["id"]]
    return "dag.depends_on.unknown", f"{spot.pointer}/depends_on/0"


@kind
def depends_on_twice(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: spot.place > 0)
    if spot is None:
        return None
    name = spot.siblings[spot.place - 1]["id"]
    spot.step["depends_on"] = [name, name]
    return "dag.schema", f"{spot.pointer}/depends_on/1"


@kind
def cycle(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: bool(spot.before()))
    if spot is None:
        return None
    first = chance.choice(sorted(spot.before()))
    between = {place for place in spot.before() if first in Spot(*_at(spot, place)).before()} | {spot.place}
    if min(between) < first:
        return None
    spot.siblings[first]["depends_on"] = [spot.step["id"]]
    return "dag.depends_on.cycle", f"{spot.sibling_pointer(first)}/depends_on"


def _at(spot: Spot, place: int) -> tuple[Any, ...]:
    return spot.siblings[place], spot.sibling_pointer(place), spot.siblings, place, spot.depth


@kind
def depends_on_itself(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    if spot is None:
        return None
    spot.step["depends_on"] = [spot.step["id"]]
    return "dag.depends_on.cycle", f"{spot.pointer}/depends_on"


@kind
def when_cannot_be_read(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    if spot is None:
        return None
    spot.step["when"] = chance.choice(["1 >", "{{ true }}", "a &&", "(1 == 1", "1 = 1", "'x", "not true"])
    return "dag.expression.syntax", f"{spot.pointer}/when"


@kind
def when_gives_no_boolean(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    if spot is None:
        return None
    spot.step["when"] = chance.choice(["1 + 1", "'true'", "[true]", "size('x')", "null"])
    return "dag.expression.type", f"{spot.pointer}/when"


@kind
def template_cannot_be_read(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, is_noop)
    text = chance.choice(["{{ 1 + }}", "{{", "x {{ }} y", "{{ 'a }}", "{{ [1, }}"])
    return None if spot is None else ("dag.expression.syntax", put(spot, text))


@kind
def template_in_the_outputs_not_closed(_: random.Random, document: Document) -> Expected:
    document["outputs"] = {"list": [1, "{{ inputs"]}
    return "dag.expression.syntax", "/outputs/list/1"


@kind
def template_of_a_wrong_type(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, has_texts)
    if spot is None:
        return None
    spot.step["parameters"][text_of(spot)] = chance.choice(["{{ 1 + 1 }}", "{{ [1] }}", "{{ true }}"])
    return "dag.expression.type", f"{spot.pointer}/parameters/{text_of(spot)}"


@kind
def expression_too_long(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, is_noop)
    return None if spot is None else ("dag.limit", put(spot, "{{ " + " + ".join(["1"] * 600) + " }}"))


@kind
def expression_with_operands_of_wrong_types(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, is_noop)
    text = chance.choice(["{{ 1 + 'a' }}", "{{ !3 }}", "{{ 'a' < 1 }}", "{{ size(7) }}"])
    return None if spot is None else ("dag.expression.type", put(spot, text))


@kind
def step_unknown(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, is_noop)
    return None if spot is None else ("dag.reference.unknown", put(spot, "{{ steps.no_such_step.output }}"))


@kind
def name_unknown(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, is_noop)
    text = chance.choice(["{{ input.x }}", "see {{ nothing }}", "{{ vars.no_such_variable }}", "{{ error.kind }}"])
    if spot is None or ("error" in text and "/on_error/" in spot.pointer):
        return None
    return "dag.reference.unknown", put(spot, text)


@kind
def step_not_upstream(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: is_noop(spot) and len(spot.before()) + 1 < len(spot.siblings))
    if spot is None:
        return None
    later = [place for place in range(len(spot.siblings)) if place != spot.place and place not in spot.before()]
    name = spot.siblings[chance.choice(later)]["id"]
    field = chance.choice(["output", "status", "attempts"])
    return "dag.reference.not_upstream", put(spot, f"{{{{ steps.{name}.{field} }}}}")


@kind
def step_inside_a_container(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: is_noop(spot) and not spot.depth)
    inner = [one for one in spots(document) if one.depth]
    if spot is None or not inner:
        return None
    return "dag.reference.not_upstream", put(spot, f"{{{{ steps.{chance.choice(inner).step['id']}.output }}}}")


@kind
def step_unguarded(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: is_noop(spot) and bool(spot.before()) and "when" not in spot.step)
    if spot is None:
        return None
    other = spot.siblings[chance.choice(sorted(spot.before()))]
    other["when"] = "1 == 1"
    return "dag.reference.unguarded", put(spot, f"x {{{{ steps.{other['id']}.output }}}}")


@kind
def unguarded_in_all_done(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: is_noop(spot) and bool(spot.before()) and "when" not in spot.step)
    if spot is None:
        return None
    spot.step["join"] = "all_done"
    name = spot.siblings[chance.choice(sorted(spot.before()))]["id"]
    return "dag.reference.unguarded", put(spot, f"{{{{ steps.{name}.output }}}}")


@kind
def path_not_declared(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, is_noop)
    if spot is None or "properties" not in document.get("inputs", {}):
        return None
    return "dag.reference.path", put(spot, "{{ inputs.no_such_input }}")


@kind
def secret_misplaced(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document)
    if spot is None:
        return None
    spot.step["when"] = "secrets.github.token == 'x'"
    return "dag.secret.misplaced", f"{spot.pointer}/when"


@kind
def kind_never_retried(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: not spot.is_control)
    if spot is None:
        return None
    spot.step["retry"] = {"on": ["failed", chance.choice(["expression", "limit", "rejected", "cancelled"])]}
    return "dag.policy", f"{spot.pointer}/retry/on/1"


@kind
def policy_on_a_control_step(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: spot.is_control)
    if spot is None:
        return None
    name, value = chance.choice([("retry", {}), ("cache", {"ttl_s": 1}), ("at_most_once", True)])
    spot.step[name] = value
    return "dag.policy", f"{spot.pointer}/{name}"


@kind
def timeout_on_a_control_step(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: spot.is_control)
    if spot is None:
        return None
    name = chance.choice(["attempt_s", "queue_s", "heartbeat_s"])
    spot.step["timeout"] = {name: 5}
    return "dag.policy", f"{spot.pointer}/timeout/{name}"


@kind
def variable_defined_twice(_: random.Random, document: Document) -> Expected:
    at = len(document["steps"])
    for name in ("def_1", "def_2"):
        parameters = {"name": "mutated", "value": 1}
        document["steps"].append({"id": name, "operator": "@data/define", "parameters": parameters})
    return "dag.variable", f"/steps/{at + 1}/parameters/name"


@kind
def variable_not_defined(chance: random.Random, document: Document) -> Expected:
    at = len(document["steps"])
    name = chance.choice(["nobody_defines_it", *document.get("vars", {})])
    parameters = {"name": name, "value": 1}
    document["steps"].append({"id": "assign_1", "operator": "@data/assign", "parameters": parameters})
    return "dag.variable", f"/steps/{at}/parameters/name"


@kind
def trigger_wrong(chance: random.Random, document: Document) -> Expected:
    cron = chance.choice(["* * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "@never", "1-0 * * * *"])
    document["triggers"] = [{"id": "t", "operator": "@trigger/cron", "parameters": {"cron": cron}}]
    return "dag.trigger", "/triggers/0/parameters/cron"


@kind
def trigger_not_run_yet(chance: random.Random, document: Document) -> Expected | None:
    if "required" in document.get("inputs", {}):
        return None
    parameters = {"cron": chance.choice(["0 2 * * *", "@daily", "*/5 * * * MON-FRI"])}
    document["triggers"] = [{"id": "t", "operator": "@trigger/cron", "parameters": parameters}]
    return "dag.operator.unavailable", "/triggers/0/operator"


@kind
def feature_not_run_yet(chance: random.Random, document: Document) -> Expected | None:
    spot = pick(chance, document, lambda spot: not spot.is_control)
    if spot is None:
        return None
    name, value = chance.choice([("cache", {"ttl_s": 60}), ("concurrency", {"max": 1}), ("at_most_once", True)])
    spot.step[name] = value
    if name == "at_most_once":
        spot.step.pop("retry", None)
    return "dag.operator.unavailable", f"{spot.pointer}/{name}"


@kind
def optional_field_changed(chance: random.Random, document: Document) -> Expected | None:
    """Change what may be anything: these mutants stay valid unless an order was needed."""
    spot = pick(chance, document, is_noop)
    if spot is None:
        return None
    spot.step["title"] = "changed"
    put(spot, chance.choice([1, None, "text", [{}], {"deep": [1.5]}, "}}"]))
    return "", ""
