"""`flow instances`, what happened inside: one task, the timeline, lines of attempts, transitions as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.exits import OK
from driver_adapters.cli.options import LIMIT_DEFAULT, Limit, Output
from driver_adapters.cli.output import print_row, print_value
from driver_adapters.cli.waiting import followed_events

_TIMELINE_COLUMNS = ("path", "status", "ready_at", "started_at", "ended_at", "waited_s", "attempts")
_STATE_COLUMNS = ("path", "status", "reason", "attempts")
Seq = Annotated[int | None, Parameter(validator=Number(gte=0))]
Follow = Annotated[bool, Parameter(name=["--follow", "-f"], negative=())]


def add_reading(instances: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands to their group."""

    @instances.command
    def task(instance: str, path: str, /, *, output: Output = "table") -> int:
        """Show one task: inputs (secrets masked), output, every attempt.

        Parameters
        ----------
        instance
            Its id.
        path
            As `flow instances tasks` lists it: `greet`, or `orders.3.book` in a map.
        """
        print_value(client_of().get(f"/instances/{part(instance)}/tasks/{part(path)}"), output)
        return OK

    @instances.command
    def timeline(instance: str, /, *, limit: Limit = LIMIT_DEFAULT, output: Output = "table") -> int:
        """Show when each task was ready, ran and ended.

        Parameters
        ----------
        instance
            Its id.
        """
        rows = client_of().rows(f"/instances/{part(instance)}/timeline", {}, limit)
        shown = [{**row, "attempts": len(row["attempts"])} for row in rows] if output == "table" else rows
        print_value(shown, output, _TIMELINE_COLUMNS)
        return OK

    @instances.command
    def state(instance: str, /, *, seq: Seq = None, limit: Limit = LIMIT_DEFAULT, output: Output = "table") -> int:
        """Show the tasks as they stood after a row of the journal; JSON and YAML hold the instance's own state too.

        Parameters
        ----------
        instance
            Its id.
        seq
            Number of the row, as `flow instances journal` lists it; absent = the newest.
        """
        client = client_of()
        path = f"/instances/{part(instance)}/state"
        shown = client.get(path, {"seq": seq, "limit": 1})
        # Read at the row that the first answer names: the instance may have gone on meanwhile.
        rows = client.rows(path, {"seq": shown["seq"]}, limit)
        if output == "table":
            print_value(rows, output, _STATE_COLUMNS)
        else:
            print_value({**shown, "items": rows, "next": None}, output)
        return OK

    _add_streams(instances, client_of)


def _add_streams(instances: App, client_of: Callable[[], ApiClient]) -> None:
    @instances.command
    def logs(
        instance: str,
        /,
        *,
        task: str | None = None,
        attempt: int | None = None,
        follow: Follow = False,
        limit: Limit = LIMIT_DEFAULT,
        output: Output = "table",
    ) -> int:
        """Show the lines that attempts wrote; JSON is one object per line.

        Parameters
        ----------
        instance
            Its id.
        task
            Only of the task with this path.
        attempt
            Only of this attempt of the task.
        follow
            Go on as lines come, to the instance's end; --limit does not count.
        """
        client = client_of()
        path = f"/instances/{part(instance)}/logs"
        query = {"task": task, "attempt": attempt}
        if follow:
            for event in followed_events(client, instance, path, query):
                print_row(event.value, output, _told_line(event.value))
        else:
            for line in client.rows(path, query, limit):
                print_row(line, output, _told_line(line))
        return OK

    @instances.command
    def events(instance: str, /, *, output: Output = "table") -> int:
        """Follow what happens, from the start to the instance's end; JSON is one object per line.

        Parameters
        ----------
        instance
            Its id.
        """
        client = client_of()
        for event in followed_events(client, instance, f"/instances/{part(instance)}/events", {}):
            print_row(event.value, output, _told_event(event.value))
        return OK


def _told_line(line: Mapping[str, Any]) -> str:
    return f"{line['at']} {line['level']:7} {line['task']}#{line['attempt']} {line['message']}"


def _told_event(value: Mapping[str, Any]) -> str:
    event = {name: inner for name, inner in value["event"].items() if inner not in (None, "", [], {})}
    name = event.pop("event")
    said = " ".join(f"{key}={inner if isinstance(inner, str) else _json(inner)}" for key, inner in event.items())
    return f"{value['at'] or ''} {value['seq']} {name} {said}".rstrip()


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
