"""Every operation that explains or proves something about instances."""

from __future__ import annotations

import msgspec

from core.engine.explaining import Explainer
from core.engine.trace.service import Traces
from core.engine.verify import Verifier
from driver_adapters.http.operation import Operation
from driver_adapters.http.trace_routes import trace_operations
from driver_adapters.http.verify_routes import verify_operations
from driver_adapters.http.why_routes import why_operations


class Explained(msgspec.Struct, frozen=True):
    """The services behind them."""

    traces: Traces
    explainer: Explainer
    verifier: Verifier


def explain_operations(explained: Explained) -> list[Operation]:
    """Declare the routes over these services."""
    return [
        *trace_operations(explained.traces),
        *why_operations(explained.explainer),
        *verify_operations(explained.verifier),
    ]
