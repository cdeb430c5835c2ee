"""`flow instances`, acts by hand: on whole instances (S41, S42) and on single tasks (S43)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import App, Parameter

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.exits import OK
from driver_adapters.cli.inputs import read_given
from driver_adapters.cli.options import Output
from driver_adapters.cli.output import print_value

Ids = Annotated[tuple[str, ...], Parameter(help="Ids of instances; the first one that is refused ends the command.")]
Why = Annotated[str, Parameter(help="For people; kept in the journal with who did it.")]
InstanceId = Annotated[str, Parameter(help="Id of the instance.")]
TaskPath = Annotated[str, Parameter(help="As `flow instances tasks` lists it: `greet`, or `orders.3.book` in a map.")]
Value = Annotated[str, Parameter(help="The task's output, as JSON; `@FILE` reads a file, `@-` standard input.")]


def add_instance_acts(instances: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands to their group."""

    @instances.command
    def cancel(ids: Ids, /, *, reason: Why = "", output: Output = "table") -> int:
        """Cancel instances: running attempts get 30 s, `finally` lists run."""
        return _tell(client_of(), "cancel", ids, reason, output)

    @instances.command
    def terminate(ids: Ids, /, *, reason: Why = "", output: Output = "table") -> int:
        """Terminate instances: end them at once, without grace."""
        return _tell(client_of(), "terminate", ids, reason, output)

    @instances.command
    def pause(ids: Ids, /, *, reason: Why = "", output: Output = "table") -> int:
        """Pause instances: running attempts end and count, nothing starts until they are resumed."""
        return _tell(client_of(), "pause", ids, reason, output)

    @instances.command
    def resume(ids: Ids, /, *, reason: Why = "", output: Output = "table") -> int:
        """Resume paused instances."""
        return _tell(client_of(), "resume", ids, reason, output)

    _add_task_acts(instances, client_of)


def _add_task_acts(instances: App, client_of: Callable[[], ApiClient]) -> None:
    @instances.command
    def skip(
        instance: InstanceId, path: TaskPath, /, *, reason: Why, value: Value | None = None, output: Output = "table"
    ) -> int:
        """Skip a task that does not run, perhaps with an output that later steps read."""
        body = {"reason": reason} | ({} if value is None else {"output": read_given(value, "--value")})
        return _act(client_of(), instance, path, "skip", body, output)

    @instances.command
    def complete(
        instance: InstanceId, path: TaskPath, /, *, reason: Why, value: Value, output: Output = "table"
    ) -> int:
        """Let a task that does not run succeed with this output."""
        body = {"reason": reason, "output": read_given(value, "--value")}
        return _act(client_of(), instance, path, "complete", body, output)

    @instances.command
    def fail(
        instance: InstanceId,
        path: TaskPath,
        /,
        *,
        reason: Why,
        kind: str = "failed",
        message: str = "",
        output: Output = "table",
    ) -> int:
        """Let a task that does not run fail.

        Parameters
        ----------
        kind
            Of the error: `failed`, `conflict`, `not_found` and so on.
        message
            Of the error.
        """
        body = {"reason": reason, "error": {"kind": kind, "message": message}}
        return _act(client_of(), instance, path, "fail", body, output)

    @instances.command
    def retry(instance: InstanceId, path: TaskPath, /, *, reason: Why, output: Output = "table") -> int:
        """Try a task again at once: one that waits for its next attempt, or whose outcome is unknown."""
        return _act(client_of(), instance, path, "retry", {"reason": reason}, output)


def _tell(client: ApiClient, what: str, ids: tuple[str, ...], reason: str, output: Output) -> int:
    told = [client.post_value(f"/instances/{part(one)}/{what}", {"reason": reason}) for one in ids]
    print_value(told, output)
    return OK


def _act(client: ApiClient, instance: str, path: str, act: str, body: dict[str, Any], output: Output) -> int:
    print_value(client.post_value(f"/instances/{part(instance)}/tasks/{part(path)}/{act}", body), output)
    return OK
