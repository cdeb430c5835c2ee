from datetime import UTC, datetime
from typing import Any

import pytest

from core.expression import (
    ABSENT,
    ExpressionFailed,
    Fuel,
    Read,
    TemplateSyntaxErrors,
    compile_template,
    parse_template,
)
from core.expression.rendering import TEXT_BYTES_MAX
from core.expression.template import EXPRESSION_COUNT_MAX
from tests.unit.expression.evaluation import NOW


def render(template: Any, fuel: Fuel | None = None, **values: Any) -> Any:
    rendering = compile_template(parse_template(template))
    slots = [values.get("_".join(read.path), ABSENT) for read in rendering.reads]
    return rendering.render(slots, fuel or Fuel(), NOW)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        (7, 7),
        (None, None),
        ({"a": [1, "b"]}, {"a": [1, "b"]}),
        ("{{ inputs.n }}", 3),
        ("  {{ inputs.n }}\n", 3),
        ("n={{ inputs.n }}", "n=3"),
        ("{{ inputs.n }}{{ inputs.n }}", "33"),
        ("{{ inputs.s }}!", "text!"),
        ("{{ null }} {{ true }} {{ [1, 2] }} {{ 1.5 }}", "null true [1,2] 1.5"),
        ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("{{ {'a': {'b': 1}} }}.", '{"a":{"b":1}}.'),
        ("{{ '}}' }}", "}}"),
        ("{{ '''}}''' }}", "}}"),
        ("{{ r'\\' }}", "\\"),
        ("{{ '\\'}}' }}", "'}}"),
        ('{{ "{{" }}', "{{"),
        ("a }} b", "a }} b"),
        ("{{ inputs.open }}", "{{ 1 }}"),
        ({"{{ 1 }}": "{{ 1 }}"}, {"{{ 1 }}": 1}),
        (["{{ inputs.n }}", {"x": "{{ inputs.s }}"}], [3, {"x": "text"}]),
        ("{{ now() }}", "2024-02-29T12:30:45Z"),
        ("at {{ now() }}", "at 2024-02-29T12:30:45Z"),
        ("{{ duration('90s') }}", 90),
        ("{{ duration('1500ms') }} s", "1.5 s"),
        ("{{ b'\\xff' }}", "/w=="),
        ("{{ [now()] }}", ["2024-02-29T12:30:45Z"]),
        ("{{ type(1) }}", "int"),
        ("{{ inputs.list.map(i, i + 1) }} {{ steps.a.output }}", "[2,3] out"),
        ("{{ inputs.list.map(i, i + 1) }}", [2, 3]),
    ],
)
def test_s35_template_keeps_types_when_whole_and_makes_text_otherwise(template: Any, value: Any) -> None:
    inputs = {"n": 3, "s": "text", "open": "{{ 1 }}", "list": [1, 2]}

    assert value == render(template, inputs=inputs, steps_a_output="out")


def test_bare_reference_puts_the_very_object_into_the_tree() -> None:
    opaque = object()

    rendered = render({"deep": ["{{ steps.a.output }}"]}, steps_a_output=opaque)

    assert opaque is rendered["deep"][0]


def test_bare_reference_without_a_value_fails() -> None:
    with pytest.raises(ExpressionFailed, match=r"steps\.a\.output has no value"):
        render("{{ steps.a.output }}")


def test_slot_that_is_only_handed_on_is_named_so() -> None:
    rendering = compile_template(
        parse_template(["{{ steps.a.output }}", "{{ steps.b.output }}", "{{ steps.b.output.x }}", "{{ inputs.n }}"])
    )

    assert (("steps", "a", "output"), ("steps", "b", "output"), ("inputs",)) == tuple(r.path for r in rendering.reads)
    assert frozenset({0}) == rendering.handed_on


def test_every_reference_of_a_template_has_one_slot() -> None:
    rendering = compile_template(parse_template(["{{ steps.b.output }}", "{{ inputs.a + inputs.b }} {{ inputs.c }}"]))

    assert (Read(("steps", "b", "output")), Read(("inputs",))) == rendering.reads
    assert [1, "5 4"] == rendering.render([1, {"a": 2, "b": 3, "c": 4}], Fuel(), NOW)


