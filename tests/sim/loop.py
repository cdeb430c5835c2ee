"""The loop of the simulation: the one that the test kit ships."""

from flow_automation.testing.virtual_loop import (
    CURRENT,
    STEPS_MAX,
    TASKS_KEPT_COUNT,
    ConnectionLostError,
    DeadlockError,
    EndlessError,
    Process,
    SimLoop,
    running,
)

__all__ = [
    "CURRENT",
    "STEPS_MAX",
    "TASKS_KEPT_COUNT",
    "ConnectionLostError",
    "DeadlockError",
    "EndlessError",
    "Process",
    "SimLoop",
    "running",
]
