"""What the engine node is told, asks for and answers: its settings, the values at its border, and who it calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from core.dag.callee import Callee
from core.dag.plan import Plan
from core.engine.lending import Rerun
from core.engine.state import Header, InstanceStatus
from core.engine.stimuli import Start
from core.executor.operator import Outcome
from core.executor.pipeline import AttemptRequest
from core.executor.retry_budget import RETRY_RESERVE_PER_S_DEFAULT, RETRY_SHARE_DEFAULT
from core.ports.instance_store import InstanceRow, StartKey

WAITING_MAX = 10_000  # instances that wait for a place: some 7 KB each, and a minute's work of a node that is not slow


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one engine node runs.

    Attributes:
        node_id: new for every process start (R2); names the node's lease.
        attempts_max: attempts at once; other tasks stay ready (engine.md 2).
        lease_ttl_s, renew_s, lease_margin_s: R5; the margin is what a blocked event loop may cost.
        inbox_poll_s: the safety net under lost wake-up hints.
        inputs_max: accepted and not yet answered; above it a request is refused before acceptance (R33).
        waiting_max: instances that wait for a place; above it no other one is started (R33).
        hot_instances_max: kept in memory; idle ones above it leave completely (engine.md 5).
        waiters_max: callers that wait for an end at once.
        grace_s: what running attempts get when the node stops (R30).
        retry_reserve_per_s, retry_share: retries of a business domain per second, and per first call (R25).
    """

    node_id: str
    attempts_max: int = 512
    lease_ttl_s: float = 3.0
    renew_s: float = 0.75
    lease_margin_s: float = 0.5
    inbox_poll_s: float = 0.25
    inputs_max: int = 10_000
    waiting_max: int = WAITING_MAX
    hot_instances_max: int = 4_096
    waiters_max: int = 10_000
    grace_s: float = 25.0
    retry_reserve_per_s: float = RETRY_RESERVE_PER_S_DEFAULT
    retry_share: float = RETRY_SHARE_DEFAULT


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A start that was checked: `inputs` is complete (S45), `trigger` is JSON, `labels` are rendered, `id` a new ULID.

    `start_key`, if any, names this `id`; a repeat of it answers the first instance (R16). `rerun` says what of an
    ended instance is taken over. `priority` is the start's own, None = the DAG's.
    """

    plan: Plan
    id: str
    domain_id: str
    start_key: StartKey | None
    inputs: Any
    trigger: bytes
    created_at: datetime
    labels: dict[str, str] | None = None
    rerun: Rerun | None = None
    priority: int | None = None

    def stimulus(self) -> Start:
        """Give what is decided first."""
        plan = self.plan
        return Start(
            id=self.id,
            domain_id=self.domain_id,
            dag_id=plan.dag_id,
            dag_hash=plan.content_hash,
            dag_version=plan.version,
            created_at=self.created_at,
            inputs=self.inputs,
            trigger=self.trigger,
            labels=self.labels,
            rerun=self.rerun,
            priority=self.priority,
        )


class Ended(msgspec.Struct, frozen=True):
    """An instance that has ended, durably; its row and header when the node had them in its hands."""

    status: InstanceStatus
    row: InstanceRow | None = None
    header: Header | None = None


class Started(msgspec.Struct, frozen=True):
    """A durable start. `is_repeat`: the key was used before, and this is the first instance."""

    instance_id: str
    is_repeat: bool
    status: InstanceStatus


class NodeStats(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of this moment, and counts since the start of the process (`_count`)."""

    queued_inputs: int
    hot_instances: int
    open_attempts: int
    waiting_instances: int
    owned_shards: int
    waiters: int
    value_bytes: int
    commit_count: int
    committed_item_count: int
    refused_item_count: int
    unknown_commit_count: int
    fenced_count: int
    late_result_count: int
    quarantined_instances: int
    permit_wait_count: int
    permit_grant_count: int
    put_off_retry_count: int


class PlanSource(Protocol):
    """Where compiled DAG versions come from; cached by whoever gives them."""

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        """Give the plan of the version that an instance is pinned to.

        Raises:
            DagNotFound: this store has no such version.
        """
        ...


class CalleeSource(Protocol):
    """Where calls find DAGs."""

    async def find(self, domain_id: str, dag: str, version: str | None) -> Callee | None:
        """Find a DAG by id or title in one business domain; None = it is not there, or not in that version.

        Raises:
            StoreUnavailable, StoreTimeout: it could not be looked up.
        """
        ...


class NoCallees:
    """Finds no DAG: of nodes on which nothing is called."""

    async def find(self, domain_id: str, dag: str, version: str | None) -> Callee | None:
        """Find nothing."""
        del domain_id, dag, version
        return None


class AttemptRunner(Protocol):
    """Makes attempts; no exception leaves but a cancellation."""

    async def run(self, request: AttemptRequest) -> Outcome:
        """Make one attempt."""
        ...


class NodeObserver(Protocol):
    """Who is told what the node did: metrics, the log, and tests at named points."""

    def committed(self, item_count: int, duration_s: float) -> None:
        """Hear of a group commit that landed."""
        ...

    def refused(self, instance_id: str, reason: str, detail: str) -> None:
        """Hear of an item that the store took out of its batch."""
        ...

    def fenced(self, shards: tuple[int, ...]) -> None:
        """Hear of shards that were lost, or given up since the lease was over; not of those handed over at a stop."""
        ...

    def quarantined(self, instance_id: str, fault: BaseException | None) -> None:
        """Hear of an instance that cannot go on; others run on."""
        ...

    def failed_input(self, instance_id: str, fault: BaseException) -> None:
        """Hear of an input that was dropped since deciding it raised: a bug."""
        ...

    def instance_ended(self, dag_id: str, status: InstanceStatus) -> None:
        """Hear of an instance that ended, after its commit."""
        ...

    def attempt_ended(
        self, operator: str, result: Literal["succeeded", "failed", "cancelled"], duration_s: float
    ) -> None:
        """Hear of an attempt that ended in this process."""
        ...

    def attempts_lost(self, count: int) -> None:
        """Hear of attempts of older epochs whose outcome will never be known."""
        ...

    def late_result(self) -> None:
        """Hear of an outcome that no longer counted (R23)."""
        ...

    def point(self, name: str) -> None:
        """Pass a named point (T-01); a test may raise or note it."""
        ...


class SilentObserver:
    """Hears everything and does nothing."""

    def committed(self, item_count: int, duration_s: float) -> None:
        """Ignore it."""

    def refused(self, instance_id: str, reason: str, detail: str) -> None:
        """Ignore it."""

    def fenced(self, shards: tuple[int, ...]) -> None:
        """Ignore it."""

    def quarantined(self, instance_id: str, fault: BaseException | None) -> None:
        """Ignore it."""

    def failed_input(self, instance_id: str, fault: BaseException) -> None:
        """Ignore it."""

    def instance_ended(self, dag_id: str, status: InstanceStatus) -> None:
        """Ignore it."""

    def attempt_ended(
        self, operator: str, result: Literal["succeeded", "failed", "cancelled"], duration_s: float
    ) -> None:
        """Ignore it."""

    def attempts_lost(self, count: int) -> None:
        """Ignore it."""

    def late_result(self) -> None:
        """Ignore it."""

    def point(self, name: str) -> None:
        """Ignore it."""
