"""`flow instances rerun`: run an ended instance again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.exits import OK
from driver_adapters.cli.inputs import read_inputs
from driver_adapters.cli.options import Output, Priority, Switch
from driver_adapters.cli.output import print_value
from driver_adapters.cli.waiting import ended_instance, exit_of_instance, print_instance


def add_rerun(instances: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the command to its group."""

    @instances.command
    def rerun(
        instance: str,
        /,
        *,
        from_: Annotated[str | None, Parameter(name="--from")] = None,
        version: str | None = None,
        input: Annotated[tuple[str, ...], Parameter(name=["--input", "--inputs", "-i"], negative=())] = (),  # noqa: A002 - the option's name
        priority: Priority | None = None,
        reason: str = "",
        key: str | None = None,
        wait: Switch = False,
        output: Output = "table",
    ) -> int:
        """Run an ended instance again, as a new instance: all of it, or from a step on.

        Parameters
        ----------
        instance
            Its id.
        from_
            A task path (`load`, `fan.3.work`), or `@failed`: this and all that follows runs, the rest is taken over;
            absent = all.
        version
            Which version runs; absent = that of the instance.
        input
            As of `flow run`; absent = the inputs of the instance.
        priority
            As of `flow run`; absent = that with which the instance was started.
        reason
            For people; kept in the journal.
        key
            Idempotency key: the same key again gives the same instance.
        wait
            Wait for the outcome; the exit status is 1 when it did not succeed.
        """
        asked: dict[str, Any] = {"from_step": from_, "version": version, "reason": reason}
        if priority is not None:
            asked["priority"] = priority
        if input:
            asked["inputs"] = read_inputs(input)
        client = client_of()
        headers = {"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
        path = f"/instances/{part(instance)}/rerun"
        started = client.send("POST", path, query={}, body=msgspec.json.encode(asked), headers=headers).value
        if not wait:
            print_value(started, output)
            return OK
        shown = ended_instance(client, started["id"])
        print_instance(shown, output)
        return exit_of_instance(shown)
