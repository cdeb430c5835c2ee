"""The generated JSON Schema of documents: committed as it is made, true of valid documents, false of broken shapes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from core.dag.catalog import OperatorSpec
from core.dag.language import language_catalog
from core.dag.parse import parse_dag
from core.dag.schema import document_schema
from tests.dags.built_in import built_in_catalog
from tests.dags.check import CATALOG, dag, noop, step
from tests.dags.corpus import valid_documents, valid_values
from tests.dags.write_schema import FILE, schema_text
from tests.mutation_corpus.mutate import mutants
from tests.mutation_corpus.test_mutants import found_in

SCHEMA = document_schema(CATALOG)
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
# What a schema can tell: shapes and constants at one place.
STRUCTURAL = {
    "title_missing", "title_with_a_slash", "unknown_field_of_the_document", "unknown_field_of_a_step", "wrong_type",
    "required_field_missing", "empty_list", "status_not_allowed", "version_of_a_wrong_form", "priority_out_of_range",
    "tag_twice", "too_many_vars", "id_with_a_hyphen", "operator_unknown", "parameter_of_a_wrong_type",
    "parameter_missing", "parameter_unknown", "choice_of_a_map_wrong", "depends_on_twice",
}  # fmt: skip


def test_committed_schema_is_the_generated_one() -> None:
    assert schema_text() == FILE.read_text()


def test_schema_is_a_schema() -> None:
    assert jsonschema_rs.meta.is_valid(json.loads(FILE.read_text()))
    assert jsonschema_rs.meta.is_valid(SCHEMA)


@pytest.mark.parametrize("name", valid_documents())
def test_valid_document_meets_the_committed_schema_and_parses_with_the_built_in_operators(name: str) -> None:
    jsonschema_rs.Draft202012Validator(json.loads(FILE.read_text())).validate(valid_values()[name])
    assert parse_dag(valid_documents()[name], catalog=built_in_catalog()).title


def test_structural_mutants_do_not_meet_the_schema() -> None:
    seen: set[str] = set()
    for number, mutant in enumerate(mutants(7, 1_000, valid_values())):
        if mutant.kind in STRUCTURAL and found_in(number, mutant):
            seen.add(mutant.kind)
            assert not VALIDATOR.is_valid(mutant.document), mutant
    assert STRUCTURAL == seen


def test_parameter_that_allows_anything_needs_no_template() -> None:
    parameters = {"type": "object", "properties": {"any": True, "n": {"type": "integer"}}}
    spec = OperatorSpec(name="@x/y", kind="attempt", parameters=parameters, output={})
    validator = jsonschema_rs.Draft202012Validator(document_schema(language_catalog([spec])))
    assert validator.is_valid(dag(step("a", "@x/y", any="{{ 1 }}", n="{{ 1 }}")))
    assert not validator.is_valid(dag(step("a", "@x/y", any=[], n="1")))


@pytest.mark.parametrize(
    "document",
    [
        dag(noop("a"), triggers=[{"id": "t", "operator": "@trigger/cron", "parameters": {"cron": "@daily"}}]),
        dag(step("m", "@control/map", items="{{ inputs.items }}", steps=[noop("a")])),
        dag(step("m", "@text/join", items=["{{ inputs.a }}", "b"], separator="{{ inputs.b }}")),
        dag(step("x", "@executor/mine/act", anything=1)),
        dag(noop("a"), type="operator", inputs={}, outputs={}),
        dag(noop("a", on_error=[noop("b")], retry={"on": ["failed"]})),
    ],
)
def test_document_of_another_part_of_the_grammar_meets_the_schema(document: Any) -> None:
    assert VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    "document",
    [
        dag(noop("a"), triggers=[{"id": "t", "operator": "@trigger/cron"}]),
        dag(noop("a"), triggers=[{"id": "t", "operator": "@trigger/never"}]),
        dag(step("m", "@control/map", items="text", steps=[noop("a")])),
        dag(step("l", "@control/loop", mode="count", steps=[noop("a")])),
        dag(step("t", "@control/try", steps=[noop("a")])),
        dag(step("w", "@control/wait", seconds=1, until="x")),
        dag(noop("a"), type="operator", inputs={}),
        dag(noop("a", on_error=[])),
    ],
)
def test_document_of_a_broken_shape_does_not_meet_the_schema(document: Any) -> None:
    assert not VALIDATOR.is_valid(document)
