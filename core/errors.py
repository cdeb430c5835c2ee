"""The tree of expected failures. The core knows kinds; only drivers know HTTP statuses or what Kafka does with one."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.predicate import Predicate


class ErrorKind(enum.Enum):
    """What a caller can do about an error; each driver has one table from kinds to its own answers."""

    INVALID = "invalid"
    UNDECODABLE = "undecodable"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    EXHAUSTED = "exhausted"
    UNAVAILABLE = "unavailable"
    STORAGE_FULL = "storage_full"
    TIMEOUT = "timeout"


class FlowError(Exception):
    """Root of every expected failure. Subclasses set the class attributes; the message says what happened this time."""

    kind: ClassVar[ErrorKind]
    slug: ClassVar[str]
    title: ClassVar[str]
    retryable: ClassVar[bool] = False
    retry_after_s: float | None = None

    def __init__(
        self,
        detail: str = "",
        *,
        faults: Sequence[Mapping[str, object]] = (),
        why: Sequence[Predicate] = (),
        **fields: object,
    ) -> None:
        """Keep the sentence for this occurrence, the list of all faults found, and typed fields shown to the caller.

        `why` = what stands in the way, who holds it and what is expected next, as far as that is known.
        """
        super().__init__(detail or self.title)
        self.detail = detail
        self.faults = tuple(faults)
        self.why = tuple(why)
        self.fields = fields


class Exhausted(FlowError):
    """A bound was reached; nothing was done. None is made without saying which bound, and who has what it bounds."""

    kind, retryable = ErrorKind.EXHAUSTED, True

    def __init__(self, detail: str, bound: Predicate, **fields: Any) -> None:
        """Take the bound; when `bound.at` is known, `retry_after_s` must lead there."""
        super().__init__(detail, why=(bound,), **fields)


class DagInvalid(FlowError):
    """The DAG is understood but breaks rules of the language; `faults` lists every one (semantics.md S54)."""

    kind, slug, title = ErrorKind.INVALID, "dag-invalid", "DAG is not valid"


class DagUndecodable(FlowError):
    """The bytes are not a YAML or JSON document that could be a DAG."""

    kind, slug, title = ErrorKind.UNDECODABLE, "dag-undecodable", "DAG cannot be read"


class BodyUndecodable(FlowError):
    """A request body is not JSON, or not within the limits of depth and numbers."""

    kind, slug, title = ErrorKind.UNDECODABLE, "body-undecodable", "Body cannot be read"


class RequestInvalid(FlowError):
    """A parameter, header or field of a request is not allowed; `faults` lists every one."""

    kind, slug, title = ErrorKind.INVALID, "request-invalid", "Request is not valid"


class InputInvalid(FlowError):
    """The inputs of a start do not meet the DAG's schema, or its labels give no text with them; nothing was started."""

    kind, slug, title = ErrorKind.INVALID, "input-invalid", "Inputs are not valid"


class DagNotFound(FlowError):
    """No such DAG in the caller's business domain."""

    kind, slug, title = ErrorKind.NOT_FOUND, "dag-not-found", "DAG not found"


class DagTitleTaken(FlowError):
    """A DAG with this title exists in the business domain."""

    kind, slug, title = ErrorKind.CONFLICT, "dag-title-taken", "DAG title is taken"


class DagVersionTaken(FlowError):
    """The DAG has a version with this number already; read it anew before publishing."""

    kind, slug, title = ErrorKind.CONFLICT, "dag-version-taken", "DAG version is taken"


class DagChanged(FlowError):
    """The DAG or its draft is not in the state that the request was made upon; read it anew, then decide again."""

    kind, slug, title = ErrorKind.PRECONDITION, "dag-changed", "DAG has changed"


class DraftMissing(FlowError):
    """The DAG has no draft: what was saved last is published."""

    kind, slug, title = ErrorKind.CONFLICT, "draft-missing", "There is no draft"


class DagStopped(FlowError):
    """The DAG's status is `stopped`; it starts nothing."""

    kind, slug, title = ErrorKind.CONFLICT, "dag-stopped", "DAG is stopped"


class ConcurrencyReached(FlowError):
    """As many instances of the DAG run as may at once with this key, and `on_limit` is `reject`; nothing was started.

    `limit`, `key` (empty without one) and `most` say of which limit; `why` says who runs, as far as it can be read.
    """

    kind, slug, title, retryable = ErrorKind.CONFLICT, "concurrency-reached", "As many run as may at once", True


class InstanceNotFound(FlowError):
    """No such instance in the caller's business domain."""

    kind, slug, title = ErrorKind.NOT_FOUND, "instance-not-found", "Instance not found"


class TaskNotFound(FlowError):
    """The instance has no such task, or it was not entered yet."""

    kind, slug, title = ErrorKind.NOT_FOUND, "task-not-found", "Task not found"


class TaskNotOpen(FlowError):
    """The task has ended, or runs: nobody can settle or retry it now. `task_status` says how it stands."""

    kind, slug, title = ErrorKind.CONFLICT, "task-not-open", "Task cannot be acted on"


class CallbackNotFound(FlowError):
    """No callback that can be called has this token; its instance may have ended."""

    kind, slug, title = ErrorKind.NOT_FOUND, "callback-not-found", "No callback has this token"


class CallbackOver(FlowError):
    """The wait of this callback takes no call any more: it has one, or has ended."""

    kind, slug, title = ErrorKind.CONFLICT, "callback-over", "Callback is over"


