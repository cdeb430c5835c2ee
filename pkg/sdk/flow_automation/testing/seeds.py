"""One DAG over many seeds: drawn answers and faults, and for each seed what became of it and whether all holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from core.dag.catalog import OperatorSpec
from core.errors import FlowError
from core.executor.operator import Failed, Outcome, Succeeded
from core.executor.registry import AnyOperator
from flow_automation.policy import ErrorKind
from flow_automation.testing.call_book import CallRecord
from flow_automation.testing.catalog import HARMLESS
from flow_automation.testing.chance import derived
from flow_automation.testing.faults import NO_FAULTS, Faults
from flow_automation.testing.instance import SimulatedInstance
from flow_automation.testing.plans import Document
from flow_automation.testing.sample import sample_of
from flow_automation.testing.script import Script
from flow_automation.testing.simulation import RUN_DAYS_MAX, NotEndedError, Simulation
from flow_automation.testing.trace_files import EngineBrokenError
from flow_automation.testing.virtual_loop import DeadlockError, EndlessError

STEPS_MAX = 5_000_000  # of the loop, per seed: far above what a DAG of a thousand tasks takes
CALL_S_MAX = 2.0  # how long a call takes at most, drawn: calls overlap, and end in another order with each seed
ANY_STEP = "*"
SAMPLES: dict[str, Any] = {"@http/request": {"status": 200, "headers": {}, "body": None}}
_UNDER_WAY = ("ready", "running", "retrying")
_FOR_OTHERS = ("waiting", "unknown")

Fate = Literal["succeeded", "failed", "cancelled", "waits", "stuck", "broken"]


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What the other sides answer. Steps are named by id or by the whole path of a task; `*` is every step.

    Attributes:
        outputs: of calls, by step; absent = the plainest value that fits the operator's output schema.
        failing: share of calls that fail, 0 to 1, and the kind of error, by step.
        signals: data by name; each is sent once, right after the start, and kept until a wait takes it.
    """

    outputs: Mapping[str, Any] = {}
    failing: Mapping[str, tuple[float, ErrorKind]] = {}
    signals: Mapping[str, Any] = {}


NO_ANSWERS = Answers()


class SeedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one seed.

    Attributes:
        fate: how the instance ended; `waits` = nothing is under way, and what it waits for nobody sends here; `stuck` =
            it neither ended nor waits; `broken` = an invariant does not hold.
        error: of the instance, JSON. open_tasks: `path is status`, when it has not ended. faults: what does not hold.
        virtual_s: how much time passed. calls, commits, crashes, lost_answers: how many there were.
        trace: the trace file as bytes, of what is stuck or broken and can be read.
    """

    seed: int
    fate: Fate
    error: Any = None
    open_tasks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    virtual_s: float
    calls: int
    commits: int
    crashes: int
    lost_answers: int
    trace: bytes | None = None

    @property
    def is_fine(self) -> bool:
        """Say whether everything holds that must: an instance that failed may be fine."""
        return self.fate not in ("stuck", "broken")


def run_seeds(
    dag: Document,
    inputs: Any = None,
    *,
    seeds: Iterable[int],
    faults: Faults = NO_FAULTS,
    answers: Answers = NO_ANSWERS,
    operators: Iterable[AnyOperator] = (),
    within_days: float = RUN_DAYS_MAX,
) -> Iterator[SeedRun]:
    """Run an instance once per seed, each in an installation of its own; no operator reaches outside.

    Args:
        dag: as `Simulation.run` takes it. inputs: likewise.
        seeds: one run each. faults: their shares. answers: of operators that are called.
        operators: third-party ones that the DAG uses; they are not called, only answered for.
        within_days: virtual time after which an instance counts as stuck, or waiting.

    Raises:
        DagInvalid, DagUndecodable, InputInvalid: with the first seed.
    """
    given = tuple(operators)
    for seed in seeds:
        simulation = Simulation(seed=seed, faults=faults, operators=given, steps_max=STEPS_MAX)
        with contextlib.closing(simulation):
            for spec in simulation.operators:
                simulation.play(DrawnAnswers(spec, seed, answers))
            yield _run(simulation, dag, inputs, answers, within_days)


class DrawnAnswers(Script):
    """Answers of every call of one operator, each drawn from seed, task and attempt alone: no order changes it."""

    def __init__(self, spec: OperatorSpec, seed: int, answers: Answers) -> None:
        super().__init__(spec.name)
        self._is_harmless = spec.name in HARMLESS
        self._sample = SAMPLES.get(spec.name, sample_of(spec.output))
        self._seed = seed
        self._given = answers

    def fits(self, call: CallRecord) -> bool:
        """Say whether this is for a call; what reaches nothing runs as it is, unless something was said of its step."""
        is_named = any(_of_step(given, call, None) is not None for given in (self._given.outputs, self._given.failing))
        return super().fits(call) and (is_named or not self._is_harmless)

    async def answer(self, call: CallRecord, calls_before: int) -> Outcome:
        """Let a drawn time pass, then succeed or fail."""
        chance = derived(self._seed, "answer", call.path, calls_before)
        await asyncio.sleep(chance.uniform(0.0, CALL_S_MAX))
        share, kind = _of_step(self._given.failing, call, (0.0, "unavailable"))
        if chance.random() < share:
            return Failed(error_kind=kind, message=f"drawn: {share:g} of the calls of {call.step} fail")
        return Succeeded(_of_step(self._given.outputs, call, self._sample))


def _of_step(given: Mapping[str, Any], call: CallRecord, default: Any) -> Any:
    for name in (call.path, call.step, ANY_STEP):
        if name in given:
            return given[name]
    return default


def _run(simulation: Simulation, dag: Document, inputs: Any, answers: Answers, within_days: float) -> SeedRun:
    instance: SimulatedInstance | None = None
    try:
        instance = simulation.start(dag, inputs)
        for name, data in answers.signals.items():
            instance.send_signal(name, data)
        simulation.finish(instance, within_days=within_days)
    except NotEndedError:
        return _told(simulation, instance, None)
    except (EndlessError, DeadlockError) as fault:
        return _told(simulation, None, "stuck", (str(fault),))
    except EngineBrokenError as fault:
        return _told(simulation, None, "broken", (str(fault), *simulation.faults))
    return _told(simulation, instance, instance.status)


def _told(
    simulation: Simulation, instance: SimulatedInstance | None, fate: Any, found: tuple[str, ...] = ()
) -> SeedRun:
    """Say what became of it; `fate` None = it has not ended, `instance` None = it cannot be asked any more."""
    faults = found or tuple(simulation.faults)
    tasks = {} if instance is None else {path: task["status"] for path, task in instance.tasks.items()}
    is_waiting = any(status in _FOR_OTHERS for status in tasks.values())
    is_waiting = is_waiting and not any(status in _UNDER_WAY for status in tasks.values())
    fate = fate or ("waits" if is_waiting else "stuck")
    fate = "broken" if faults and fate != "stuck" else fate
    return SeedRun(
        seed=simulation.seed,
        fate=fate,
        error=None if instance is None else instance.error,
        open_tasks=tuple(f"{path} is {one}" for path, one in tasks.items() if one in (*_UNDER_WAY, *_FOR_OTHERS)),
        faults=faults,
        virtual_s=simulation.elapsed_s,
        calls=len(simulation.calls),
        commits=simulation.commit_count,
        crashes=simulation.crash_count,
        lost_answers=simulation.lost_answer_count,
        trace=_trace(simulation, instance) if fate in ("stuck", "broken") else None,
    )


def _trace(simulation: Simulation, instance: SimulatedInstance | None) -> bytes | None:
    if instance is None:
        return None
    with contextlib.suppress(FlowError, EngineBrokenError):  # what broke may be that nothing can be read
        return simulation.read_trace(instance.id)
    return None
