"""What one decision does at gates, in its order, and how they stand after that (engine.md 6)."""

from __future__ import annotations

from collections.abc import Mapping

from core.engine.permit import Permit
from core.ports.permits import Gate, GateView, PermitAct, after_act


class Passages:
    """Acts at gates, gathered in `acts`. `known` is how gates stood before."""

    __slots__ = ("_acts", "_known", "_views")

    def __init__(self, known: Mapping[Gate, GateView], acts: list[PermitAct]) -> None:
        """Begin with nothing."""
        self._acts = acts
        self._known = known
        self._views: dict[Gate, GateView | None] = {}

    def note(self, act: PermitAct) -> None:
        """Take one act."""
        self._acts.append(act)
        view = self.view(act.gate)
        self._views[act.gate] = None if view is None else after_act(view, act)

    def is_changed(self, gate: Gate) -> bool:
        """Say whether this decision did something at a gate already."""
        return gate in self._views

    def view(self, gate: Gate) -> GateView | None:
        """Say how a gate stands now; None = that is not known."""
        return self._views[gate] if gate in self._views else self._known.get(gate)


def gate_of(domain_id: str, permit: Permit) -> Gate:
    """Give the gate of a permit."""
    return Gate(domain_id, permit.limit, permit.key)
