"""The process that starts the others: what becomes of runs when it, or the engine, is killed."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.ports.task_runner import Ran, RunFailed, RunRequest
from driven_adapters.sandbox import LocalRunner
from driven_adapters.sandbox.interpreter import find_interpreter
from driven_adapters.sandbox.process import RunProcess
from driven_adapters.sandbox.spawning import Spawner
from tests.contract.runner.ground import left_processes

ROOT = Path(__file__).parents[3]
ENDLESS = "def main():\n    print('begun')\n    while True:\n        pass"
ENGINE = f"""
import asyncio
from core.ports.task_runner import RunRequest
from driven_adapters.sandbox import LocalRunner

async def main():
    async with LocalRunner() as runner:
        request = RunRequest(domain_id="d", mode="isolated", code={ENDLESS!r}, inputs={{}})
        await runner.run(request, lambda line: print(line.text, flush=True))

asyncio.run(main())
"""


def asked(code: str) -> RunRequest:
    return RunRequest(domain_id="d", mode="isolated", code=code, inputs={})


async def test_run_ends_with_the_process_that_started_it_and_the_next_one_gets_another() -> None:
    async with LocalRunner() as runner:
        if runner.refusal("isolated") is not None:
            return
        begun = asyncio.Event()
        run = asyncio.create_task(runner.run(asked(ENDLESS), lambda _: begun.set()))
        await begun.wait()
        assert runner.spawner_pid is not None
        killed = runner.spawner_pid
        os.kill(killed, signal.SIGKILL)
        result = await run
        assert isinstance(result, RunFailed), result
        assert "died" == result.reason, result
        assert isinstance(await runner.run(asked("def main():\n    return 1"), lambda _: None), Ran)
        assert killed != runner.spawner_pid
    assert [] == left_processes(set())


def test_nothing_is_left_of_an_engine_that_is_killed() -> None:
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    if "begun\n" == engine.stdout.readline():
        running = [os.pidfd_open(int(told.split()[0])) for told in left_processes(set(), engine=engine.pid)]
        assert running
        engine.kill()
        for one in running:
            assert _has_ended(one)
    engine.kill()
    engine.stdout.close()
    engine.wait()


def _has_ended(descriptor: int) -> bool:
    with os.fdopen(descriptor) as ended:
        return bool(select.select([ended], [], [], 10)[0])


async def test_program_that_is_missing_is_an_error_and_leaves_no_descriptor() -> None:
    interpreter = find_interpreter(is_root=os.geteuid() == 0)
    assert interpreter is not None
    spawner = Spawner(interpreter.program)
    spawner.ready()
    before = _descriptor_count()
    with pytest.raises(FileNotFoundError):
        await RunProcess.start(spawner, ["/nowhere/at/all"])
    after = _descriptor_count()
    assert before == after
    await spawner.close()


def _descriptor_count() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
