"""Options that several commands have, declared once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from core.dag.grammar import PRIORITY_MAX, PRIORITY_MIN
from driver_adapters.cli.api_client import ROWS_MAX
from driver_adapters.cli.exits import USAGE, CommandFailed
from driver_adapters.cli.output import Form

LIMIT_DEFAULT = 50  # fits a screen or two, as the API's own page

Output = Annotated[
    Form, Parameter(name=["--output", "-o"], help="Table for people, JSON or YAML for programs and whole values.")
]
Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=ROWS_MAX), help="How many rows at most.")]
Priority = Annotated[int, Parameter(validator=Number(gte=PRIORITY_MIN, lte=PRIORITY_MAX))]
Labels = Annotated[tuple[str, ...], Parameter(name="--label", negative=())]
TriggerKind = Literal["manual", "cron", "interval", "event", "webhook", "dag", "file", "call"]
Switch = Annotated[bool, Parameter(negative=())]


def read_labels(parts: Sequence[str]) -> dict[str, str]:
    """Give labels by name; each part is `name=value`, a later one of the same name counts.

    Raises:
        CommandFailed: a part has no name or no value, or a name that no label has.
    """
    labels = {}
    for part in parts:
        name, _, value = part.partition("=")
        if not name or not value or ":" in name:  # in a query the name ends at the first colon
            raise CommandFailed(USAGE, f"--label {part!r} is not name=value")
        labels[name] = value
    return labels


def label_query(parts: Sequence[str]) -> list[str] | None:
    """Give labels as the API's query takes them; None without any.

    Raises:
        CommandFailed: a part has no name, or no value.
    """
    return [f"{name}:{value}" for name, value in read_labels(parts).items()] or None
