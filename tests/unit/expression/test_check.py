from typing import Any

import pytest

from core.expression import Environment, Read, StepView, VariableView, check, guards_of, parse_expression
from core.expression.environment import ERROR_TYPE, INSTANCE_TYPE, LOOP_FIELDS, TRIGGER_TYPE
from core.expression.types import (
    BOOL,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NUMBER,
    STRING,
    TIMESTAMP,
    TYPE,
    Type,
    list_of,
    object_of,
    type_of_schema,
)

INPUTS = type_of_schema(
    {
        "type": "object",
        "properties": {
            "total": {"type": "integer"},
            "price": {"type": "number"},
            "name": {"type": "string"},
            "ready": {"type": "boolean"},
            "rows": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}},
            "any": {},
            "free": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
)
ENVIRONMENT = Environment(
    names={"inputs": INPUTS, "trigger": TRIGGER_TYPE, "instance": INSTANCE_TYPE, "error": ERROR_TYPE},
    steps={
        "fetch": StepView("fetch", output=object_of({"body": list_of(INT)})),
        "maybe": StepView("maybe", may_lack_output=True),
        "later": StepView("later", upstream=False),
    },
    hidden={"inner": "only the output of `fan` is visible here"},
    vars={
        "currency": VariableView(STRING),
        "region": VariableView(STRING, may_lack_value=True, defined_by="define"),
        "late": VariableView(upstream=False, defined_by="define_late"),
        "odd": VariableView(upstream=False),
    },
    loops={"fan": {**LOOP_FIELDS, "last": DYN}},
    callbacks=frozenset({"reply"}),
)


