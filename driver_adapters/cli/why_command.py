"""`flow why`: what keeps an instance, predicate by predicate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cyclopts import App

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.exits import OK, CommandFailed
from driver_adapters.cli.options import Output
from driver_adapters.cli.output import print_lines, print_table, print_value
from driver_adapters.cli.predicates import holder_text, predicate_line, value_text

_COLUMNS = ("path", "status", "predicate", "value", "holder", "next", "at")
LINES_WHILE_WAITING = 3  # told between two long polls; `flow why` tells all


def add_why(app: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the command."""

    @app.command
    def why(instance: str, /, *, task: str | None = None, output: Output = "table") -> int:
        """Say what keeps an instance: each predicate, its value, who holds it, and what is expected next.

        Parameters
        ----------
        instance
            Its id.
        task
            Only of the open task with this path.
        """
        path = f"/instances/{part(instance)}"
        told = client_of().get(f"{path}/why" if task is None else f"{path}/tasks/{part(task)}/why")
        if output != "table":
            print_value(told, output)
            return OK
        print_table([_row(*found) for found in _predicates(told)], _COLUMNS)
        if task is None:
            print_lines(_summary(told))
        return OK


def tell_why(client: ApiClient, instance_id: str) -> None:
    """Tell on standard error what keeps an instance that somebody waits for; says nothing when it cannot be asked."""
    with contextlib.suppress(CommandFailed):
        found = list(_predicates(client.get(f"/instances/{part(instance_id)}/why")))
        told = [f"{path} ({status}): {predicate_line(one)}" for path, status, one in found[:LINES_WHILE_WAITING]]
        print_lines([f"waiting: {line}" for line in told])


def _predicates(told: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Give path, status and each predicate; of an instance its own ones come first."""
    for predicate in told.get("predicates", ()):
        yield told.get("path", "instance"), told["status"], predicate
    for task in told.get("tasks", ()):
        for predicate in task["predicates"]:
            yield task["path"], task["status"], predicate


def _row(path: str, status: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "path": path, "status": status, "predicate": predicate["name"], "value": value_text(predicate),
        "holder": holder_text(predicate), "next": predicate["next"], "at": predicate["at"],
    }  # fmt: skip


def _summary(told: Mapping[str, Any]) -> list[str]:
    lines = []
    if not told["tasks"] and not told["predicates"]:
        lines.append(f"nothing keeps it: it is {told['status']}")
    if told["left_out"]:
        lines.append(f"{told['left_out']} more tasks are open")
    if told["next_at"] is not None:
        lines.append(f"next expected change: {told['next_at']}")
    return lines
