"""`flow operators`: what a step can do on the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cyclopts import App

from driver_adapters.cli.api_client import ApiClient
from driver_adapters.cli.exits import OK, USAGE, CommandFailed
from driver_adapters.cli.options import Output, Switch
from driver_adapters.cli.output import print_value

_COLUMNS = ("name", "kind", "attempts", "parameters", "title")


def add_operators(operators: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands to their group."""

    @operators.command(name="list")
    def list_(*, every: Switch = False, output: Output = "table") -> int:
        """List the operators that steps may name.

        Parameters
        ----------
        every
            Also those that the language knows and this release cannot run.
        """
        rows = [row for row in _catalog(client_of()) if every or row["is_available"]]
        print_value([_row(row) for row in rows] if output == "table" else rows, output, _COLUMNS)
        return OK

    @operators.command
    def show(name: str, /, *, output: Output = "yaml") -> int:
        """Show an operator with the schemas of its parameters and output.

        Parameters
        ----------
        name
            As a step names it: `@http/request`.
        """
        for row in _catalog(client_of()):
            if row["name"] == name:
                print_value(row, output)
                return OK
        raise CommandFailed(USAGE, f"no operator has the name {name!r}", "`flow operators list` shows them")


def _catalog(client: ApiClient) -> list[Any]:
    rows: list[Any] = client.get("/operators/catalog")["items"]
    return rows


def _row(operator: Mapping[str, Any]) -> dict[str, Any]:
    schema = operator["parameters"]
    required = schema.get("required", ())
    names = [name if name in required else f"[{name}]" for name in schema.get("properties", {})]
    return {
        "name": operator["name"],
        "kind": operator["kind"],
        "attempts": operator["retry"]["max_attempts"] if operator["kind"] == "attempt" else "",
        "parameters": " ".join(names),
        "title": operator["title"],
    }
