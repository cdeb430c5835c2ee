"""`flow plan`: of a file in this process, of a stored DAG by its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from core.dag.json_text import read_json
from core.dag.syntax import SyntaxFault
from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.dag_commands import find_dag
from driver_adapters.cli.exits import OK, USAGE, CommandFailed
from driver_adapters.cli.inputs import form_of, is_file_name, read_file, read_inputs
from driver_adapters.cli.options import Output, Priority
from driver_adapters.cli.output import print_fields, print_table, print_value
from driver_adapters.cli.plan_table import (
    DRY_RUN_COLUMNS,
    STEP_COLUMNS,
    dry_run_lines,
    dry_run_table,
    step_table,
    summary_lines,
)

Texts = tuple[str, ...]
Form = Literal["yaml", "json"] | None


class PlanAsked(msgspec.Struct, frozen=True):
    """What a dry run is asked for; `inputs` None = none were given, and the DAG may need some.

    `priority` is that of the start, None = the DAG's.
    """

    inputs: Mapping[str, Any] | None
    outputs: Mapping[str, Any]
    errors: Mapping[str, str]
    priority: int | None = None


Plan = Callable[[bytes, Form, PlanAsked], Mapping[str, Any]]


Faults = Callable[[Path, bytes], Sequence[str]]


def add_plan(app: App, plan_of: Callable[[], Plan], faults_of: Faults, client_of: Callable[[], ApiClient]) -> None:
    """Add the command; `faults_of` tells what keeps a document from being planned."""

    @app.command
    def plan(
        target: str,
        /,
        *,
        input: Annotated[Texts, Parameter(name=["--input", "--inputs", "-i"], negative=())] = (),  # noqa: A002 - the option's name
        given: Annotated[Texts, Parameter(name="--given", negative=())] = (),
        given_error: Annotated[Texts, Parameter(name="--given-error", negative=())] = (),
        version: str | None = None,
        priority: Priority | None = None,
        output: Output = "table",
    ) -> int:
        """Show what a start would run, without starting anything.

        A file is planned without a server: steps in order, joins, attempts, limits, and what becomes of each step when
        the inputs are known. A stored DAG is planned by its server, with a forecast from its instances.

        Parameters
        ----------
        target
            A YAML or JSON document, or a stored DAG's title or id.
        input
            As of `flow run`.
        given
            `STEP=OUTPUT`: the output of a step's attempts (JSON, or else text), by step id or task path; may be
            repeated.
        given_error
            `STEP=KIND`: the kind of error that every attempt of a step ends with; may be repeated.
        version
            Which version of a stored DAG; absent = the newest.
        priority
            As of `flow run`.
        """
        inputs = read_inputs(input) if input else None
        asked = PlanAsked(inputs, read_values(given), dict(map(read_pair, given_error)), priority)
        if not is_file_name(target):
            _print_dry_run(_of_server(client_of(), target, asked, version), output)
            return OK
        file = Path(target)
        data = read_file(file)
        faults = faults_of(file, data)
        if faults:
            raise CommandFailed(USAGE, *faults)
        _print_plan(plan_of()(data, form_of(file), asked), output)
        return OK


def _of_server(client: ApiClient, target: str, asked: PlanAsked, version: str | None) -> Any:
    body = {
        "inputs": asked.inputs or {},
        "outputs": asked.outputs,
        "errors": {name: {"kind": kind} for name, kind in asked.errors.items()},
    } | ({} if asked.priority is None else {"priority": asked.priority})
    path = f"/dags/{part(find_dag(client, target)['id'])}/plan"
    return client.post_value(path, body, {"version": version})


def _print_plan(value: Mapping[str, Any], output: Output) -> None:
    if output != "table":
        print_value(value, output)
        return
    print_fields(dict(summary_lines(value)))
    print()
    print_table(step_table(value["steps"]), STEP_COLUMNS)
    if value["dry_run"] is not None:
        print()
        _print_dry_run(value["dry_run"], output)


def _print_dry_run(value: Mapping[str, Any], output: Output) -> None:
    if output != "table":
        print_value(value, output)
        return
    print_fields(dry_run_lines(value))
    print()
    rows = dry_run_table(value["steps"])
    print_table(rows, [name for name in DRY_RUN_COLUMNS if any(row.get(name) not in (None, "") for row in rows)])


def read_values(given: Texts) -> dict[str, Any]:
    """Read `NAME=VALUE` by name; a value is JSON, or else text.

    Raises:
        CommandFailed: a part is no such pair.
    """
    return {name: _value(text) for name, text in map(read_pair, given)}


def read_pair(text: str) -> tuple[str, str]:
    """Read `NAME=VALUE`.

    Raises:
        CommandFailed: it has no name, or no `=`.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise CommandFailed(USAGE, f"{text!r} is not STEP=VALUE")
    return name, value


def _value(text: str) -> Any:
    try:
        return read_json(text)
    except SyntaxFault:
        return text
