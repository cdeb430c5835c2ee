"""`flow instances batch`: one act on many instances, carried out by the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.dag_commands import find_dag
from driver_adapters.cli.exits import INSTANCE_FAILED, OK, USAGE, CommandFailed
from driver_adapters.cli.options import Labels, Output, TriggerKind, read_labels
from driver_adapters.cli.output import print_value

Action = Literal["cancel", "terminate", "pause", "resume"]
OpenStatus = Literal["queued", "running", "waiting", "paused", "cancelling"]
_COLUMNS = ("id", "action", "status", "done", "refused", "failed")


Ids = Annotated[
    tuple[str, ...],
    Parameter(negative=(), help="Ids of instances; without any, those that the options name."),
]
Dag = Annotated[str | None, Parameter(help="Only of this DAG: title or id.")]
Version = Annotated[str | None, Parameter(help="Only of this version of --dag.")]
OfStatus = Annotated[OpenStatus | None, Parameter(help="Only with this status; absent = all that the act concerns.")]
OfTrigger = Annotated[TriggerKind | None, Parameter(help="Only started by this kind of trigger.")]
Since = Annotated[str | None, Parameter(help="Only created at or after this time: `2026-01-31T08:30:00Z`.")]
Until = Annotated[str | None, Parameter(help="Only created before this time.")]
Every = Annotated[
    bool,
    Parameter(negative=(), help="All of the business domain, when neither ids nor another option names some."),
]
Reason = Annotated[str, Parameter(help="For people; kept in each journal with who did it.")]
DryRun = Annotated[bool, Parameter(negative=(), help="Count the instances, and do nothing.")]
Key = Annotated[str | None, Parameter(help="Idempotency key: the same command with it is carried out once.")]


def add_batch(instances: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands to their group."""

    @instances.command
    def batch(
        action: Action,
        ids: Ids = (),
        /,
        *,
        dag: Dag = None,
        version: Version = None,
        status: OfStatus = None,
        trigger: OfTrigger = None,
        label: Labels = (),
        since: Since = None,
        until: Until = None,
        every: Every = False,
        reason: Reason = "",
        dry_run: DryRun = False,
        key: Key = None,
        output: Output = "table",
    ) -> int:
        """Cancel, terminate, pause or resume many instances; the server goes on by itself, also after a crash.

        Parameters
        ----------
        label
            Only with this label, `name=value`; may be repeated, all must hold.
        """
        client = client_of()
        chosen = {
            "dag_id": None if dag is None else find_dag(client, dag)["id"],
            "version": version,
            "status": status,
            "trigger": trigger,
            "labels": read_labels(label),
            "created_from": since,
            "created_to": until,
        }
        wish = {"action": action, "reason": reason, "dry_run": dry_run, **_named(ids, chosen, is_every=every)}
        headers = {} if key is None else {"Idempotency-Key": key}
        print_value(client.post_value("/instances:batch", wish, headers=headers), output, _COLUMNS)
        return OK

    _add_progress(instances, client_of)


def _add_progress(instances: App, client_of: Callable[[], ApiClient]) -> None:
    @instances.command
    def progress(batch: str, /, *, output: Output = "table") -> int:
        """Show how far a batch is; the exit status is 1 when it is done and not every instance was told.

        Parameters
        ----------
        batch
            Its id, as `flow instances batch` printed it.
        """
        shown = client_of().get(f"/instances:batch/{part(batch)}")
        print_value(shown, output, _COLUMNS)
        is_whole = shown["status"] == "running" or not (shown["refused"] or shown["failed"])
        return OK if is_whole else INSTANCE_FAILED


def _named(ids: tuple[str, ...], chosen: dict[str, Any], *, is_every: bool) -> dict[str, Any]:
    """Say which instances are meant.

    Raises:
        CommandFailed: ids and options together, or neither and not --every.
    """
    said = {name: value for name, value in chosen.items() if value}
    if ids and (said or is_every):
        raise CommandFailed(USAGE, "ids and options that choose do not go together")
    if ids:
        return {"ids": ids}
    if not said and not is_every:
        raise CommandFailed(USAGE, "which instances? give ids, an option that chooses, or --every")
    return {"filter": said}
