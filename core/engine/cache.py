"""`cache` of a step: a succeeded output with the same key is taken over instead of a call (semantics.md S16, S7)."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import msgspec

from core.dag.plan import CachePlan, Node
from core.engine import effects as x
from core.engine import rerun_events as r
from core.engine.draft import Draft
from core.engine.lending import Lent
from core.engine.names import Place, render
from core.engine.state import Value
from core.engine.stored import GONE, Looked
from core.engine.sure import sure

KEY_BYTES = 16
LOOKED_BYTES = 128  # what a looked-up key counts in the node's memory, by estimate
_canonical = msgspec.json.Encoder(order="deterministic").encode


def named_key(draft: Draft, place: Place, node: Node) -> bytes:
    """Render the step's own key; only meaningful while nothing is missing.

    Raises:
        ExpressionFailed: as the rendering does.
    """
    plan = sure(node.cache)
    value, has_holes = render(draft, place, sure(plan.key))
    return key_of(plan, draft.fill(value) if has_holes else value)


def key_of(plan: CachePlan, value: Any) -> bytes:
    """Hash what the key is made of: the rendered key or the parameters, and the shape that the output must have."""
    return hashlib.blake2b(_canonical([plan.shape, value]), digest_size=KEY_BYTES).digest()


def is_hit(draft: Draft, place: Place, index: int, node: Node, key: bytes) -> bool:
    """Take an output with this key over, if there is one; also True while it is not known, which is asked for.

    An output that turned out to be gone in this decision is not asked for again.
    """
    path = place.frame.path
    if (path, index) in draft.uncached:
        return False
    asked = Looked(0, 0, LOOKED_BYTES, 0, draft.header.dag_id, node.id, operator_version(node), key, draft.now)
    if asked not in draft.state.values:
        draft.missing.append(asked)
        return True
    found = draft.state.values[asked]
    if found is GONE:
        return False
    draft.uncached.add((path, index))
    lent = Lent("succeeded", found.instance_id, found.instance_id, output=found.output)
    draft.emit(r.TaskLent(path, index, lent))
    draft.later("advance", path, index)
    return True


def operator_version(node: Node) -> str:
    """Give the name and version of the step's operator: another operator under the same step id is another scope."""
    return f"{node.operator.name} {node.operator.version}"


def keep(draft: Draft, node: Node, key: bytes, output: Value) -> None:
    """Keep a succeeded output; it is written by the same commit."""
    expires_at = draft.now + timedelta(seconds=sure(node.cache).ttl_s)
    draft.effects.append(x.KeepOutput(node.id, operator_version(node), key, output, expires_at))
