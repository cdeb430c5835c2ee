"""`flow instances signal`: give something to an instance that waits."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from cyclopts import App

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.exits import OK
from driver_adapters.cli.inputs import read_data
from driver_adapters.cli.options import Output
from driver_adapters.cli.output import print_value


def add_signals(instances: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the command to its group."""

    @instances.command
    def signal(
        instance: str, name: str, /, *, data: str = "null", key: str | None = None, output: Output = "table"
    ) -> int:
        """Give an instance a signal; it is kept until a wait takes it.

        Parameters
        ----------
        instance
            Its id.
        name
            As the wait's `event.name` says.
        data
            JSON, or else text; `@FILE` with JSON, `@-` for standard input.
        key
            Idempotency key: the same key again is taken once.
        """
        headers = {"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
        path = f"/instances/{part(instance)}/signals/{part(name)}"
        body = msgspec.json.encode(read_data(data))
        print_value(client_of().send("POST", path, body=body, headers=headers).value, output)
        return OK
