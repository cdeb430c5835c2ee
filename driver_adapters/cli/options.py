"""Options that several commands have, declared once."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from driver_adapters.cli.api_client import ROWS_MAX
from driver_adapters.cli.output import Form

LIMIT_DEFAULT = 50  # fits a screen or two, as the API's own page

Output = Annotated[
    Form, Parameter(name=["--output", "-o"], help="Table for people, JSON or YAML for programs and whole values.")
]
Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=ROWS_MAX), help="How many rows at most.")]
Switch = Annotated[bool, Parameter(negative=())]
