"""Use cases of what comes from outside to instances that wait: signals. Each asks for the permission first."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import msgspec

from core.access.permission import require
from core.engine.effects import Answer
from core.engine.signals import SIGNAL_BYTES_MAX, SIGNAL_NAME, SIGNALS_PER_NAME_MAX, SIGNALS_UNREAD_MAX
from core.engine.state import InstanceStatus
from core.engine.stimuli import Command, Signal
from core.engine.values import encode_json
from core.errors import InstanceEnded, RequestInvalid, SignalsFull
from core.ports.clock import IdSource
from core.ports.scope import Scope

_canonical = msgspec.json.Encoder(order="deterministic").encode


class Engine(Protocol):
    """The engine node, as far as it is used here."""

    async def command(self, domain_id: str, instance_id: str, stimulus: Command) -> Answer:
        """Tell an instance something."""
        ...


class Answering:
    """What callers may give to instances that wait."""

    def __init__(self, *, engine: Engine, ids: IdSource) -> None:
        """Take the engine."""
        self._engine = engine
        self._ids = ids

    async def signal(
        self, scope: Scope, instance_id: str, name: str, data: Any, *, key: str | None = None
    ) -> InstanceStatus:
        """Give an instance a signal: a wait takes it now or later, and it is durable when this returns (S26).

        `data` is a JSON value. `key` is an Idempotency-Key: a repeat with the same data is taken once.

        Raises:
            NotAllowed: `instance:modify` is missing. InstanceNotFound: not in this business domain. InstanceEnded.
            RequestInvalid: the name is none, or the data are longer than SIGNAL_BYTES_MAX.
            SignalsFull: too many are unread. IdempotencyKeyReused: same key, other data.
            OutcomeUnknown: it may have been taken; repeat it with its key.
        """
        require(scope, "instance", "modify")
        if not SIGNAL_NAME.fullmatch(name):
            raise RequestInvalid(
                "a signal's name has letters, digits and _ . : -, at most 128, and begins with no mark"
            )
        encoded = bounded_data(data)
        given = self._ids.new_id() if key is None else key
        stimulus = Signal(
            name=name,
            id=given,
            data=encoded,
            # Without a key nobody repeats it but the node itself, whose repeat is told by the new id.
            key=f"{scope.principal.id}:{'' if key is None else name}:{given}",
            req_hash=hashlib.sha256(_canonical(data)).hexdigest(),
        )
        answer = await self._engine.command(scope.domain_id, instance_id, stimulus)
        if answer.result == "full":
            raise SignalsFull(
                f"at most {SIGNALS_PER_NAME_MAX} signals of one name are kept unread, and {SIGNALS_UNREAD_MAX} in all"
            )
        if answer.result == "ended":
            raise ended(instance_id, answer.status)
        return answer.status


def bounded_data(data: Any) -> bytes:
    """Encode what somebody gives to an instance.

    Raises:
        RequestInvalid: longer than SIGNAL_BYTES_MAX.
    """
    encoded = encode_json(data)
    if len(encoded) > SIGNAL_BYTES_MAX:
        raise RequestInvalid(f"the data pass {SIGNAL_BYTES_MAX} bytes; put them into a file and send its id")
    return encoded


def ended(instance_id: str, status: InstanceStatus) -> InstanceEnded:
    """Say that an instance has ended."""
    return InstanceEnded(
        f"instance {instance_id} ended as {status.value}", instance_id=instance_id, instance_status=status.value
    )
