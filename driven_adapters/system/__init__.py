"""Time, identity and chance of this machine."""

from driven_adapters.system.chance import SystemDice
from driven_adapters.system.identity import UlidSource
from driven_adapters.system.time_source import SystemClock

__all__ = ["SystemClock", "SystemDice", "UlidSource"]