def faults(text: str, environment: Environment = ENVIRONMENT) -> list[tuple[str, int]]:
    return [(fault.code, fault.offset) for fault in check(parse_expression(text), environment).faults]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1", INT),
        ("inputs.total + 1", INT),
        ("inputs.total * 1.5", DOUBLE),
        ("inputs.price + 1", NUMBER),
        ("inputs.any + 1", DYN),
        ("inputs.name + 'x'", STRING),
        ("b'a' + b'b'", Type("bytes")),
        ("[1] + [2]", list_of(INT)),
        ("[1, 2.5]", list_of(NUMBER)),
        ("[]", list_of(DYN)),
        ("inputs.rows[0].id", INT),
        ("inputs['total']", INT),
        ("inputs.free.anything", STRING),
        ("inputs.free['a' + 'b']", STRING),
        ("inputs[inputs.name]", DYN),
        ("inputs.any[0].x", DYN),
        ("-inputs.total", INT),
        ("-inputs.any", DYN),
        ("!inputs.ready", BOOL),
        ("inputs.ready && true || false", BOOL),
        ("inputs.ready ? 1 : 2", INT),
        ("inputs.ready ? 1 : 'a'", DYN),
        ("inputs.total > 1.5", BOOL),
        ("inputs.any < 'a'", BOOL),
        ("inputs.total == null", BOOL),
        ("inputs.name in ['a']", BOOL),
        ("inputs.name in inputs.free", BOOL),
        ("inputs.rows.map(r, r.id)", list_of(INT)),
        ("inputs.rows.map(r, r.id > 1, r.id)", list_of(INT)),
        ("inputs.rows.filter(r, r.id > 1)[0].id", INT),
        ("inputs.rows.all(r, r.id > 1)", BOOL),
        ("inputs.map(k, k)", list_of(STRING)),
        ("inputs.free.map(k, k)", list_of(DYN)),
        ("{'a': 1}.a", INT),
        ("{1: 'a', 2: 'b'}[1]", STRING),
        ("size(inputs.rows)", INT),
        ("inputs.name.size()", INT),
        ("now() - duration('1h')", TIMESTAMP),
        ("duration('1h') + now()", TIMESTAMP),
        ("now() - now()", DURATION),
        ("now() + inputs.any", DYN),
        ("now().getHours('UTC')", INT),
        ("duration('1h').getHours()", INT),
        ("type(1) == int", BOOL),
        ("int", TYPE),
        ("steps.fetch.output.body[0]", INT),
        ("steps.fetch.status", STRING),
        ("steps['fetch']['output'].body", list_of(INT)),
        ("vars.currency", STRING),
        ("vars['currency']", STRING),
        ("vars[inputs.name]", DYN),
        ("loops.fan.index", INT),
        ("callbacks.reply", STRING),
        ("trigger.scheduled_at", TIMESTAMP),
        ("regex_extract(inputs.name, 'a(b)')", DYN),
        ("has(steps.maybe.output)", BOOL),
    ],
)
def test_expression_without_fault_has_its_type(text: str, kind: Type) -> None:
    checked = check(parse_expression(text), ENVIRONMENT)

    assert () == checked.faults
    assert kind == checked.type


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ("inputs.totl", "dag.reference.path", 7),
        ("inputs.total.x", "dag.reference.path", 13),
        ("has(inputs.totl)", "dag.reference.path", 11),
        ("error.knd", "dag.reference.path", 6),
        ("steps.fetch.ouput", "dag.reference.path", 12),
        ("loops.fan.lst", "dag.reference.path", 10),
        ("inputs.total + 'a'", "dag.expression.type", 13),
        ("inputs.total - 'a'", "dag.expression.type", 13),
        ("now() + now()", "dag.expression.type", 6),
        ("duration('1s') - now()", "dag.expression.type", 15),
        ("inputs.any * 'a'", "dag.expression.type", 11),
        ("-inputs.name", "dag.expression.type", 0),
        ("!inputs.total", "dag.expression.type", 0),
        ("true && inputs.total", "dag.expression.type", 8),
        ("inputs.total ? 1 : 2", "dag.expression.type", 0),
        ("inputs.total == 'a'", "dag.expression.type", 13),
        ("inputs.total < 'a'", "dag.expression.type", 13),
        ("inputs.any < [1]", "dag.expression.type", 11),
        ("inputs.name < now()", "dag.expression.type", 12),
        ("1 in 'text'", "dag.expression.type", 2),
        ("1 in ['a']", "dag.expression.type", 2),
        ("inputs.name[0]", "dag.expression.type", 11),
        ("inputs.rows['a']", "dag.expression.type", 11),
        ("inputs.free[null]", "dag.expression.type", 11),
        ("{1.5: 1}", "dag.expression.type", 1),
        ("{'a': 1, 'a': 2}", "dag.expression.type", 9),
        ("1.all(x, true)", "dag.expression.type", 2),
        ("[1].all(x, x)", "dag.expression.type", 11),
        ("[1].map(x, x, x)", "dag.expression.type", 11),
        ("size(1)", "dag.expression.type", 0),
        ("contains('a', 'b')", "dag.expression.type", 0),
        ("'a'.matches('(')", "dag.expression.type", 4),
        ("inputs.name.matches('(')", "dag.expression.type", 12),
        ("now().getHours('Nowhere')", "dag.expression.type", 6),
        ("timestamp('yesterday')", "dag.expression.type", 0),
        ("nothing(1)", "dag.reference.unknown", 0),
        ("uint(1)", "dag.reference.unknown", 0),
        ("[1].all(1)", "dag.reference.unknown", 4),
        ("unknown", "dag.reference.unknown", 0),
        ("item", "dag.reference.unknown", 0),
        ("steps.ftch.output", "dag.reference.unknown", 6),
        ("steps.inner.output", "dag.reference.unknown", 6),
        ("steps", "dag.reference.unknown", 0),
        ("steps.fetch", "dag.reference.unknown", 0),
        ("steps[inputs.name].output", "dag.reference.unknown", 0),
        ("loops", "dag.reference.unknown", 0),
        ("loops.fn.index", "dag.reference.unknown", 6),
        ("vars.curency", "dag.reference.unknown", 5),
        ("callbacks.rply", "dag.reference.unknown", 10),
        ("steps.later.output", "dag.reference.not_upstream", 6),
        ("vars.late", "dag.reference.not_upstream", 5),
        ("vars.odd", "dag.reference.not_upstream", 5),
        ("steps.maybe.output", "dag.reference.unguarded", 6),
        ("vars.region", "dag.reference.unguarded", 5),
        ("secrets.github.token", "dag.secret.misplaced", 0),
        ("connections.warehouse", "dag.secret.misplaced", 0),
    ],
)
def test_fault_has_its_code_and_points_at_its_place(text: str, code: str, offset: int) -> None:
    assert [(code, offset)] == faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "has(steps.maybe.output) && steps.maybe.output > 1",
        "has(steps.maybe.output.x) && steps.maybe.output.x > 1",
        "has(steps.maybe.output) ? steps.maybe.output : null",
        "!has(steps.maybe.output) ? null : steps.maybe.output",
        "!has(steps.maybe.output) || steps.maybe.output > 1",
        "steps.maybe.status == 'succeeded' && steps.maybe.output > 1",
        "'succeeded' == steps.maybe.status && steps.maybe.output > 1",
        "steps.maybe.status != 'succeeded' || steps.maybe.output > 1",
        "inputs.ready && (has(steps.maybe.output) && inputs.ready) && steps.maybe.output > 1",
        "!(inputs.ready && has(steps.maybe.output)) || steps.maybe.output > 1",
        "inputs.rows.map(r, has(steps.maybe.output), steps.maybe.output)",
        "has(vars.region) && vars.region == 'eu'",
    ],
)
def test_s32_guard_covers_what_it_proves(text: str) -> None:
    assert [] == faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "has(steps.maybe.output) || steps.maybe.output > 1",
        "!has(steps.maybe.output) && steps.maybe.output > 1",
        "steps.maybe.output > 1 && has(steps.maybe.output)",
        "has(steps.maybe.output) ? null : steps.maybe.output",
        "steps.maybe.status == 'failed' && steps.maybe.output > 1",
        "steps.maybe.status != 'succeeded' && steps.maybe.output > 1",
        "steps.maybe.attempts == 'succeeded' || steps.maybe.output > 1",
        "has(inputs.rows) && steps.maybe.output > 1",
        "(has(steps.maybe.output) || inputs.ready) && steps.maybe.output > 1",
        "has({'a': steps.maybe.output}.a)",
        "has(inputs.rows[steps.maybe.output].id)",
    ],
)
def test_condition_that_proves_nothing_leaves_the_reference_unguarded(text: str) -> None:
    assert "dag.reference.unguarded" in [code for code, _ in faults(text)]


