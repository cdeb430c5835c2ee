"""The registry: which operators this process has, and which it refuses."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from typing import Any

import msgspec
import pytest

from core.dag.catalog import OperatorSpec, Retry, Timeout
from core.executor.operator import Call, Outcome, PureOperator, Succeeded
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import (
    ENTRY_POINT_GROUP,
    OPERATOR_COUNT_MAX,
    AnyOperator,
    OperatorPorts,
    OperatorRefused,
    OperatorRegistry,
    load_operators,
)
from core.ports.http_client import EgressForbidden, HttpAnswer, HttpRequest
from tests.unit.executor.simulated import Doing, LoopClock


async def execute(call: Call) -> Outcome:
    return Succeeded(call.parameters)


class NoHttp:
    async def request(self, request: HttpRequest) -> HttpAnswer:
        return EgressForbidden(request.url)


PORTS = OperatorPorts(NoHttp(), LoopClock())


def one_operator(ports: OperatorPorts) -> list[AnyOperator]:
    assert ports is PORTS
    return [Doing(execute, "@test/one")]


def no_operators(ports: OperatorPorts) -> None:
    del ports


def wrong_operators(ports: OperatorPorts) -> list[str]:
    del ports
    return ["@test/one"]


NOT_A_FUNCTION = 7


def entry_point(name: str, module: str = __name__) -> EntryPoint:
    return EntryPoint(name=name, value=f"{module}:{name}", group=ENTRY_POINT_GROUP)


def test_registry_gives_declarations_and_computations_by_name() -> None:
    doing = Doing(execute)
    registry = OperatorRegistry([doing, *PURE_OPERATORS])
    assert sorted(registry.catalog) == list(registry.catalog)
    assert doing.spec is registry.catalog["@test/doing"]
    assert doing is registry.operator("@test/doing")
    assert registry.operator("@test/other") is None
    assert registry.operator("@text/join") is None
    assert {operator.spec.name for operator in PURE_OPERATORS} == set(registry.computations)


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("http/request", "attempt", "@group/name"),
        ("@http", "attempt", "@group/name"),
        ("@/request", "attempt", "@group/name"),
        ("@control/mine", "attempt", "engine's own"),
        ("@mine/branch", "control", "engine's own"),
    ],
)
def test_operator_with_a_name_or_kind_that_is_not_allowed_is_refused(name: str, kind: str, word: str) -> None:
    doing = Doing(execute)
    doing.spec = msgspec.structs.replace(doing.spec, name=name, kind=kind)
    with pytest.raises(OperatorRefused, match=word):
        OperatorRegistry([doing])


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"parameters": {"type": "nope"}}, "parameters is no JSON Schema"),
        ({"output": {"pattern": "("}}, "output is no JSON Schema"),
        ({"output": {"$ref": "http://elsewhere.test/schema"}}, "stands alone"),
        ({"output": {"$ref": "file:///etc/passwd"}}, "stands alone"),
        ({"output": {"$ref": "#/$defs/absent"}}, "stands alone"),
        ({"output": {"description": "x" * 70_000}}, "larger than"),
        ({"retry": Retry(on=("failed", "limit"))}, "'limit', which is never retried"),
        ({"kind": "pure"}, "no side effects"),
        ({"kind": "pure", "has_side_effects": False, "retry": Retry()}, "no retry"),
        ({"kind": "pure", "has_side_effects": False, "timeout": Timeout(attempt_s=1.0)}, "no timeout"),
    ],
)
def test_operator_with_a_declaration_that_cannot_hold_is_refused(fields: dict[str, Any], word: str) -> None:
    doing = Doing(execute)
    doing.spec = msgspec.structs.replace(doing.spec, **fields)
    with pytest.raises(OperatorRefused, match=re.escape(word)):
        OperatorRegistry([doing])


def test_two_operators_of_one_name_are_refused_with_all_faults_at_once() -> None:
    with pytest.raises(OperatorRefused) as refused:
        OperatorRegistry([Doing(execute), Doing(execute), Doing(execute, "bad")])
    assert ["bad", "@test/doing"] == [fault["operator"] for fault in refused.value.faults]


def test_more_operators_than_the_bound_are_refused() -> None:
    spec = OperatorSpec(name="", kind="pure", parameters={}, output={}, has_side_effects=False)
    many = [
        PureOperator(msgspec.structs.replace(spec, name=f"@many/n{number}"), lambda *_: None)
        for number in range(OPERATOR_COUNT_MAX + 1)
    ]
    with pytest.raises(OperatorRefused, match="more than"):
        OperatorRegistry(many)
    assert len(OperatorRegistry(many[1:]).catalog) == OPERATOR_COUNT_MAX


def test_entry_point_gives_its_operators() -> None:
    assert ["@test/one"] == [operator.spec.name for operator in load_operators([entry_point("one_operator")], PORTS)]


@pytest.mark.parametrize(
    ("point", "word"),
    [
        (entry_point("missing"), "cannot be loaded"),
        (entry_point("x", "no_such_module"), "cannot be loaded"),
        (entry_point("NOT_A_FUNCTION"), "not a function"),
        (entry_point("no_operators"), "not operators"),
        (entry_point("wrong_operators"), "no operator"),
    ],
)
def test_entry_point_that_gives_no_operators_is_refused_by_name(point: EntryPoint, word: str) -> None:
    with pytest.raises(OperatorRefused, match=word) as refused:
        load_operators([point], PORTS)
    assert point.name in refused.value.detail
