"""Plans of DAG documents written in the tests."""

from __future__ import annotations

import msgspec
import yaml

from core.dag.builder import build_dag
from core.dag.compile import compile_dag
from core.dag.control import control_specs
from core.dag.fault import Faults
from core.dag.plan import Plan
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import OperatorRegistry
from driven_adapters.operators.debug import DebugFail, DebugNoop
from tests.unit.engine.instance_run import InstanceRun


class Anything(DebugNoop):
    """A third party's operator that takes parameters of any shape."""

    spec = msgspec.structs.replace(DebugNoop.spec, name="@test/anything", parameters={}, output={})


class Skipped(DebugNoop):
    """An operator that a dry run may not call."""

    spec = msgspec.structs.replace(DebugNoop.spec, name="@test/skipped", dry_run="skips")


_REGISTRY = OperatorRegistry([*PURE_OPERATORS, DebugNoop(), DebugFail(), Anything(), Skipped()])
CATALOG = {**_REGISTRY.catalog, **{spec.name: spec for spec in control_specs()}}


def plan_of(text: str) -> Plan:
    """Compile a YAML document; the title may be left out, `noop` stands for `@debug/noop`."""
    document = {"title": "Test", **yaml.safe_load(text)}
    faults = Faults()
    dag = build_dag(document, faults)
    assert [] == list(faults.found)
    return compile_dag(
        dag, dag_id="dag", version="v1.0.0", content_hash="h", catalog=CATALOG, computations=_REGISTRY.computations,
        callback_url="https://flow.test/callbacks/",
    )  # fmt: skip


def run_of(text: str, inputs: object = None, *, room: int = 512) -> InstanceRun:
    """Compile and start."""
    return InstanceRun(plan_of(text), room=room).start(inputs)
