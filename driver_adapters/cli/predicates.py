"""What stands in the way, in words: of an instance that somebody waits for, and of a request that was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def value_text(predicate: Mapping[str, Any]) -> str | None:
    """Write the value of a predicate: a text as it is, anything else as JSON; None = it has none."""
    value = predicate.get("value")
    return value if isinstance(value, str) or value is None else msgspec.json.encode(value).decode()


def holder_text(predicate: Mapping[str, Any]) -> str:
    """Say who can change a predicate: which one, or of which kind."""
    return str(predicate.get("holder") or predicate.get("holder_kind", ""))


def predicate_line(predicate: Mapping[str, Any]) -> str:
    """Tell a predicate in one line: its name, its value, who holds it, what is expected next, and when."""
    value = value_text(predicate)
    kind, holder = predicate.get("holder_kind", ""), predicate.get("holder")
    held = f"{kind} {holder}" if holder else kind
    due = f" at {predicate['at']}" if predicate.get("at") else ""
    shown = "" if value is None else f" {value}"
    return f"{predicate.get('name', '')}{shown}, up to {held}: {predicate.get('next', '')}{due}"
