"""The contract of operators over every built-in one, and over those of a third party found by their entry point."""

from __future__ import annotations

import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import msgspec
import pytest

from core.dag.catalog import OperatorSpec, Retry
from core.executor.operator import Call, Outcome, PureOperator, Succeeded
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import ENTRY_POINT_GROUP, AnyOperator, OperatorPorts, load_operators
from core.ports.task_log import TaskLogLine
from driven_adapters.operators import built_in_operators
from tests.contract.operators.examples import EXAMPLES
from tests.contract.operators.file_world import QueryEcho, stored_files
from tests.contract.operators.suite import (
    Example,
    Examples,
    StandingClock,
    World,
    check_declaration,
    check_operator,
    ok,
)

SCRATCH_FOLDER = Path(tempfile.mkdtemp(prefix="flow-operators-"))
THIRD_PARTY = Path(__file__).parents[2] / "third_party_operator"


def forget(line: TaskLogLine) -> None:
    del line


def built_in(ports: OperatorPorts) -> Iterable[AnyOperator]:
    return [*built_in_operators(ports, forget, QueryEcho(), stored_files(), SCRATCH_FOLDER), *PURE_OPERATORS]


NAMES = sorted(operator.spec.name for operator in built_in(OperatorPorts(World(None), StandingClock())))


def test_every_built_in_operator_has_examples() -> None:
    assert sorted(EXAMPLES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_built_in_operator_keeps_the_contract(name: str) -> None:
    check_operator(name, built_in, EXAMPLES[name])


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """Put the third party's package where an installer would: the module beside its metadata."""
    project = tomllib.loads((THIRD_PARTY / "pyproject.toml").read_text())["project"]
    shutil.copytree(THIRD_PARTY / "acme_geometry", tmp_path / "acme_geometry")
    folder = tmp_path / f"acme_geometry-{project['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [line for group, points in groups for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points.items()))]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    sys.modules.pop("acme_geometry", None)


@pytest.mark.parametrize(
    ("name", "examples"),
    [
        (
            "@acme/area",
            Examples(
                good=(Example(parameters={"width": 2, "height": 3.5}, output=7.0),),
                bad=({}, {"width": -1, "height": 1}, {"width": "2", "height": 1}),
            ),
        ),
        (
            "@acme/survey",
            Examples(
                good=(
                    Example(
                        parameters={"register": "http://register.test", "plot": 7},
                        output={"width": 3, "height": 4},
                        answer=ok(b'{"width": 3, "height": 4}'),
                    ),
                ),
                bad=({}, {"register": "http://register.test"}, {"register": "http://register.test", "plot": 0}),
            ),
        ),
    ],
)
def test_operator_of_a_third_party_found_by_its_entry_point_keeps_the_contract(
    installed: Path, name: str, examples: Examples
) -> None:
    found = metadata.entry_points(group=ENTRY_POINT_GROUP)  # as an installed program looks for them
    assert "acme" in found.names
    assert (installed / "acme_geometry" / "__init__.py").exists()
    check_operator(name, lambda ports: load_operators(found, ports), examples)


# The contract itself: operators that break one promise each, and the word of the promise.


class Broken:
    """An operator that is told what to break."""

    def __init__(self, spec: OperatorSpec, output: object = None) -> None:
        self.spec = spec
        self._output = {} if output is None else output

    async def execute(self, call: Call) -> Outcome:
        if self._output is KEEPS_PARAMETERS:
            call.parameters["seen"] = True
        return Succeeded({} if self._output is KEEPS_PARAMETERS else self._output)


KEEPS_PARAMETERS = object()
GOOD = OperatorSpec(
    name="@acme/broken",
    title="Broken",
    kind="attempt",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}},
    output={"type": "object"},
)


@pytest.mark.parametrize(
    ("operator", "word"),
    [
        (Broken(GOOD, output=[]), "Failed|meets its schema"),
        (Broken(GOOD, output=KEEPS_PARAMETERS), "stay as they are"),
        (Broken(msgspec.structs.replace(GOOD, parameters={"type": "object"}, title="")), "title"),
        (Broken(msgspec.structs.replace(GOOD, retry=Retry(on=("limit",)))), "never retried"),
        (Broken(msgspec.structs.replace(GOOD, output={"$ref": "http://elsewhere.test/schema"})), "outside"),
        (Broken(msgspec.structs.replace(GOOD, parameters={"type": "object", "properties": {}})), "takes"),
        (PureOperator(msgspec.structs.replace(GOOD, kind="pure"), lambda *_: {}), "no policy"),
        (PureOperator(msgspec.structs.replace(GOOD, kind="pure", has_side_effects=False), lambda *_: {}), "costs fuel"),
    ],
)
def test_operator_that_breaks_a_promise_fails_the_contract(operator: AnyOperator, word: str) -> None:
    examples = Examples(good=(Example(parameters={"a": 1}, output={}),), bad=({"a": "1"},))
    with pytest.raises(AssertionError, match=word):
        check_operator("@acme/broken", lambda _ports: [operator], examples)


def test_operator_that_sends_no_key_fails_the_contract() -> None:
    from core.ports.http_client import HttpRequest

    class Forgetful(Broken):
        def __init__(self, ports: OperatorPorts) -> None:
            super().__init__(GOOD)
            self._http = ports.http

        async def execute(self, call: Call) -> Outcome:
            await self._http.request(HttpRequest(method="GET", url="http://a.test"))
            return await super().execute(call)

    examples = Examples(good=(Example(parameters={"a": 1}, output={}, answer=ok(b"")),), bad=({"a": "1"},))
    with pytest.raises(AssertionError, match="task's key"):
        check_operator("@acme/broken", lambda ports: [Forgetful(ports)], examples)


def test_declaration_with_a_name_without_group_fails_the_contract() -> None:
    with pytest.raises(AssertionError):
        check_declaration(msgspec.structs.replace(GOOD, name="broken"))
