"""A whole installation in one Python object: the production engine on a memory store, virtual time and scripts."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from core.dag.catalog import OperatorSpec
from core.engine.inputs import completed
from core.engine.origin import MANUAL_TRIGGER, labels_of_start
from core.engine.stimuli import Cancel
from core.engine.views import InstanceView, TaskView
from core.errors import InputInvalid
from core.executor.operator import Call
from core.executor.registry import AnyOperator
from core.ports.task_log import TaskLogLine
from driven_adapters.memory import (
    MemoryInstanceViews,
    MemoryObjectNotes,
    MemoryOutputCache,
    MemoryPermitStore,
    MemoryShardStore,
    MemoryStore,
)
from driven_adapters.object_store import MemoryObjectStore
from flow_automation.testing.answers import Answers
from flow_automation.testing.call_book import CallBook, CallRecord
from flow_automation.testing.catalog import scripted_registry
from flow_automation.testing.chance import derived
from flow_automation.testing.engine_process import EngineProcess
from flow_automation.testing.faults import NO_FAULTS, Faults
from flow_automation.testing.instance import SimulatedInstance
from flow_automation.testing.journal_store import AnswerFate, AuditedStore
from flow_automation.testing.plans import Document, DocumentPlans
from flow_automation.testing.reading import DOMAIN_ID, InstanceReader
from flow_automation.testing.repeating_client import RepeatingClient
from flow_automation.testing.script import Script
from flow_automation.testing.sources import SimClock
from flow_automation.testing.trace_files import EngineBrokenError, write_failing_traces
from flow_automation.testing.virtual_loop import SimLoop

T = TypeVar("T")
SHARD_COUNT = 4  # one would do; several find what mixes them up
RUN_DAYS_MAX = 366.0  # a run that has not ended after a year of virtual time waits for something that never comes
STEPS_MAX = 300_000_000  # of the loop in all: a map of 100 000 items takes some ten million
LOG_LINES_COUNT_MAX = 100_000


class NotEndedError(AssertionError):
    """An instance had not ended in the time given; the message names the tasks that are open."""


class Simulation:
    """Runs DAGs in this process, in virtual time: a retry in a month takes milliseconds.

    The engine, the language and the operators that compute are the product's own. Operators that reach outside
    answer as `when` says. The same seed gives the same run; faults come by seed or where they are told.

    ```python
    with Simulation(seed=7) as simulation:
        simulation.when("@http/request").at("fetch").fails("unavailable").returns(http_answer({"rows": []}))
        simulation.run(Path("examples/sync.yaml")).assert_succeeded()
        simulation.assert_no_double_effects()
    ```
    """

    def __init__(
        self, *, seed: int = 1, faults: Faults = NO_FAULTS, operators: Iterable[AnyOperator] = (),
        steps_max: int = STEPS_MAX,
    ) -> None:  # fmt: skip
        """Start the engine.

        Args:
            seed: of ids, jitter, the order of what happens at once, and faults.
            faults: crashes, lost answers and doubled outcomes.
            operators: third-party operators that the DAGs use.
            steps_max: of the loop in all; more is an `EndlessError`.

        Raises:
            OperatorRefused: an operator breaks the contract.
        """
        self.seed = seed
        self.log: list[TaskLogLine] = []
        self._faults = faults
        self._loop = SimLoop(seed, steps_max=steps_max)
        self._clock = SimClock(self._loop)
        self._chance = derived(seed, "crashes")
        self._crashes = 0
        self._restarts: set[asyncio.Task[None]] = set()
        self._scripts: list[Script] = []
        self._landed = asyncio.Event()
        self._up = asyncio.Event()
        self._broken: BaseException | None = None
        self._rows = MemoryStore(self._clock, shard_count=SHARD_COUNT)
        self._store = AuditedStore(
            self._rows,
            plan_of=lambda digest: self._plans.by_hash[digest],
            is_killed=self._is_killed,
            fate_of=self._draw_fate,
            on_landed=self._landed.set,
        )
        self._shards = MemoryShardStore(self._rows)
        self._objects = MemoryObjectStore(self._clock)
        views = MemoryInstanceViews(self._rows)
        self._reader = InstanceReader(views, self._objects, lambda digest: self._plans.by_hash[digest])
        self._book = CallBook(self._store.is_started, self._store.has_ended)
        given = list(operators)
        self._registry = scripted_registry(
            self._clock, given, scripts=self._scripts, book=self._book, record=self._record, write_log=self._write,
        )  # fmt: skip
        self._plans = DocumentPlans(self._registry, is_shipped=not given)
        self._client = RepeatingClient(self._clock, self._up, lambda: self._process)
        self._answers = Answers(self._client, views, self._plans)
        self._start_numbers = itertools.count(1)
        self._process_count = 0
        self._process = self._new_process()
        self._do(self._boot())

    def __enter__(self) -> Self:
        """Give the simulation."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; after a failure trace files of what did not succeed are written, and named with the failure."""
        if isinstance(raised, Exception):
            for file in write_failing_traces(self._store, self.read_trace):
                raised.add_note(f"seed {self.seed}: flow replay {file}")
        self.close()

    def close(self) -> None:
        """End everything; nothing of it can be asked afterwards."""
        self._loop.close()

    # What a test scripts and starts

    def when(self, operator: str) -> Script:
        """Begin the script of an operator that is called as an attempt."""
        return self.play(Script(operator))

    def play(self, script: Script) -> Script:
        """Let a script answer, which may be of a class of its own."""
        self._scripts.append(script)
        return script

    def offer(self, dag: Document) -> None:
        """Let calls find a DAG by its title, as they find those that were started.

        Raises:
            DagInvalid, DagUndecodable: every fault of the document.
        """
        self._plans.plan_of(dag)

    @property
    def operators(self) -> list[OperatorSpec]:
        """The operators that a script can answer for."""
        return [spec for spec in self._registry.catalog.values() if spec.kind == "attempt"]

    def start(self, dag: Document, inputs: Any = None) -> SimulatedInstance:
        """Start an instance; when this returns its start is durable and nothing else need have happened.

        Args:
            dag: a builder's DAG, a document as a value or text (YAML, or JSON from `{` on), or a file's path.
            inputs: a JSON value, `{}` by default; defaults of the schema are filled in.

        Raises:
            DagInvalid, DagUndecodable: every fault of the document. InputInvalid: every fault of the inputs, or of what
                the DAG's labels give with them.
        """
        plan = self._plans.plan_of(dag)
        try:
            complete = completed(plan, {} if inputs is None else inputs)
        except InputInvalid as refused:
            refused.add_note(str(refused.faults))  # a failed test shows it
            raise
        labels = labels_of_start(plan, {}, inputs=complete, trigger=MANUAL_TRIGGER, now=self._clock.now())
        key = f"start {next(self._start_numbers)}"
        return SimulatedInstance(self, self._do(self._client.submit(plan, complete, labels, key)), self._tell)

    def run(self, dag: Document, inputs: Any = None, *, within_days: float = RUN_DAYS_MAX) -> SimulatedInstance:
        """Start an instance and let virtual time pass until it has ended.

        Raises:
            NotEndedError: it has not after so many days. Else as `start`.
        """
        instance = self.start(dag, inputs)
        self.finish(instance, within_days=within_days)
        return instance

    def finish(self, instance: SimulatedInstance, *, within_days: float = RUN_DAYS_MAX) -> None:
        """Let virtual time pass until an instance has ended.

        Raises:
            NotEndedError: it has not after so many days.
        """
        self._do(self._until_ended(instance, within_days))

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let so much virtual time pass; everything that falls due happens."""
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._do(asyncio.sleep(span.total_seconds()))

    def crash(self) -> None:
        """Kill the process as kill -9 does, now; this waits until it is started again, after `Faults.restart_s`."""
        self._kill()
        self._do(self._up.wait())

    def cancel(self, instance_id: str, reason: str) -> None:
        """Cancel an instance with grace."""
        self._do(self._client.command(DOMAIN_ID, instance_id, Cancel(reason)))

    # What a test looks at

    @property
    def now(self) -> datetime:
        """Virtual time, aware UTC."""
        return self._clock.now()

    @property
    def elapsed_s(self) -> float:
        """Virtual seconds since the start."""
        return self._loop.time()

    @property
    def calls(self) -> list[CallRecord]:
        """Every call of an operator, in order."""
        return list(self._book.calls)

    @property
    def commit_count(self) -> int:
        """Commits that the engine asked for so far."""
        return self._store.commit_count

    @property
    def crash_count(self) -> int:
        """How often the process was killed so far."""
        return self._crashes

    @property
    def lost_answer_count(self) -> int:
        """How many commits' answers were lost so far."""
        return self._store.lost_answer_count

    @property
    def faults(self) -> list[str]:
        """What `assert_no_double_effects` would fail with."""
        return [*self._book.faults, *self._store.violations]

    def assert_no_double_effects(self) -> None:
        """Fail when a receiver that minds idempotency keys could have seen an effect twice, or the journal is wrong.

        Looks at every call (one key per task and one task per key, each attempt called at most once, never before its
        start is durable, never after its task ended) and at the audit of every commit: one result per task, no
        transition outside the table, nothing after the end, no gap.
        """
        found = self.faults
        if found:
            raise AssertionError(f"seed {self.seed}: {len(found)} faults: " + "; ".join(found[:10]))

    def read_instance(self, instance_id: str) -> InstanceView:
        """Read an instance as it is stored.

        Raises:
            InstanceNotFound: this simulation has none of that id.
        """
        return self._do(self._reader.instance(instance_id))

    def read_tasks(self, instance_id: str) -> list[TaskView]:
        """Read every task that was entered."""
        return self._do(self._reader.tasks(instance_id))

    def read_events(self, instance_id: str) -> list[dict[str, Any]]:
        """Read the journal as people see it."""
        return self._do(self._reader.events(instance_id))

    def read_trace(self, instance_id: str) -> bytes:
        """Give an instance as a trace file.

        Raises:
            InstanceNotFound: this simulation has none of that id. HistoryTooLong: its journal is too long for a file.
        """
        audit = self._store.audits.get(instance_id)
        document = None if audit is None else self._plans.documents.get(audit.plan.content_hash)
        return self._do(self._reader.trace(instance_id, document, {"seed": str(self.seed)}))

    # How it works

    def _tell(self, said: Callable[[Answers], Coroutine[Any, Any, None]]) -> None:
        """Let somebody outside say something to an instance, which has a verb for each."""
        self._do(said(self._answers))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the loop until the work is done."""
        try:
            result = self._loop.run_until_complete(work)
        except RuntimeError:
            if self._broken is None:  # else the loop was stopped by what broke
                raise
            raise EngineBrokenError(f"seed {self.seed}: {self._broken!r}") from self._broken
        if self._loop.surprises:
            raise EngineBrokenError(f"seed {self.seed}: a task died unnoticed: {self._loop.surprises[0]}")
        return result

    def _record(self, call: Call, operator: str) -> CallRecord:
        return CallRecord(
            instance_id=call.instance_id,
            operator=operator,
            path=call.task_path,
            step=call.task_path.rpartition(".")[2],
            attempt=call.attempt,
            key=call.idempotency_key,
            parameters=call.parameters,
            at=self._clock.now(),
        )

    def _write(self, line: TaskLogLine) -> None:
        if len(self.log) < LOG_LINES_COUNT_MAX:
            self.log.append(line)

    def _new_process(self) -> EngineProcess:
        self._process_count += 1
        return EngineProcess(
            self._loop, self._process_count, seed=self.seed, faults=self._faults, shards=self._shards,
            store=self._store, notes=MemoryObjectNotes(self._rows), objects=self._objects,
            outputs=MemoryOutputCache(self._rows), permits=MemoryPermitStore(self._rows), plans=self._plans,
            registry=self._registry, on_fatal=self._break,
        )  # fmt: skip

    def _break(self, fault: BaseException) -> None:
        self._broken = fault
        self._loop.stop()

    async def _boot(self) -> None:
        await self._process.process.call(self._process.engine.start())
        self._up.set()

    def _is_killed(self, point: str, number: int) -> bool:
        faults = self._faults
        is_told = f"{point}:{number}" in faults.crash_at
        # Half of a commit's share before it, half after.
        is_drawn = self._crashes < faults.crashes_max and self._chance.random() < faults.crash_share / 2
        if is_told or (faults.crash_share > 0 and is_drawn):
            self._kill()
            return True
        return False

    def _draw_fate(self) -> AnswerFate:
        share = self._faults.lost_answer_share
        if (
            not share
            or self._store.lost_answer_count >= self._faults.lost_answers_max
            or self._chance.random() >= share
        ):
            return "given"
        return "lost" if self._chance.random() < 0.5 else "never landed"

    def _kill(self) -> None:
        self._crashes += 1
        self._up.clear()
        self._process.process.kill()
        self._loop.call_world(self._faults.restart_s, self._restart)

    def _restart(self) -> None:
        task = self._loop.create_task(self._take_over())
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _take_over(self) -> None:
        """Start the next process; the lease of a process that is known to be dead is over."""
        for node in await self._shards.living_nodes():
            await self._shards.renew(node, 0.0)
        self._process = self._new_process()
        await self._boot()

    async def _until_ended(self, instance: SimulatedInstance, within_days: float) -> None:
        deadline_at = self._loop.time() + timedelta(days=within_days).total_seconds()
        while (left_s := deadline_at - self._loop.time()) > 0:
            self._landed.clear()
            if self._store.status(instance.id).is_terminal:
                return
            try:
                await asyncio.wait_for(self._landed.wait(), left_s)
            except TimeoutError:
                break
        views = await self._reader.tasks(instance.id)
        still = [f"{view.path} is {view.status}" for view in views if view.status in ("ready", "running", "retrying")]
        raise NotEndedError(f"instance {instance.id} has not ended after {within_days:g} days: {', '.join(still)}")
