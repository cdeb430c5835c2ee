"""The figures of load by their number."""

from __future__ import annotations

from collections.abc import Callable

from tests.load import first_task, neighbour, overload, running, transitions, waiting

MEASURES: dict[str, Callable[[], bool]] = {
    "F13": waiting.measure,
    "F14": running.measure,
    "F15": transitions.measure,
    "F16": first_task.measure,
    "F19": neighbour.measure,
    "F20": overload.measure,
}
