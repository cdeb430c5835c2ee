"""`flow verify`: proves the stored instances of a live server against their journals, and the audit by its seals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cyclopts import App

from driver_adapters.cli.api_client import PAGE_ROWS, ApiClient
from driver_adapters.cli.exits import DENIED, INSTANCE_FAILED, OK, CommandFailed
from driver_adapters.cli.options import Output
from driver_adapters.cli.output import print_lines, print_table, print_value

SLICE_INSTANCES = 50  # what the server proves at once
_COLUMNS = ("invariant", "instance_id", "seq", "sentence")


def add_verify(app: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the command."""

    @app.command
    def verify(*, after: str | None = None, output: Output = "table") -> int:
        """Prove every stored instance: that its rows are what its journal says, and that the journal breaks no rule.

        Then the audit: that what people did is still what was sealed; for this the key needs `audit:list`. The exit
        status is 1 when something does not hold; each is named with its instance and journal row, or with its number
        in the audit.

        Parameters
        ----------
        after
            A cursor that an earlier call gave: only instances behind it.
        """
        client = client_of()
        told = _all_slices(client, after)
        told["audit"] = _whole_audit(client)
        told["items"] += [_of_audit(one) for one in told["audit"]["items"]] if told["audit"] else []
        if output == "table":
            print_table(told["items"], _COLUMNS)
            print_lines([_summary(told), _audit_summary(told["audit"])])
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


def _whole_audit(client: ApiClient) -> dict[str, Any] | None:
    """Prove the audit page by page; None when the key may not see it."""
    told: dict[str, Any] = {"items": [], "sealed": 0}
    cursor = None
    while True:
        try:
            found = client.get("/audit/verify", {"limit": PAGE_ROWS, "cursor": cursor})
        except CommandFailed as refused:
            if refused.status != DENIED:
                raise
            return None
        told["items"] += found["items"]
        told["sealed"] += found["sealed"]
        cursor = found["next"]
        if cursor is None:
            return told | {name: found[name] for name in ("head", "unsealed", "oldest_unsealed_s")}


def _of_audit(fault: dict[str, Any]) -> dict[str, Any]:
    sentence = f"{fault['kind']}, position {fault['position']}: {fault['sentence']}"
    return {"invariant": "R35", "instance_id": "", "seq": fault["n"], "sentence": sentence}


def _audit_summary(audit: dict[str, Any] | None) -> str:
    if audit is None:
        return "the audit was not proved: this key may not see it"
    age_s = audit["oldest_unsealed_s"]
    waiting = f", {audit['unsealed']} not sealed yet" + ("" if age_s is None else f" (the oldest {age_s:.1f} s old)")
    head = "" if audit["head"] is None else f"; the newest seal is {audit['head']['position']}:{audit['head']['hash']}"
    return f"{audit['sealed']} sealed acts{waiting}{head}"


def _summary(told: dict[str, Any]) -> str:
    left_out = f"; {told['left_out']} are too long for this command" if told["left_out"] else ""
    return f"{told['instances']} instances, {told['rows']} journal rows, {len(told['items'])} violations{left_out}"
