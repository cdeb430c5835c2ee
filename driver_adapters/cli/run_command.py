"""`flow run`: publish when a file is given, start, and wait or watch when that is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.dag_commands import apply_file, find_dag
from driver_adapters.cli.exits import OK
from driver_adapters.cli.inputs import is_file_name, read_inputs
from driver_adapters.cli.options import Labels, Output, Priority, Switch, label_query
from driver_adapters.cli.output import print_value
from driver_adapters.cli.waiting import exit_of_instance, print_instance, told_end, waiting_for
from driver_adapters.cli.watch import watch_instance

_JSON = "application/json"


def add_run(app: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the command."""

    @app.command
    def run(
        target: str,
        /,
        *,
        input: Annotated[tuple[str, ...], Parameter(name=["--input", "--inputs", "-i"], negative=())] = (),  # noqa: A002 - the option's name
        version: str | None = None,
        label: Labels = (),
        priority: Priority | None = None,
        key: str | None = None,
        wait: Switch = False,
        watch: Switch = False,
        output: Output = "table",
    ) -> int:
        """Start an instance of a DAG: of a file, which is published first, or of a stored DAG.

        A file is published by its title; the same content makes no new version.

        Parameters
        ----------
        target
            A YAML or JSON document, or a stored DAG's title or id.
        input
            `name=value` (JSON, or else text), `@FILE` with a JSON object (`@-`: standard input), or the object itself;
            may be repeated, a later one counts.
        version
            Which version of a stored DAG; absent = the newest.
        label
            A label of the instance, `name=value`; may be repeated, and goes before the DAG's own.
        priority
            The instance's place among those that wait, 1 lowest .. 5 highest; absent = the DAG's.
        key
            Idempotency key: the same key again gives the same instance.
        wait
            Wait for the outcome; the exit status is 1 when it did not succeed.
        watch
            As --wait, and show the steps meanwhile on standard error.
        """
        inputs = read_inputs(input)
        query = {"version": version, "label": label_query(label), "priority": priority}
        client = client_of()
        dag_id = (apply_file(client, Path(target)) if is_file_name(target) else find_dag(client, target))["id"]
        started = _start(client, dag_id, inputs, query, key)
        if not wait and not watch:
            print_value(started, output)
            return OK
        shown = _outcome(client, started["id"], is_watched=watch)
        print_instance(shown, output)
        return exit_of_instance(shown)


def _start(client: ApiClient, dag_id: str, inputs: dict[str, Any], query: dict[str, Any], key: str | None) -> Any:
    headers = {"Content-Type": _JSON} | ({} if key is None else {"Idempotency-Key": key})
    body = msgspec.json.encode(inputs)
    path = f"/dags/{part(dag_id)}/run"
    return client.send("POST", path, query=query, body=body, headers=headers).value


def _outcome(client: ApiClient, instance_id: str, *, is_watched: bool) -> Any:
    with waiting_for(client, instance_id):
        return watch_instance(client, instance_id) if is_watched else told_end(client, instance_id)
