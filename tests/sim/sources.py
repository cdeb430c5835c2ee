"""Simulated time, identity and chance: those that the test kit ships."""

from flow_automation.testing.sources import STARTED_AT, SimClock, SimDice, SimIds

__all__ = ["STARTED_AT", "SimClock", "SimDice", "SimIds"]
