"""FLOW_CRASH_AT of tests: the process ends like a power cut at the n-th passing of a named point (T-02).

Without it nothing here is in the way of a point: the store gets None, the node the metrics alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from driven_adapters.telemetry import EngineMetrics

NODE_PREFIX = "node_"  # the node's points have names of the store's, too
POWER_CUT = 137  # the exit status of a process that was killed with -9


class CrashingMetrics(EngineMetrics):
    """The node's observer whose points end the process."""

    def __init__(self, pass_point: Callable[[str], None]) -> None:
        """Pass the node's points on under NODE_PREFIX."""
        super().__init__()
        self._pass_point = pass_point

    def point(self, name: str) -> None:
        """Pass a named point."""
        self._pass_point(NODE_PREFIX + name)


def crash_point(crash_at: str) -> Callable[[str], None] | None:
    """Make what ends this process like a power cut at the n-th passing of a named point; None without one."""
    if not crash_at:
        return None
    wanted, _, number = crash_at.partition(":")
    left = int(number)

    def pass_point(name: str) -> None:
        nonlocal left
        if name.partition(":")[0] == wanted:
            left -= 1
            if left == 0:
                os._exit(POWER_CUT)

    return pass_point


def engine_metrics(crash_at: str) -> EngineMetrics:
    """Make the node's observer: the metrics, which end the process at the node's point that `crash_at` names."""
    pass_point = crash_point(crash_at)
    return EngineMetrics() if pass_point is None else CrashingMetrics(pass_point)