def test_guard_of_the_step_s_own_condition_covers_its_parameters() -> None:
    when = parse_expression("inputs.ready && has(steps.maybe.output) && has(vars.region)")
    proven = guards_of(when)
    environment = Environment(names=ENVIRONMENT.names, steps=ENVIRONMENT.steps, vars=ENVIRONMENT.vars, proven=proven)

    assert frozenset({"maybe", "vars.region"}) == proven
    assert [] == faults("steps.maybe.output == vars.region", environment)


def test_variable_is_covered_by_the_step_that_defines_it() -> None:
    environment = Environment(vars=ENVIRONMENT.vars, proven=frozenset({"define"}))

    assert [] == faults("vars.region", environment)


def test_s37_secrets_are_read_by_key_and_path_where_they_are_allowed() -> None:
    environment = Environment(names={"inputs": INPUTS}, allows_secrets=True)

    assert [] == faults("secrets.github.token + secrets['github/app'].token + connections.warehouse.url", environment)
    assert [("dag.reference.unknown", 0)] == faults("secrets", environment)
    assert [("dag.reference.unknown", 0)] == faults("secrets[inputs.name]", environment)
    assert [("dag.reference.unknown", 0)] == faults("connections", environment)
    reads = check(parse_expression("secrets.github.token"), environment).reads
    assert (Read(("secrets", "github", "token")),) == reads


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("steps.ftch.output", "did you mean `fetch`?"),
        ("steps.inner.output", "only the output of `fan` is visible here"),
        ("steps.later.output", "let this step depend on `later`"),
        ("vars.late", "let this step depend on `define_late`"),
        ("inputs.Total", "did you mean `total`?"),
        ("siez('a')", "did you mean `size`?"),
        ("inptus.total", "did you mean `inputs`?"),
        ("inputs.name + 1", "convert with string()"),
        ("inputs.name < now()", "convert the text with timestamp()"),
        ("'a' in inputs.name", "write text.contains(part)"),
        ("steps.maybe.output", "guard it, as in `has(steps.maybe.output) ? steps.maybe.output : null`"),
        ("steps", "write steps.<id>.output, .status, .error or .attempts"),
        ("uint(1)", "there are no unsigned integers; use int()"),
        ("[1].all(1)", "all() is written items.all(variable, expression)"),
        ("startsWith('a')", "write string.startsWith(string)"),
        ("bool(1)", "write bool(bool) or bool(string)"),
        ("zzzzzz", ""),
    ],
)
def test_fault_says_what_to_write_instead(text: str, hint: str) -> None:
    (fault,) = check(parse_expression(text), ENVIRONMENT).faults

    assert hint == fault.hint


def test_fault_lists_what_is_possible_there() -> None:
    (fault,) = check(parse_expression("steps.fetch.ouput"), ENVIRONMENT).faults
    (unknown,) = check(parse_expression("nope"), Environment(allows_secrets=True, loops={"l": {}})).faults

    assert ("attempts", "error", "output", "status") == fault.allowed
    assert ("connections", "loops", "secrets", "steps", "vars") == unknown.allowed


def test_all_faults_are_found_in_the_order_of_the_text() -> None:
    text = "[inputs.a, 1 + 'a', steps.zz.output, inputs.a]"

    assert [
        ("dag.reference.path", 8),
        ("dag.expression.type", 13),
        ("dag.reference.unknown", 26),
        ("dag.reference.path", 44),
    ] == faults(text)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("inputs.a + inputs.b", [(("inputs",), False)]),
        ("has(steps.a.output) && steps.a.output.x", [(("steps", "a", "output"), True)]),
        ("has(steps.a.output) || steps.a.output.x", [(("steps", "a", "output"), False)]),
        ("vars.a[index]", [(("vars", "a"), False), (("index",), False)]),
        ("loops.l.last.x", [(("loops", "l", "last"), False)]),
        ("[1].map(item, item + index)", [(("index",), False)]),
        ("[x].map(item, y, item.z)", [(("x",), False), (("y",), False)]),
        ("{a: b}[c]", [(("a",), False), (("b",), False), (("c",), False)]),
        ("!a ? -b : f(c).g(d)", [((name,), False) for name in "abcd"]),
        ("has(a.b[c].d)", [(("a",), True), (("c",), False)]),
        ("has(f(a).b)", [(("a",), False)]),
        ("int", []),
        ("has(vars.a.b) ? vars.a : null", [(("vars", "a"), True)]),
        ("a.all(x, x.all(y, y == x))", [(("a",), False)]),
    ],
)
def test_reads_are_listed_once_in_order(text: str, reads: Any) -> None:
    found = check(parse_expression(text), Environment()).reads

    assert reads == [(read.path, read.guarded) for read in found]
