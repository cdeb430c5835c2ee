"""What decisions ask of gates: how many run at once behind them (semantics.md S7, S16, S46; engine.md 6)."""

from __future__ import annotations

from core.dag.label import label_value_fault
from core.dag.plan import LimitPlan
from core.engine.draft import Draft
from core.engine.names import Place, render
from core.engine.permit import Permit
from core.engine.stored import GateAsked
from core.engine.values import encode_json
from core.expression import ExpressionFailed
from core.ports.permits import Gate, is_free


def ask(draft: Draft, place: Place, plan: LimitPlan, *, takes: bool = False) -> Permit | None:
    """Render the key of a limit and ask its gate: the permit can be taken, or is waited for; None while it is missing.

    `takes` = it is taken whether there is one or not: the commit finds out.

    Raises:
        ExpressionFailed: the key has no value, or none that can be a key.
    """
    key = _key(draft, place, plan)
    if draft.is_missing:
        return None
    is_held = takes or _may_take(draft, Gate(draft.header.domain_id, plan.limit, key), plan.most)
    return None if draft.is_missing else Permit(plan.limit, key, plan.most, is_held)


def _key(draft: Draft, place: Place, plan: LimitPlan) -> str:
    """Give the text of the key: texts stay as they are, everything else is compact JSON (S35)."""
    if plan.key is None:
        return ""
    value, has_holes = render(draft, place, plan.key)
    filled = draft.fill(value) if has_holes else value
    text = filled if isinstance(filled, str) else encode_json(filled).decode()
    fault = label_value_fault(text) if text else ""
    if fault:
        raise ExpressionFailed("limit", f"the key of the concurrency {fault}")
    return text


def _may_take(draft: Draft, gate: Gate, most: int) -> bool:
    """Say whether a permit may be taken; what is not known of the gate is asked for."""
    passages = draft.passages
    is_changed = passages is not None and passages.is_changed(gate)
    view = draft.state.gates.get(gate) if passages is None else passages.view(gate)
    if view is not None:
        return is_free(view, most, draft.priority)
    if not is_changed:
        draft.missing.append(GateAsked(0, 0, 0, 0, gate.domain_id, gate.limit, gate.key))
    return False  # who got what this decision gave up, only the store knows: it grants to whoever waits
