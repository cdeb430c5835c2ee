"""The examples that ship with the program: valid, and of features that this release has."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.dag.compile import compile_dag
from core.dag.language import language_catalog
from core.dag.parse import parse_dag
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import OperatorPorts, OperatorRegistry
from core.ports.http_client import EgressForbidden, HttpAnswer, HttpRequest
from core.ports.task_log import TaskLogLine
from driven_adapters.operators import built_in_operators
from tests.unit.executor.simulated import LoopClock

FOLDER = Path(__file__).parents[3] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))


class NoHttp:
    async def request(self, request: HttpRequest) -> HttpAnswer:
        return EgressForbidden(request.url)


def forget(line: TaskLogLine) -> None:
    del line


def test_there_are_examples_and_each_is_told_of() -> None:
    assert len(EXAMPLES) >= 4
    told = (FOLDER / "README.md").read_text()
    assert [] == [path.name for path in EXAMPLES if f"`{path.name}`" not in told]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_valid_and_compiles(path: Path) -> None:
    registry = OperatorRegistry([*PURE_OPERATORS, *built_in_operators(OperatorPorts(NoHttp(), LoopClock()), forget)])
    catalog = language_catalog(registry.catalog.values())
    dag = parse_dag(path.read_bytes(), format="yaml", catalog=catalog)
    plan = compile_dag(
        dag, dag_id="d", version="v1.0.0", content_hash="h", catalog=catalog, computations=registry.computations
    )
    assert len(plan.nodes) >= 1
