"""Waiting for an instance: long polls that outlive a restart of the server, and what is shown meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from driver_adapters.cli.api_client import ApiClient, ServerEvent, part
from driver_adapters.cli.exits import INSTANCE_FAILED, INTERRUPTED, OK, UNREACHABLE, CommandFailed
from driver_adapters.cli.output import Form, print_lines, print_value
from driver_adapters.cli.why_command import tell_why

WAIT_S = 30  # one long poll; the next follows until the instance ended
ABSENCES_MAX = 30  # looks in a row without an answer, ABSENCE_PAUSE_S apart: a restart takes some seconds
ABSENCE_PAUSE_S = 1.0


def ended_instance(
    client: ApiClient,
    instance_id: str,
    look: Callable[[Any], None] = lambda _: None,
    *,
    every_s: float = WAIT_S,
    pause: Callable[[float], None] = time.sleep,
) -> Any:
    """Ask until the instance has ended; each answer is given to `look`, the last one included.

    The server holds each question for up to `every_s` seconds, so nothing spins. A server that is away may come back:
    the instance is durable.

    Raises:
        CommandFailed: denied, unknown, or no answer for ABSENCES_MAX looks in a row.
    """
    absences = 0
    wait_s = 0.0  # the first look is at once
    while True:
        try:
            shown = client.get(f"/instances/{part(instance_id)}", {"wait": wait_s})
            wait_s = every_s
            look(shown)
        except CommandFailed as failure:
            absences += 1
            if failure.status != UNREACHABLE or absences >= ABSENCES_MAX:
                raise
            if absences == 1:
                print_lines([failure.lines[0], "the instance is durable; asking again"])
            pause(ABSENCE_PAUSE_S)
            continue
        absences = 0
        if shown["ended_at"] is not None:
            return shown


def told_end(client: ApiClient, instance_id: str) -> Any:
    """As `ended_instance`; whoever waits is told after each long poll what keeps it.

    Raises:
        CommandFailed: as `ended_instance`.
    """
    looks = 0

    def tell(shown: Any) -> None:
        nonlocal looks
        looks += 1
        if looks > 1 and shown["ended_at"] is None:  # the first look is at once
            tell_why(client, instance_id)

    return ended_instance(client, instance_id, tell)


@contextlib.contextmanager
def waiting_for(client: ApiClient, instance_id: str) -> Iterator[None]:
    """Whoever gives up waiting within is told what keeps the instance, and that it goes on.

    Raises:
        CommandFailed: interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        tell_why(client, instance_id)
        lines = f"instance {instance_id} goes on", f"look at it with `flow instances show {instance_id}`"
        raise CommandFailed(INTERRUPTED, *lines) from None


def followed_events(
    client: ApiClient,
    instance_id: str,
    path: str,
    query: Mapping[str, Any],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[ServerEvent]:
    """Follow a stream of an instance to the instance's end; a cut stream is taken up behind its last event.

    Raises:
        CommandFailed: denied, unknown, or nothing came for ABSENCES_MAX tries in a row.
    """
    last_id = ""
    absences = 0
    while absences < ABSENCES_MAX:
        try:
            for event in client.events(path, query, last_id):
                absences = 0
                last_id = event.id or last_id
                yield event
            # A server that stops ends its streams, too.
            if client.get(f"/instances/{part(instance_id)}")["ended_at"] is not None:
                return
        except CommandFailed as failure:
            if failure.status != UNREACHABLE:
                raise
            if not absences:
                print_lines([failure.lines[0], "going on behind the last event"])
        absences += 1
        pause(ABSENCE_PAUSE_S)
    raise CommandFailed(UNREACHABLE, f"nothing came from {path} for {ABSENCES_MAX} tries")


def print_instance(shown: Mapping[str, Any], form: Form) -> None:
    """Print one instance; people are not told that it has no labels, and no priority of its own."""
    bare = ("labels", "priority") if form == "table" else ()
    print_value({name: value for name, value in shown.items() if value or name not in bare}, form)


def exit_of_instance(shown: Any) -> int:
    """Give the exit status of an instance that has ended."""
    return OK if shown["status"] == "succeeded" else INSTANCE_FAILED
