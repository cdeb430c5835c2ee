"""No attack gets out of any tier that this machine offers; without a sandbox they do (security.md S-21)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import msgspec
import pytest

from core.ports.task_runner import Ran, RunFailed, RunLimits, RunLine, RunRequest
from driven_adapters.sandbox import LocalRunner
from tests.contract.runner.attacks import ATTACKS, Attack
from tests.contract.runner.ground import Ground, left_processes, unconfined
from tests.figures import figure

LIMITS = RunLimits(wall_s=4.0, cpu_s=1.0, memory_mib=128, output_bytes=2**20, log_bytes=64 * 1024, threads=16)
SLACK_S = 4.0  # two shared cores; a run that is not ended lasts for ever
CONTROL_SHARE_MIN = 0.8  # of the programs marked so; a container may hold some by itself


class Machine:
    """A runner of one tier on a loop of its own."""

    def __init__(self, tier: int) -> None:
        self.tier = tier
        self._loop = asyncio.new_event_loop()
        self.runner = LocalRunner(tiers=(tier,))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        self.do(self.runner.__aexit__(None, None, None))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    @property
    def is_offered(self) -> bool:
        return any(offer.tier == self.tier and offer.is_offered for offer in self.runner.offers)

    def run(self, code: str, inputs: Any, on_line: Callable[[RunLine], None]) -> Ran | RunFailed:
        request = RunRequest(
            domain_id="d", mode="pure" if self.tier == 1 else "isolated", code=code, inputs=inputs, limits=LIMITS
        )
        result: Ran | RunFailed = self.do(self.runner.run(request, on_line))
        return result


@pytest.fixture(scope="module", params=[1, 2, 3])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    made = Machine(request.param)
    made.do(made.runner.__aenter__())
    yield made
    made.close()


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with Ground() as made:
        yield made


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_attack_is_held_by_every_tier_that_is_offered(machine: Machine, ground: Ground, attack: Attack) -> None:
    if not machine.is_offered:
        refusal = machine.runner.refusal("pure" if machine.tier == 1 else "isolated")
        assert refusal, "a tier that is missing says so"
        return
    ground.reset()
    spawner_pid = machine.runner.spawner_pid
    lines: list[RunLine] = []
    begun_at = time.perf_counter()
    result = machine.run(attack.code, ground.inputs(), lines.append)
    took_s = time.perf_counter() - begun_at
    told = repr(lines) + (msgspec.json.format(result.output).decode() if isinstance(result, Ran) else result.message)
    assert [] == ground.evidence(told), result
    assert [] == left_processes(machine.runner.ready_processes), result
    assert spawner_pid == machine.runner.spawner_pid, "the process that starts the others is out of reach, too"
    assert took_s < LIMITS.wall_s + SLACK_S, result
    if isinstance(result, RunFailed):
        assert result.tier == machine.tier
        assert result.reason != "unavailable", result
        assert not attack.reasons or result.reason in attack.reasons, result
    else:
        assert not set(attack.reasons) & {"cpu", "wall", "memory", "log", "output"} or machine.tier == 1, result


def test_the_runner_works_as_before_after_every_attack(machine: Machine) -> None:
    if machine.is_offered:
        result = machine.run("def main(n):\n    return n + 1", {"n": 1}, lambda _: None)
        assert isinstance(result, Ran), result
        assert b"2" == bytes(result.output)


def test_most_attacks_succeed_without_a_sandbox(ground: Ground) -> None:
    marked = [attack for attack in ATTACKS if attack.control]
    held = []
    for attack in marked:
        ground.reset()
        program = unconfined(attack.code, ground.inputs())
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=False)
        if not ground.evidence(done.stdout.decode(errors="replace")):
            held.append(f"{attack.name}: {done.stderr.decode(errors='replace')[-200:]}")
    share = 1 - len(held) / len(marked)
    assert figure(
        "S-21 control_escapes_share", share, f">= {CONTROL_SHARE_MIN}", share >= CONTROL_SHARE_MIN, n=len(marked)
    ), held


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(ATTACKS) == len({attack.name for attack in ATTACKS})
    assert figure("S-21 programs_per_tier", len(ATTACKS), ">= 60", len(ATTACKS) >= 60)
