"""The machine: what hypothesis may do to an installation, done to the reference in the same moment, then compared."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.documents import document_of
from tests.model.fronts import Front, Tasks
from tests.model.inline_database import new_folder
from tests.model.reference import ENDED, ActName, Instance, Step, Told
from tests.model.site import Kind, Site

SETTLED_S = 1.0  # each thing done gets so long; the simulated store needs milliseconds
CLEAR_S = 0.4  # nothing is done so near to the moment at which something falls due: either might come first
DAGS_MAX, INSTANCES_MAX = 3, 4
CRASHES_MAX = 5  # the engine gives a task up when 8 of its attempts in a row were lost
RULES_COUNT = 25  # of one history: enough for four instances to end
STEP_IDS = ("a", "b", "c", "d", "e")

PICK_OPEN_MAX = 10  # of 12

_pick = st.integers(0, 11)
_crash_in_s = st.one_of(st.none(), st.sampled_from([0.0, 0.002, 0.005, 0.008, 0.012, 0.02]))


@st.composite
def flat_steps(draw: st.DrawFn) -> tuple[Step, ...]:
    """Draw one list of steps; each may depend on those before it."""
    made: list[Step] = []
    for name in STEP_IDS[: draw(st.integers(1, len(STEP_IDS)))]:
        kind = draw(st.sampled_from(["call", "call", "signal", "signal", "sleep"]))
        bound_s = {"call": draw(st.sampled_from([300.0, 20.0])), "signal": draw(st.sampled_from([None, 30.0]))}
        made.append(
            Step(
                name,
                kind,  # type: ignore[arg-type]  # one of the three
                depends_on=tuple(step.id for step in made if draw(st.booleans())),
                join=draw(
                    st.sampled_from(["all_succeeded", "all_succeeded", "none_failed", "any_succeeded", "all_done"])
                ),
                is_continued=draw(st.booleans()),
                attempts_max=draw(st.integers(1, 3)),
                bound_s=bound_s.get(kind),
                signal=draw(st.sampled_from(["go", "go", "stop"])),
            )
        )
    return tuple(made)


class EngineMachine(RuleBasedStateMachine):
    """One history. Every rule settles, then holds each instance against the reference."""

    kind: ClassVar[Kind] = "simulated"

    def __init__(self) -> None:
        super().__init__()
        self._end = contextlib.ExitStack()
        self.site: Site | None = None
        self.dags: list[tuple[str, tuple[Step, ...]]] = []
        self.ids: list[str] = []
        self.models: list[Instance] = []
        self._keys = 0

    @initialize(steps=flat_steps(), seed=st.integers(0, 1000))
    def open(self, steps: tuple[Step, ...], seed: int) -> None:
        self.site = Site(self.kind, self._end.enter_context(new_folder()), seed)
        self.create(steps)
        self.start(0, None)

    @precondition(lambda self: len(self.dags) < DAGS_MAX)
    @rule(steps=flat_steps())
    def create(self, steps: tuple[Step, ...]) -> None:
        title = f"DAG {len(self.dags)}"
        self.dags.append((self._site.ask(lambda front: front.create(document_of(title, steps))), steps))

    @rule(which=_pick, steps=flat_steps())
    def edit(self, which: int, steps: tuple[Step, ...]) -> None:
        which %= len(self.dags)
        dag_id, title = self.dags[which][0], f"DAG {which}"
        self._site.ask(lambda front: front.publish(dag_id, document_of(title, steps)))
        self.dags[which] = (dag_id, steps)
        self._compare()  # what was started before keeps its version

    @precondition(lambda self: len(self.models) < INSTANCES_MAX)
    @rule(which=_pick, crash_in_s=_crash_in_s)
    def start(self, which: int, crash_in_s: float | None) -> None:
        crash_in_s = self._allowed(crash_in_s)
        dag_id, steps = self.dags[which % len(self.dags)]
        number, key = len(self.ids) + 1, self._key()
        began = self._begin()
        self.ids.append(self._site.ask(lambda front: front.start(dag_id, number, key), crash_in_s))
        self._settle(began, lambda models: models.append(Instance(steps, began)), crash_in_s)

    @rule(which=_pick, what=st.sampled_from(["pause", "pause", "resume"]), crash_in_s=_crash_in_s)
    def hold(self, which: int, what: Told, crash_in_s: float | None) -> None:
        self._command(
            which, lambda model, now: model.tell(what, now), lambda one: lambda f: f.tell(one, what), crash_in_s
        )

    @precondition(lambda self: any(model.is_paused for model in self.models))
    @rule(crash_in_s=_crash_in_s)
    def resume(self, crash_in_s: float | None) -> None:
        paused = next(number for number, model in enumerate(self.models) if model.is_paused)
        self._command(
            None, lambda m, now: m.tell("resume", now), lambda one: lambda f: f.tell(one, "resume"), crash_in_s, paused
        )

    @precondition(lambda self: len(self.models) > 1)  # one that ends at once shows little
    @rule(which=_pick, what=st.sampled_from(["cancel", "cancel", "terminate"]), crash_in_s=_crash_in_s)
    def end(self, which: int, what: Told, crash_in_s: float | None) -> None:
        self._command(
            which, lambda model, now: model.tell(what, now), lambda one: lambda f: f.tell(one, what), crash_in_s
        )

    @rule(
        which=_pick, act=st.sampled_from(["skip", "complete", "fail", "retry"]), step=_pick, crash_in_s=_crash_in_s
    )  # fmt: skip
    def act(self, which: int, act: ActName, step: int, crash_in_s: float | None) -> None:
        which = self._chosen(which)
        steps = list(self.models[which].steps)
        path = steps[step % len(steps)]
        self._command(
            None, lambda m, now: m.act(act, path, now), lambda one: lambda f: f.act(one, act, path), crash_in_s, which
        )

    @rule(which=_pick, name=st.sampled_from(["go", "go", "stop"]), crash_in_s=_crash_in_s)
    def signal(self, which: int, name: str, crash_in_s: float | None) -> None:
        key = self._key()
        self._command(
            which,
            lambda model, now: model.signal(name, now),
            lambda one: lambda f: f.signal(one, name, key),
            crash_in_s,
        )

    @precondition(lambda self: bool(self._running()))
    @rule(which=_pick, is_fine=st.booleans(), crash_in_s=_crash_in_s)
    def answer(self, which: int, is_fine: bool, crash_in_s: float | None) -> None:
        crash_in_s = self._allowed(crash_in_s)
        began = self._begin()
        running = self._running()
        if not running:
            return  # its own bound was over first
        number, step = running[which % len(running)]
        self._site.answer((number, step), is_fine=is_fine, crash_in_s=crash_in_s)
        self._settle(
            began, lambda models: models[number - 1].answer(step, is_fine=is_fine, now=began), crash_in_s, is_lossy=True
        )

    @rule(seconds=st.sampled_from([1, 4, 6, 11, 21, 31]))
    def pass_time(self, seconds: int) -> None:
        self._begin()
        self._site.pass_s(seconds)
        self._compare()

    @precondition(lambda self: self._site.crashes < CRASHES_MAX)
    @rule()
    def crash(self) -> None:
        began = self._begin()
        self._site.crash()
        self._settle(began, lambda models: _crash(models, began), None)

    def teardown(self) -> None:
        with self._end:
            if self.site is not None:
                try:
                    assert [] == self.site.violations()
                finally:
                    self.site.close()

    @property
    def _site(self) -> Site:
        assert self.site is not None
        return self.site

    def _key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    def _allowed(self, crash_in_s: float | None) -> float | None:
        return crash_in_s if self._site.crashes < CRASHES_MAX else None

    def _running(self) -> list[tuple[int, str]]:
        return [
            (number, step)
            for number, model in enumerate(self.models, 1)
            for step, task in model.tasks.items()
            if task.status == "running" and model.status not in ENDED
        ]

    def _chosen(self, pick: int) -> int:
        """Choose an instance, mostly one that has not ended."""
        is_open = [number for number, model in enumerate(self.models) if model.status not in ENDED]
        among = is_open if is_open and pick < PICK_OPEN_MAX else list(range(len(self.models)))
        return among[pick % len(among)]

    def _begin(self) -> float:
        """Wait until nothing falls due near to now; gives now."""
        self._pass()
        while any(model.is_near_due(self._site.now, CLEAR_S) for model in self.models):
            self._site.pass_s(CLEAR_S)
            self._pass()
        return self._site.now

    def _command(
        self,
        pick: int | None,
        expect: Callable[[Instance, float], str],
        call_of: Callable[[str], Callable[[Front], Any]],
        crash_in_s: float | None,
        chosen: int = 0,
    ) -> None:
        """Ask an instance something: the chosen one, or one by a pick."""
        crash_in_s = self._allowed(crash_in_s)
        which = chosen if pick is None else self._chosen(pick)
        began = self._begin()
        word = self._site.ask(call_of(self.ids[which]), crash_in_s)
        expected = expect(copy.deepcopy(self.models[which]), began)
        # Asked again after a crash, it may find itself done.
        repeated = () if crash_in_s is None else ("refused", "ended")
        assert word in (expected, *repeated), f"expected {expected}, got {word}"
        self._settle(began, lambda models: expect(models[which], began), crash_in_s)

    def _settle(
        self, began: float, do: Callable[[list[Instance]], Any], crash_in_s: float | None, *, is_lossy: bool = False
    ) -> None:
        """Do the same to the reference, and compare when it has come to its end.

        With a crash in its midst it was done before that or after it, or, `is_lossy`, not at all.
        """
        self._site.pass_s(max(0.0, began + SETTLED_S - self._site.now))
        if crash_in_s is None:
            do(self.models)
            self._compare()
            return
        before = copy.deepcopy(self.models)
        after = copy.deepcopy(self.models)
        do(before)
        _crash(before, began)
        _crash(after, began)
        if not is_lossy:
            do(after)
        self.models = after
        if self._differences():
            self.models = before
            self._compare()

    def _pass(self) -> None:
        for model in self.models:
            model.pass_until(self._site.now)

    def _compare(self) -> None:
        found = self._differences()
        if found:
            raise AssertionError("\n".join(found))

    def _differences(self) -> list[str]:
        self._begin()
        found: list[str] = []
        for number, (one, model) in enumerate(zip(self.ids, self.models, strict=True), 1):
            status, tasks = self._site.ask(functools.partial(_read, one))
            expected = {step: (task.status, task.calls) for step, task in model.tasks.items()}
            if (model.status, expected) != (status, tasks):
                found.append(f"instance {number}: expected {model.status} {expected}, got {status} {tasks}")
        if sorted(self._site.target.open) != self._running():
            found.append(f"expected calls {self._running()}, open are {sorted(self._site.target.open)}")
        return found


async def _read(instance_id: str, front: Front) -> tuple[str, Tasks]:
    return await front.read(instance_id)


def _crash(models: list[Instance], now: float) -> None:
    for model in models:
        model.crash(now)


def run_histories(kind_of_site: Kind, count: int, *, is_shrunk: bool) -> int:
    """Run so many histories, the same ones every time; gives in how many of them something was compared.

    Args:
        kind_of_site: over which installation. count: of histories.
        is_shrunk: make one that fails as short as it can be, which takes minutes; else it is shown as it was drawn.

    Raises:
        AssertionError: engine and reference differ; its notes are the history.
    """

    opened = [0]

    class Machine(EngineMachine):
        kind = kind_of_site

        def teardown(self) -> None:
            opened[0] += self.site is not None
            super().teardown()

    phases = (Phase.generate, Phase.shrink) if is_shrunk else (Phase.generate,)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=count, stateful_step_count=RULES_COUNT, phases=phases, derandomize=True, database=None,
            deadline=None, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    return opened[0]
