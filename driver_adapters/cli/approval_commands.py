"""`flow approvals`: list the decisions that wait for the caller, approve and reject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cyclopts import App

from driver_adapters.cli.api_client import ApiClient, part
from driver_adapters.cli.exits import OK
from driver_adapters.cli.inputs import read_data
from driver_adapters.cli.options import LIMIT_DEFAULT, Limit, Output
from driver_adapters.cli.output import print_value

_COLUMNS = ("id", "title", "instance_id", "task", "since", "due_at")


def add_approvals(approvals: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands to their group."""

    @approvals.command(name="list")
    def list_(*, limit: Limit = LIMIT_DEFAULT, output: Output = "table") -> int:
        """List open decisions that you may take, oldest first; JSON and YAML hold their forms."""
        print_value(client_of().rows("/approvals", {}, limit), output, _COLUMNS)
        return OK

    @approvals.command
    def approve(approval: str, /, *, data: str = "null", comment: str | None = None, output: Output = "table") -> int:
        """Approve.

        Parameters
        ----------
        approval
            Its id.
        data
            What the form asks for: JSON, `@FILE` with JSON, `@-` for standard input.
        comment
            Why; kept in the journal.
        """
        print_value(_decide(client_of(), approval, "approved", read_data(data), comment), output)
        return OK

    @approvals.command
    def reject(approval: str, /, *, comment: str | None = None, output: Output = "table") -> int:
        """Reject: its step fails with kind `rejected`.

        Parameters
        ----------
        approval
            Its id.
        comment
            Why; the message of the error.
        """
        print_value(_decide(client_of(), approval, "rejected", None, comment), output)
        return OK


def _decide(client: ApiClient, approval: str, decision: str, data: Any, comment: str | None) -> Any:
    given = {"decision": decision, "data": data, "comment": comment}
    return client.post_value(f"/approvals/{part(approval)}", given)
