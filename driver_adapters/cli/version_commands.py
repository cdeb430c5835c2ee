"""`flow dags`, what is done with versions and with a whole DAG: compare, roll back, draw, stop, delete."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

from cyclopts import App

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.dag_commands import dag_path
from driver_adapters.cli.exits import OK, USAGE, CommandFailed
from driver_adapters.cli.options import LIMIT_DEFAULT, Labels, Limit, Output, Switch, TriggerKind, read_labels
from driver_adapters.cli.output import print_value

_VERSION_COLUMNS = ("version", "published_at", "published_by", "content_hash", "change_log")
OpenStatus = Literal["queued", "running"]
_CHANGES = ("added", "removed", "changed", "rewired")


def add_versions(dags: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands about versions to the group of DAGs."""

    @dags.command
    def versions(dag: str, /, *, limit: Limit = LIMIT_DEFAULT, output: Output = "table") -> int:
        """List the published versions of a DAG, newest first.

        Parameters
        ----------
        dag
            Title or id.
        """
        client = client_of()
        print_value(client.rows(f"{dag_path(client, dag)}/versions", {}, limit), output, _VERSION_COLUMNS)
        return OK

    @dags.command
    def diff(dag: str, version: str, other_version: str, /, *, output: Output = "table") -> int:
        """Compare two versions: steps added, removed, changed, rewired.

        Parameters
        ----------
        dag
            Title or id.
        version
            The version that is seen as before.
        other_version
            The version that is seen as after.
        """
        client = client_of()
        found = client.get(f"{dag_path(client, dag)}/versions/{part(version)}/diff/{part(other_version)}")
        print_value(_diff_rows(found) if output == "table" else found, output)
        return OK

    _add_rollback(dags, client_of)


def _add_rollback(dags: App, client_of: Callable[[], ApiClient]) -> None:
    @dags.command
    def rollback(dag: str, version: str, /, *, output: Output = "table") -> int:
        """Publish the content of an old version as the next one.

        Parameters
        ----------
        dag
            Title or id.
        version
            The version to go back to.
        """
        client = client_of()
        print_value(client.send("POST", f"{dag_path(client, dag)}/versions/{part(version)}/rollback").value, output)
        return OK

    @dags.command
    def graph(dag: str, /, *, version: str | None = None, output: Output = "table") -> int:
        """Show the steps and what they wait for, as a drawing needs them.

        Parameters
        ----------
        dag
            Title or id.
        version
            Absent = the newest.
        """
        client = client_of()
        found = client.get(f"{dag_path(client, dag)}/graph", {"version": version})
        print_value(_graph_rows(found) if output == "table" else found, output)
        return OK


def _add_cancel(dags: App, client_of: Callable[[], ApiClient]) -> None:
    @dags.command
    def cancel(
        dag: str,
        /,
        *,
        status: OpenStatus | None = None,
        version: str | None = None,
        trigger: TriggerKind | None = None,
        label: Labels = (),
        dry_run: Switch = False,
        reason: str = "",
        output: Output = "table",
    ) -> int:
        """Cancel the instances of a DAG that have not ended, at most 1 000 at once.

        Parameters
        ----------
        dag
            Title or id.
        status
            Only with this status.
        version
            Only of this version.
        trigger
            Only started by this kind of trigger.
        label
            Only with this label, `name=value`; may be repeated, all must hold.
        dry_run
            Count them and cancel none.
        reason
            For people; kept in the journal of each.
        """
        client = client_of()
        asked = {"status": status, "version": version, "trigger": trigger, "labels": read_labels(label) or None}
        chosen = {name: value for name, value in asked.items() if value is not None}
        body = {"reason": reason, "filter": chosen, "dry_run": dry_run}
        print_value(client.post_value(f"{dag_path(client, dag)}/cancel", body), output)
        return OK


def add_acts(dags: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands that act on a whole DAG to the group of DAGs."""

    @dags.command
    def activate(dag: str, /, *, output: Output = "table") -> int:
        """Let a DAG start instances.

        Parameters
        ----------
        dag
            Title or id.
        """
        return _act(client_of(), dag, "activate", output)

    @dags.command
    def deactivate(dag: str, /, *, output: Output = "table") -> int:
        """Let a DAG start nothing more; accepted instances go on.

        Parameters
        ----------
        dag
            Title or id.
        """
        return _act(client_of(), dag, "deactivate", output)

    _add_cancel(dags, client_of)

    @dags.command
    def delete(dag: str, /, *, yes: Switch = False, output: Output = "table") -> int:
        """Delete a DAG; its instances go on.

        Parameters
        ----------
        dag
            Title or id.
        yes
            Do not ask.
        """
        client = client_of()
        answer = client.send("GET", dag_path(client, dag))
        title = answer.value["title"]
        if not yes and not _is_confirmed(f"Delete the DAG {title!r}, {answer.value['version']}? [y/N] "):
            raise CommandFailed(USAGE, f"the DAG {title!r} was not deleted; --yes deletes it without asking")
        # What was shown is what is deleted: a change that comes between is refused by the server.
        headers = {"If-Match": answer.headers["etag"]}
        print_value(client.send("DELETE", f"/dags/{part(answer.value['id'])}", headers=headers).value, output)
        return OK


def _act(client: ApiClient, dag: str, act: str, output: Any) -> int:
    print_value(client.send("POST", f"{dag_path(client, dag)}/{act}").value, output)
    return OK


def _is_confirmed(question: str) -> bool:
    """Ask a person; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _diff_rows(found: Any) -> list[dict[str, Any]]:
    rows = [
        {
            "change": name,
            "step": one["id"],
            "fields": ", ".join(one.get("fields", ("depends_on",) if name == "rewired" else ())),
            "pointer": one.get("other_pointer") or one["pointer"],
        }
        for name in _CHANGES
        for one in found[name]
    ]
    return rows + [{"change": "changed", "step": "", "fields": "", "pointer": field} for field in found["fields"]]


def _graph_rows(found: Any) -> list[dict[str, Any]]:
    """Give one row for each step: its group, and the steps that it waits for."""
    waits: dict[str, list[str]] = {}
    for edge in found["edges"]:
        waits.setdefault(edge["target"], []).append(edge["source"])
    columns = ("id", "group", "operator")
    return [
        {**{name: node[name] for name in columns}, "after": ", ".join(waits.get(node["id"], ())), "when": node["when"]}
        for node in found["nodes"]
    ]
