"""`flow instances`: list and read instances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from cyclopts import App

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.dag_commands import find_dag
from driver_adapters.cli.exits import OK
from driver_adapters.cli.options import LIMIT_DEFAULT, Labels, Limit, Output, Switch, TriggerKind, label_query
from driver_adapters.cli.output import print_value
from driver_adapters.cli.waiting import exit_of_instance, print_instance, told_end, waiting_for
from driver_adapters.cli.watch import step_rows, watch_instance

Status = Literal["queued", "running", "waiting", "paused", "cancelling", "succeeded", "failed", "cancelled"]
_COLUMNS = ("id", "status", "dag_id", "version", "created_at", "updated_at")


def add_instances(instances: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands to their group."""

    @instances.command(name="list")
    def list_(
        *,
        dag: str | None = None,
        version: str | None = None,
        status: Status | None = None,
        trigger: TriggerKind | None = None,
        parent: str | None = None,
        label: Labels = (),
        since: str | None = None,
        until: str | None = None,
        text: str | None = None,
        limit: Limit = LIMIT_DEFAULT,
        output: Output = "table",
    ) -> int:
        """List instances, newest first.

        Parameters
        ----------
        dag
            Only of this DAG: title or id.
        version
            Only of this version of --dag.
        status
            Only with this status.
        trigger
            Only started by this kind of trigger.
        parent
            Only children of this instance.
        label
            Only with this label, `name=value`; may be repeated, all must hold.
        since
            Only created at or after this time: `2026-01-31T08:30:00Z`.
        until
            Only created before this time.
        text
            The beginning of an id, or a part of the DAG's title.
        """
        client = client_of()
        query = {
            "dag_id": None if dag is None else find_dag(client, dag)["id"],
            "version": version,
            "status": status,
            "trigger": trigger,
            "parent": parent,
            "label": label_query(label),
            "created_from": since,
            "created_to": until,
            "text": text,
        }
        print_value(client.rows("/instances", query, limit), output, _COLUMNS)
        return OK

    _add_views(instances, client_of)


def _add_views(instances: App, client_of: Callable[[], ApiClient]) -> None:
    @instances.command
    def show(instance: str, /, *, wait: Switch = False, watch: Switch = False, output: Output = "table") -> int:
        """Show an instance and its outcome.

        Parameters
        ----------
        instance
            Its id.
        wait
            Wait for the outcome; the exit status is 1 when it did not succeed.
        watch
            As --wait, and show the steps meanwhile on standard error.
        """
        client = client_of()
        with waiting_for(client, instance):
            if watch:
                shown = watch_instance(client, instance)
            elif wait:
                shown = told_end(client, instance)
            else:
                shown = client.get(f"/instances/{part(instance)}")
        print_instance(shown, output)
        return exit_of_instance(shown) if wait or watch else OK

    @instances.command
    def tasks(instance: str, /, *, limit: Limit = LIMIT_DEFAULT, output: Output = "table") -> int:
        """List the tasks of an instance that were entered; JSON and YAML hold their outputs and errors."""
        rows = client_of().rows(f"/instances/{part(instance)}/tasks", {}, limit)
        print_value(step_rows(rows) if output == "table" else rows, output)
        return OK

    @instances.command
    def journal(instance: str, /, *, limit: Limit = LIMIT_DEFAULT, output: Output = "table") -> int:
        """Show what happened, commit by commit."""
        rows = client_of().rows(f"/instances/{part(instance)}/journal", {}, limit)
        print_value(_journal_rows(rows) if output == "table" else rows, output)
        return OK


def _journal_rows(entries: list[Any]) -> list[dict[str, Any]]:
    """Give one line for each event: its commit, its name, and what else it says."""
    rows = []
    for entry in entries:
        for event in entry["events"]:
            said = {name: value for name, value in event.items() if name != "event" and value not in (None, "", [])}
            rows.append({"seq": entry["seq"], "event": event["event"], "said": said})
    return rows
