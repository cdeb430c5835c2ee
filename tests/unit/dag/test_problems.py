"""Every fault class of the language against problem documents that were written by hand before the code."""

from __future__ import annotations

from typing import Any

import pytest

from core.dag.parse import parse_dag
from core.errors import DagInvalid, DagUndecodable
from tests.dags.catalog import catalog
from tests.problems.corpus import Case, cases, differences

CASES = cases()
CATALOG = catalog()


def faults_of(case: Case) -> list[dict[str, Any]]:
    with pytest.raises((DagInvalid, DagUndecodable)) as caught:
        parse_dag(case.data(), format=case.format, catalog=CATALOG)
    is_syntax = case.errors[0].code == "dag.syntax"
    assert (DagUndecodable if is_syntax else DagInvalid) is type(caught.value)
    return [dict(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.published is None])
def test_s3_s4_s54_document_with_a_fault_gives_the_problem_written_for_it(name: str) -> None:
    case = CASES[name]
    got = faults_of(case)
    assert [(one.code, one.pointer) for one in case.errors] == [(one["code"], one["pointer"]) for one in got]
    assert [] == [text for one, fault in zip(case.errors, got, strict=True) for text in differences(one, fault)]


def test_corpus_has_a_case_for_every_code_of_the_language() -> None:
    codes = {
        "dag.schema", "dag.id.duplicate", "dag.id.reserved", "dag.operator.unknown", "dag.operator.parameters",
        "dag.depends_on.unknown", "dag.depends_on.cycle", "dag.expression.syntax", "dag.expression.type",
        "dag.reference.unknown", "dag.reference.not_upstream", "dag.reference.unguarded", "dag.reference.path",
        "dag.secret.misplaced", "dag.variable", "dag.policy", "dag.call.cycle", "dag.trigger", "dag.limit",
        "dag.operator.unavailable", "dag.version", "dag.syntax",
    }  # fmt: skip
    assert codes == {one.code for case in CASES.values() for one in case.errors}
    assert len(CASES) >= 40
    assert all(name.startswith(CASES[name].errors[0].code) or "several" in name for name in CASES)
