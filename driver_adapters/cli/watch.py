"""Live view of an instance's steps: redrawn in place on a terminal, one line for each change elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from driver_adapters.cli.api_client import PAGE_ROWS, ApiClient, part
from driver_adapters.cli.output import STYLES, printable, table_lines
from driver_adapters.cli.waiting import ended_instance

LOOK_S = 1.0  # how long the server may hold a question while nothing ends; a person sees a step within that
NOTE_CHARACTERS_MAX = 160  # of an error's message beside its step; `flow instances tasks` shows it whole
_COLUMNS = ("step", "status", "attempts", "note")
# The instance's own lines above and below the steps.
_FRAME_LINES = 4


class Screen(Protocol):
    """Where steps are shown."""

    def show(self, instance: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], *, is_more: bool) -> None:
        """Show the steps as they are now; `is_more` = there are tasks beyond these."""


class LineScreen:
    """One line for each change, for logs and pipes."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._seen: dict[str, tuple[str, int]] = {}
        self._status = ""

    def show(self, instance: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], *, is_more: bool) -> None:  # noqa: ARG002 - lines tell what changed among the tasks that are read
        """Tell each task whose status or attempt is another one than before."""
        for row in step_rows(tasks):
            now = (row["status"], row["attempts"])
            if self._seen.get(row["step"]) != now and row["status"] != "pending":
                self._seen[row["step"]] = now
                attempt = f" (attempt {row['attempts']})" if row["attempts"] > 1 else ""
                note = f": {row['note']}" if row["note"] else ""
                self._say(f"{row['step']} {row['status']}{attempt}{note}")
        if instance["status"] != self._status:
            self._status = instance["status"]
            self._say(f"instance {instance['id']} {self._status}")


class LiveScreen:
    """All steps in place, in the colours of their statuses; what does not fit the height is counted."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, instance: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], *, is_more: bool) -> None:
        """Draw everything anew."""
        head = Text(f"instance {instance['id']} ", "bold")
        head.append(instance["status"], STYLES.get(instance["status"], ""))
        lines = table_lines(step_rows(tasks), _COLUMNS)
        room = max(2, self._live.console.height - _FRAME_LINES)
        hidden = len(lines) - room
        shown = lines[:room] if hidden > 0 else lines
        for line in shown:
            line.no_wrap, line.overflow = True, "ellipsis"
        if hidden > 0 or is_more:
            shown = [*shown, Text("more: flow instances tasks " + instance["id"], "dim")]
        self._live.update(Group(head, *shown), refresh=True)


def watch_instance(client: ApiClient, instance_id: str) -> Any:
    """Show the steps on standard error until the instance has ended; gives it.

    Raises:
        CommandFailed: as `ended_instance`.
    """
    with _screen() as screen:

        def look(shown: Any) -> None:
            page = client.get(f"/instances/{part(instance_id)}/tasks", {"limit": PAGE_ROWS})
            screen.show(shown, page["items"], is_more=page["next"] is not None)

        return ended_instance(client, instance_id, look, every_s=LOOK_S)


def step_rows(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give what is shown of each task."""
    return [
        {"step": task["path"], "status": task["status"], "attempts": task["attempts"], "note": _note(task)}
        for task in tasks
    ]


def _note(task: Mapping[str, Any]) -> str:
    error = task["error"]
    text = f"{error.get('kind', '')} {error.get('message', '')}" if isinstance(error, dict) else task["reason"] or ""
    text = printable(" ".join(text.split()))
    return text if len(text) <= NOTE_CHARACTERS_MAX else text[: NOTE_CHARACTERS_MAX - 1] + "…"


@contextmanager
def _screen() -> Iterator[Screen]:
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield LineScreen(lambda line: console.print(Text(printable(line)), soft_wrap=True))
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield LiveScreen(live)
