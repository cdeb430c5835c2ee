"""Where measuring joins the composition: functions that wrap what the container wires, and do nothing by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from core.engine.invariants import Violation
from core.engine.node.terms import AttemptRunner
from core.engine.service import Engine

Port = TypeVar("Port")


def as_it_is(port: Port) -> Port:
    """Wrap nothing."""
    return port


def pass_over(_violation: Violation) -> None:
    """Count nothing."""


class Instruments(msgspec.Struct, frozen=True):
    """What is put around the runner of attempts, and around the engine that use cases speak to.

    `mask` cuts known secrets out of the lines that attempts write, before they are stored. `on_violation` hears of each
    invariant that does not hold in the store.
    """

    attempts: Callable[[AttemptRunner], AttemptRunner] = as_it_is
    engine: Callable[[Engine], Engine] = as_it_is
    mask: Callable[[str], str] = as_it_is
    on_violation: Callable[[Violation], None] = pass_over
