"""Use cases of what comes from outside to instances that wait: signals and callbacks."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal, Protocol

import msgspec

from core.access.permission import require
from core.engine.callback_token import CallbackToken, read_token
from core.engine.effects import Answer
from core.engine.signals import SIGNAL_BYTES_MAX, SIGNAL_NAME, SIGNALS_PER_NAME_MAX, SIGNALS_UNREAD_MAX
from core.engine.state import InstanceStatus
from core.engine.stimuli import Callback, Command, Signal
from core.engine.sure import sure
from core.engine.values import encode_json
from core.errors import (
    CallbackNotFound,
    CallbackOver,
    InstanceEnded,
    InstanceNotFound,
    InstanceQuarantined,
    RequestInvalid,
    SignalsFull,
)
from core.executor.error_kind import ERROR_KINDS
from core.executor.pipeline import MESSAGE_CHARS_MAX
from core.ports.clock import IdSource
from core.ports.scope import Scope

_canonical = msgspec.json.Encoder(order="deterministic").encode


class Engine(Protocol):
    """The engine node, as far as it is used here."""

    async def command(self, domain_id: str | None, instance_id: str, stimulus: Command) -> Answer:
        """Tell an instance something; without a domain the stimulus proves that it may come."""
        ...


class CallbackError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With what a wait fails: a kind of semantics.md S13, a sentence, and any JSON."""

    kind: Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(sorted(ERROR_KINDS))})$")] = "failed"
    message: Annotated[str, msgspec.Meta(max_length=MESSAGE_CHARS_MAX)] = ""
    data: Any = None


class CallbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of the work that a callback is about; `error` only counts when it failed."""

    status: Literal["succeeded", "failed"] = "succeeded"
    data: Any = None
    error: CallbackError = CallbackError()


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
                f"at most {SIGNALS_PER_NAME_MAX} signals of one name are kept unread, and {SIGNALS_UNREAD_MAX} in all",
                sure(answer.bound),
            )
        if answer.result == "ended":
            raise ended(instance_id, answer.status)
        return answer.status

    async def call_back(self, token: str, call: CallbackBody) -> None:
        """Take a call of a callback, by whoever has its token; durable when this returns (S27).

        Raises:
            CallbackNotFound: no such token, or its instance has ended. CallbackOver: its wait takes no call any more.
            RequestInvalid: the data are longer than SIGNAL_BYTES_MAX.
            OutcomeUnknown: it may have been taken; a repeat is harmless.
        """
        found = self.read(token)
        error = None
        if call.status == "failed":
            error = bounded_data({"kind": call.error.kind, "message": call.error.message, "data": call.error.data})
        data = bounded_data(call.data) if error is None else b"null"
        stimulus = Callback(path=found.path, proof=found.proof, data=data, error=error)
        try:
            answer = await self._engine.command(None, found.instance_id, stimulus)
        except (InstanceNotFound, InstanceQuarantined):
            raise _no_callback() from None
        if answer.result == "refused":
            raise CallbackOver("the wait of this callback takes no call any more", task_status=answer.task_status)
        if answer.result != "accepted":
            raise _no_callback()

    def read(self, token: str) -> CallbackToken:
        """Take a token apart.

        Raises:
            CallbackNotFound: it has not the form of one.
        """
        found = read_token(token)
        if found is None:
            raise _no_callback()
        return found


def _no_callback() -> CallbackNotFound:
    return CallbackNotFound("this is no token of a callback that somebody waits for")


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
