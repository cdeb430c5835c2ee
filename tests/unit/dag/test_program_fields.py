"""Texts of programs are never rendered, and values that this machine cannot run are refused when a DAG is saved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from core.dag.catalog import OperatorSpec
from core.dag.compile import compile_dag
from core.dag.language import language_catalog
from core.dag.model import Dag
from core.dag.parse import parse_dag
from core.dag.schema import document_schema
from core.errors import DagInvalid
from core.expression import Fuel
from tests.dags.check import dag, step

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = OperatorSpec(
    name="@test/program",
    kind="attempt",
    parameters={
        "type": "object",
        "properties": {"code": {"type": "string"}, "mode": {"enum": ["weak", "strong"], "default": "weak"}, "x": {}},
        "required": ["code"],
    },
    output={},
    literal_fields=("/code",),
)
WEAK = msgspec.structs.replace(SPEC, unavailable_values=(("mode", "weak", "it is not here"),))
STRONG = msgspec.structs.replace(SPEC, unavailable_values=(("mode", "strong", "it is not here"),))


def parsed(spec: OperatorSpec, **parameters: Any) -> Dag:
    document = msgspec.json.encode(dag(step("a", "@test/program", **parameters)))
    return parse_dag(document, format="json", catalog=language_catalog([spec]))


@pytest.mark.parametrize("code", ["f'{{x}}'", "{{ 1 + 1 }}", "{{", "{{ no.such }} " * 2000])
def test_a_program_is_never_rendered_whatever_braces_it_has(code: str) -> None:
    read = parsed(SPEC, code=code, x="{{ 1 + 1 }}")
    catalog = language_catalog([SPEC])
    plan = compile_dag(read, dag_id="d", version="v1.0.0", content_hash="h", catalog=catalog, computations={})
    rendering = plan.nodes[0].parameters
    assert rendering is not None
    assert {"code": code, "x": 2} == rendering.render([], Fuel(1000), NOW)


def test_editors_are_not_offered_a_template_for_a_program() -> None:
    validator = jsonschema_rs.Draft202012Validator(document_schema(language_catalog([SPEC])))
    assert validator.is_valid(dag(step("a", "@test/program", code="{{ x }}", mode="{{ inputs.mode }}")))
    assert not validator.is_valid(dag(step("a", "@test/program", code=1)))


@pytest.mark.parametrize(
    ("spec", "given", "pointer"),
    [
        (STRONG, {"mode": "strong"}, "/steps/0/parameters/mode"),
        (WEAK, {"mode": "weak"}, "/steps/0/parameters/mode"),
        (WEAK, {}, "/steps/0/parameters"),
    ],
)
def test_a_value_that_cannot_be_run_here_is_refused_with_the_reason(
    spec: OperatorSpec, given: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(DagInvalid) as error:
        parsed(spec, code="c", **given)
    (fault,) = [dict(one) for one in error.value.faults]
    assert ("dag.operator.unavailable", pointer) == (fault["code"], fault["pointer"])
    assert "it is not here" in str(fault["message"])


def test_other_values_and_those_that_a_run_gives_are_taken() -> None:
    assert "a" == parsed(STRONG, code="c").steps[0].id
    assert "a" == parsed(STRONG, code="c", mode="{{ 'strong' }}").steps[0].id
