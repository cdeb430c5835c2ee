"""`flow verify`: proves the stored instances of a live server against their journals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cyclopts import App

from driver_adapters.cli.api_client import ApiClient
from driver_adapters.cli.exits import INSTANCE_FAILED, OK
from driver_adapters.cli.options import Output
from driver_adapters.cli.output import print_lines, print_table, print_value

SLICE_INSTANCES = 50  # what the server proves at once
_COLUMNS = ("invariant", "instance_id", "seq", "sentence")


def add_verify(app: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the command."""

    @app.command
    def verify(*, after: str | None = None, output: Output = "table") -> int:
        """Prove every stored instance: that its rows are what its journal says, and that the journal breaks no rule.

        The exit status is 1 when an invariant does not hold; each is named with its instance and journal row.

        Parameters
        ----------
        after
            A cursor that an earlier call gave: only instances behind it.
        """
        told = _all_slices(client_of(), after)
        if output == "table":
            print_table(told["items"], _COLUMNS)
            print_lines([_summary(told)])
        else:
            print_value(told, output)
        return INSTANCE_FAILED if told["items"] else OK


def _all_slices(client: ApiClient, after: str | None) -> dict[str, Any]:
    """Ask slice by slice; `last` is the cursor of the last slice that was whole."""
    told: dict[str, Any] = {"items": [], "instances": 0, "rows": 0, "left_out": 0, "last": after}
    cursor = after
    while True:
        found = client.get("/verify", {"limit": SLICE_INSTANCES, "cursor": cursor})
        told["items"] += found["items"]
        for name in ("instances", "rows", "left_out"):
            told[name] += found[name]
        cursor = found["next"]
        if cursor is None:
            return told
        told["last"] = cursor


def _summary(told: dict[str, Any]) -> str:
    left_out = f"; {told['left_out']} are too long for this command" if told["left_out"] else ""
    return f"{told['instances']} instances, {told['rows']} journal rows, {len(told['items'])} violations{left_out}"
