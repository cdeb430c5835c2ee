"""Inputs of a start: completed by the DAG's schema, or refused with every fault (semantics.md S45)."""

from __future__ import annotations

from typing import Any

from core.dag.plan import Plan
from core.errors import InputInvalid


def completed(plan: Plan, given: Any) -> Any:
    """Give the inputs with the schema's defaults filled in; what is given is not changed.

    Raises:
        InputInvalid: they miss the schema; `faults` lists {code, pointer, message} for each.
    """
    complete, faults = plan.inputs_complete(given)
    if faults:
        listed = [{"code": "input.schema", **fault} for fault in faults]
        raise InputInvalid(f"faults in the inputs: {len(listed)}", faults=listed)
    return complete