class ApprovalNotFound(FlowError):
    """Nobody is asked for this decision, or somebody else is: it was taken, its time is over, or it never was."""

    kind, slug, title = ErrorKind.NOT_FOUND, "approval-not-found", "Approval not found"


class HistoryTooLong(FlowError):
    """The journal up to there is longer than one view reads again; ask for a lower row, or read the journal itself."""

    kind, slug, title = ErrorKind.INVALID, "history-too-long", "History is too long for this view"


class TraceInvalid(FlowError):
    """The trace file is foreign, damaged, too large or of another version; or what is asked of it, it does not hold."""

    kind, slug, title = ErrorKind.INVALID, "trace-invalid", "Trace file cannot be used"


class StreamsExhausted(Exhausted):
    """As many streams are open as this node, or this key, may have; close one, or come back later."""

    slug, title = "streams-exhausted", "Too many streams are open"
    retry_after_s = 5.0


class InstanceEnded(FlowError):
    """The instance has another outcome already; nothing changed."""

    kind, slug, title = ErrorKind.CONFLICT, "instance-ended", "Instance has ended"


class BatchNotFound(FlowError):
    """No such act on many instances in the caller's business domain, or it was done too long ago."""

    kind, slug, title = ErrorKind.NOT_FOUND, "batch-not-found", "Act on many instances not found"


class InstanceNotOpen(FlowError):
    """The instance is not in a status in which it can be paused or resumed; nothing changed."""

    kind, slug, title = ErrorKind.CONFLICT, "instance-not-open", "Instance cannot be paused or resumed"


class InstanceNotEnded(FlowError):
    """The instance has not ended: it is run again when it has; cancel it, or wait for its end."""

    kind, slug, title = ErrorKind.CONFLICT, "instance-not-ended", "Instance has not ended"


class NoSuchFile(FlowError):
    """No such file in the caller's business domain."""

    kind, slug, title = ErrorKind.NOT_FOUND, "file-not-found", "File not found"


class InstanceQuarantined(FlowError):
    """Deciding or writing this instance failed again and again; nothing happens to it until the node starts anew."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "instance-quarantined", "Instance is in quarantine"


class IdempotencyKeyReused(FlowError):
    """The Idempotency-Key was used before with another body."""

    kind, slug, title = ErrorKind.INVALID, "idempotency-key-reused", "Idempotency-Key belongs to another request"


class CredentialMissing(FlowError):
    """No credential, or one that is not known, expired or revoked."""

    kind, slug, title = ErrorKind.UNAUTHENTICATED, "unauthenticated", "Credential is missing or not valid"


class NotAllowed(FlowError):
    """The principal lacks the permission that the detail names."""

    kind, slug, title = ErrorKind.FORBIDDEN, "forbidden", "Not allowed"


class QueueFull(Exhausted):
    """A bounded queue is full; nothing was accepted. Try again later."""

    slug, title = "queue-full", "Too much work is waiting"
    retry_after_s = 1.0


class RateLimited(Exhausted):
    """As many requests came within a minute as this key, business domain or address may send; this one did nothing."""

    slug, title = "rate-limited", "Too many requests"


class SignalsFull(Exhausted):
    """As many signals as an instance keeps are unread, of this name or in all; this one was not taken."""

    slug, title = "signals-full", "Too many signals are unread"
    retry_after_s = 5.0


class StoreUnavailable(FlowError):
    """The store gives no connection; nothing happened."""

    kind, slug, title, retryable = ErrorKind.UNAVAILABLE, "store-unavailable", "Store is not available", True
    retry_after_s = 1.0


class StoreFull(FlowError):
    """The store's disk is full; nothing happened, reads go on."""

    kind, slug, title, retryable = ErrorKind.STORAGE_FULL, "store-full", "Store has no space left", True
    retry_after_s = 5.0


class StoreTimeout(FlowError):
    """The store did not answer in time; whether the request happened is not known."""

    kind, slug, title, retryable = ErrorKind.TIMEOUT, "store-timeout", "Store did not answer in time", True


class StoreBroken(FlowError):
    """The store answered with an I/O error or a failed sync; the process must end, recovery decides (R12)."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "store-broken", "Store is broken"


class SchemaMismatch(FlowError):
    """The store's schema is not the one of this release: migrate it, or use the release that made it."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "schema-mismatch", "Store has another schema"


class OutcomeUnknown(FlowError):
    """The connection was lost during the commit: send the request again with its key, or without one look first."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "outcome-unknown", "Outcome is not known"


class NodeStopping(FlowError):
    """This node is stopping and accepts nothing more; try again at once."""

    kind, slug, title, retryable = ErrorKind.UNAVAILABLE, "node-stopping", "Service is stopping", True
    retry_after_s = 1.0


class CommitUnknown(FlowError):
    """Raised by a store's commit: it is neither known to have landed nor known not to (R11). Never shown to callers."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "commit-unknown", "Commit has an unknown fate"


class Fenced(FlowError):
    """Raised by a store: this epoch of these shards is over. Forget their state, never retry (R4)."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "fenced", "Shard has another owner"

    def __init__(self, shards: Sequence[int]) -> None:
        """Name the shards whose fence did not hold; the whole transaction was rolled back."""
        super().__init__(f"shards {list(shards)[:8]} have another owner")
        self.shards = tuple(shards)


class PayloadMissing(FlowError):
    """A value that the journal refers to is not in the store or does not match its hash: quarantine the instance."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "payload-missing", "A stored value cannot be read"