def test_constant_template_is_its_value() -> None:
    template = parse_template({"a": [1]})
    rendering = compile_template(template)

    assert template.is_constant
    assert rendering.is_constant
    assert {"a": [1]} == rendering.constant
    assert compile_template(parse_template("{{ 1 }}")).constant is None


def test_path_as_value_has_no_size_limit_but_text_that_is_made_has() -> None:
    large = "x" * (TEXT_BYTES_MAX + 1)

    assert large == render("{{ inputs.large }}", inputs={"large": large})
    assert large == render("{{ inputs }}", inputs=large)
    for template in ("{{ inputs.large }}.", "{{ inputs.large + 'y' }}"):
        with pytest.raises(ExpressionFailed) as caught:
            render(template, inputs={"large": large})
        assert "limit" == caught.value.kind


def test_limit_of_text_counts_bytes() -> None:
    wide = "é" * (TEXT_BYTES_MAX // 2)

    assert wide == render("{{ '' + inputs }}", inputs=wide)
    with pytest.raises(ExpressionFailed):
        render("{{ inputs }}.", inputs=wide)


def test_times_inside_of_trigger_leave_as_text() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)

    assert "2024-01-01T00:00:00Z" == render("{{ trigger.scheduled_at }}", trigger={"scheduled_at": at})
    assert {"d": 1.5} == render("{{ {'d': duration('1500ms')} }}")


def syntax_faults(template: Any) -> list[tuple[str, int, str]]:
    with pytest.raises(TemplateSyntaxErrors) as caught:
        parse_template(template)
    return [(fault.pointer, fault.offset, fault.code) for fault in caught.value.faults]


def test_every_fault_is_found_with_its_pointer_and_offset() -> None:
    template = {"a": ["{{ 1 + }}", "ok {{ x"], "b/~c": "{{ }} {{ a b }}", "d": "{{ 1 }}"}

    assert [
        ("/a/0", 6, "dag.expression.syntax"),
        ("/a/1", 3, "dag.expression.syntax"),
        ("/b~1~0c", 2, "dag.expression.syntax"),
        ("/b~1~0c", 11, "dag.expression.syntax"),
    ] == syntax_faults(template)


def test_quote_or_brace_that_stays_open_leaves_the_expression_unclosed() -> None:
    assert [("", 0, "dag.expression.syntax")] == syntax_faults("{{ 'a }}")
    assert [("", 0, "dag.expression.syntax")] == syntax_faults("{{ {'a': 1 }}")
    assert [("", 0, "dag.expression.syntax")] == syntax_faults("{{ '\\")


def test_too_long_too_many_and_too_deep_are_over_the_limit() -> None:
    deep: Any = "{{ 1 }}"
    for _ in range(70):
        deep = [deep]

    assert "dag.limit" == syntax_faults("{{ '" + "a" * 2048 + "' }}")[0][2]
    assert "dag.limit" == syntax_faults(["{{ 1 }}"] * (EXPRESSION_COUNT_MAX + 1))[0][2]
    assert "dag.limit" == syntax_faults(deep)[0][2]


def test_expressions_say_where_they_stand() -> None:
    template = parse_template({"a": "x {{ inputs }}", "b": ["{{inputs}}"]})

    assert [("/a", False, 5), ("/b/0", True, 2)] == [(e.pointer, e.whole, e.offset) for e in template.expressions]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ({"a": ["{{ inputs.n }}", " {{ steps.x.output }} "]}, {"a": [3, " {{ steps.x.output }} "]}),
        ("n={{ inputs.n }}", "n=3"),
        ("n={{ inputs.n }} {{ steps.x.output }}", "n={{ inputs.n }} {{ steps.x.output }}"),
    ],
)
def test_texts_with_an_unknown_value_stay_as_they_were_written(template: Any, value: Any) -> None:
    rendering = compile_template(parse_template(template))
    slots = [{"n": 3} if read.path == ("inputs",) else ABSENT for read in rendering.reads]
    unknown = frozenset(slot for slot, read in enumerate(rendering.reads) if read.path[0] == "steps")
    assert value == rendering.render_known(slots, unknown, Fuel(), NOW)
