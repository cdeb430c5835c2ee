"""The attempt pipeline: whatever an operator does, one typed outcome comes out, in time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from core.executor.operator import Call, Cancelled, Failed, Outcome, Succeeded
from core.executor.pipeline import (
    CANCEL_GRACE_S,
    ERROR_DATA_BYTES_MAX,
    FAULT_COUNT_MAX,
    MESSAGE_CHARS_MAX,
    OUTPUT_BYTES_MAX,
    RETRY_AFTER_S_MAX,
    AttemptPipeline,
)
from core.executor.registry import OperatorRegistry
from tests.unit.executor.simulated import LoopClock, in_virtual_time, pipeline_of, request, timeout

SECRET = "hunter2-in-the-message"  # noqa: S105 - the text that must not come out


def outcome_of(output: Any, **fields: Any) -> Outcome:
    async def execute(_call: Call) -> Outcome:
        return Succeeded(output)

    return in_virtual_time(pipeline_of(execute).run(request(**fields)))


def failed_of(outcome: Failed) -> Failed:
    async def execute(_call: Call) -> Outcome:
        return outcome

    given = in_virtual_time(pipeline_of(execute).run(request()))
    assert isinstance(given, Failed)
    return given


def test_output_comes_out_as_canonical_json() -> None:
    assert Succeeded(msgspec.Raw(b'{"a":[1,2.5,null],"b":"x"}')) == outcome_of({"b": "x", "a": [1, 2.5, None]})


def test_output_given_as_json_is_written_canonically() -> None:
    assert Succeeded(msgspec.Raw(b'{"a":2,"b":1}')) == outcome_of(msgspec.Raw(b'{ "b": 1, "a": 2 }'))


@pytest.mark.parametrize(
    "output",
    [
        float("nan"),
        {"a": [float("inf")]},
        2**63,
        -(2**63) - 1,
        {1: "a"},
        b"bytes",
        {"set": {1}},
        object(),
        "lone \ud800",
        {"\udfff": 1},
        msgspec.Raw(b'{"a": '),
        msgspec.Raw(b""),
        msgspec.Raw(b"[" * 100_000),
    ],
)
def test_output_that_is_no_json_fails_as_invalid(output: Any) -> None:
    given = outcome_of(output)
    assert isinstance(given, Failed)
    assert (True, "invalid") == (given.called, given.error_kind)


def test_output_nested_too_deep_fails_as_invalid() -> None:
    output: Any = []
    for _ in range(5000):
        output = [output]
    given = outcome_of(output)
    assert isinstance(given, Failed)
    assert given.error_kind == "invalid"


def test_output_over_64_mib_fails_as_limit_and_one_at_the_bound_passes() -> None:
    assert isinstance(outcome_of("x" * (OUTPUT_BYTES_MAX - 2)), Succeeded)
    given = outcome_of("x" * (OUTPUT_BYTES_MAX - 1))
    assert isinstance(given, Failed)
    assert given.error_kind == "limit"


def test_output_that_misses_its_schema_fails_as_invalid_with_the_first_faults() -> None:
    faults = [f"fault {number}" for number in range(FAULT_COUNT_MAX + 5)]
    given = outcome_of({}, output_faults=lambda _value: faults)
    assert isinstance(given, Failed)
    assert given.error_kind == "invalid"
    assert f"fault {FAULT_COUNT_MAX - 1}" in given.message
    assert f"fault {FAULT_COUNT_MAX}" not in given.message


def test_output_that_meets_its_schema_passes() -> None:
    assert isinstance(outcome_of({}, output_faults=lambda _value: []), Succeeded)


def test_parameters_that_miss_their_schema_fail_without_a_call() -> None:
    calls: list[Call] = []

    async def execute(call: Call) -> Outcome:
        calls.append(call)
        return Succeeded({})

    pipeline = pipeline_of(execute)
    given = in_virtual_time(pipeline.run(request(parameter_faults=lambda _value: ["url is missing"])))
    assert (
        Failed(error_kind="invalid", message="parameters not as the schema says: url is missing", called=False) == given
    )
    assert [] == calls
    assert isinstance(in_virtual_time(pipeline.run(request(parameter_faults=lambda _value: []))), Succeeded)


def test_operator_that_is_not_installed_fails_as_unavailable_without_a_call() -> None:
    given = in_virtual_time(AttemptPipeline(OperatorRegistry([]), LoopClock()).run(request()))
    assert isinstance(given, Failed)
    assert ("unavailable", False) == (given.error_kind, given.called)


@pytest.mark.parametrize("surprise", [ValueError(SECRET), RuntimeError(SECRET), AssertionError(SECRET), SystemExit(3)])
def test_exception_of_an_operator_fails_with_its_type_only_and_is_told_to_the_log(surprise: BaseException) -> None:
    told: list[tuple[str, BaseException]] = []

    async def execute(_call: Call) -> Outcome:
        raise surprise

    pipeline = pipeline_of(execute, on_surprise=lambda call, error: told.append((call.task_path, error)))
    given = in_virtual_time(pipeline.run(request()))
    assert Failed(error_kind="failed", message=f"@test/doing raised {type(surprise).__name__}") == given
    assert [("fan.2.work", surprise)] == told


def test_exception_without_a_log_fails_too() -> None:
    async def execute(_call: Call) -> Outcome:
        raise ValueError(SECRET)

    given = in_virtual_time(pipeline_of(execute).run(request()))
    assert isinstance(given, Failed)
    assert SECRET not in given.message


def test_what_is_no_outcome_fails() -> None:
    async def execute(_call: Call) -> Outcome:
        return None  # type: ignore[return-value]  # what a third party may do

    assert Failed(error_kind="failed", message="@test/doing gave NoneType, which is no outcome") == in_virtual_time(
        pipeline_of(execute).run(request())
    )


def test_failure_passes_with_its_kind_data_and_wish() -> None:
    failed = Failed(error_kind="exhausted", message="later", data={"status": 429}, retry_after_s=3.0)
    assert failed == failed_of(failed)


def test_failure_of_unknown_kind_becomes_failed() -> None:
    given = failed_of(Failed(error_kind="oops", message=SECRET))
    assert ("failed", "failed with the unknown kind 'oops'") == (given.error_kind, given.message)


@pytest.mark.parametrize("data", ["x" * ERROR_DATA_BYTES_MAX, {"a": object()}, float("nan"), "\ud800"])
def test_error_data_that_is_large_or_no_json_is_left_out(data: Any) -> None:
    assert failed_of(Failed(error_kind="failed", message="m", data=data)).data is None


def test_long_message_and_wish_are_cut() -> None:
    given = failed_of(Failed(error_kind="failed", message="m" * 10_000, retry_after_s=1e12))
    assert (MESSAGE_CHARS_MAX, RETRY_AFTER_S_MAX) == (len(given.message), given.retry_after_s)


@pytest.mark.parametrize("wish_s", [float("nan"), float("inf"), None])
def test_wish_that_is_no_time_is_left_out(wish_s: float | None) -> None:
    assert failed_of(Failed(error_kind="failed", message="m", retry_after_s=wish_s)).retry_after_s is None


def test_attempt_past_attempt_s_ends_as_timeout_at_that_moment_and_its_operator_is_cancelled() -> None:
    ended: list[str] = []

    async def execute(_call: Call) -> Outcome:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return Succeeded({})

    async def scenario() -> tuple[Outcome, float]:
        given = await pipeline_of(execute).run(request(timeout=timeout(attempt_s=60)))
        return given, asyncio.get_running_loop().time()

    given, now = in_virtual_time(scenario())
    assert Failed(error_kind="timeout", message="no outcome within attempt_s = 60") == given
    assert (60.0, ["cancelled"]) == (now, ended)


def test_attempt_that_ends_before_attempt_s_counts() -> None:
    async def execute(call: Call) -> Outcome:
        assert call.deadline_at == 60.0
        await asyncio.sleep(59)
        return Succeeded("done")

    given = in_virtual_time(pipeline_of(execute).run(request(timeout=timeout(attempt_s=60))))
    assert Succeeded(msgspec.Raw(b'"done"')) == given


def test_silence_longer_than_heartbeat_s_ends_as_timeout_and_heartbeats_prolong() -> None:
    async def execute(call: Call) -> Outcome:
        for _ in range(10):
            await asyncio.sleep(4)
            call.heartbeat()
        await asyncio.sleep(3600)
        return Succeeded({})

    async def scenario() -> tuple[Outcome, float]:
        given = await pipeline_of(execute).run(request(timeout=timeout(heartbeat_s=5)))
        return given, asyncio.get_running_loop().time()

    given, now = in_virtual_time(scenario())
    assert Failed(error_kind="timeout", message="no sign of life within heartbeat_s = 5") == given
    assert now == 45.0


def test_heartbeats_do_not_prolong_attempt_s() -> None:
    async def execute(call: Call) -> Outcome:
        while True:
            await asyncio.sleep(1)
            call.heartbeat()

    async def scenario() -> tuple[Outcome, float]:
        given = await pipeline_of(execute).run(request(timeout=timeout(attempt_s=10, heartbeat_s=5)))
        return given, asyncio.get_running_loop().time()

    given, now = in_virtual_time(scenario())
    assert isinstance(given, Failed)
    assert ("no outcome within attempt_s = 10", 10.0) == (given.message, now)


def test_heartbeat_of_an_attempt_without_heartbeat_s_changes_nothing() -> None:
    async def execute(call: Call) -> Outcome:
        call.heartbeat()
        return Succeeded({})

    assert isinstance(in_virtual_time(pipeline_of(execute).run(request())), Succeeded)
    assert isinstance(in_virtual_time(pipeline_of(execute).run(request(timeout=timeout(attempt_s=1)))), Succeeded)


def test_operator_that_keeps_its_cancellation_is_abandoned_after_the_grace() -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        async def execute(_call: Call) -> Outcome:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return Succeeded({})

        pipeline = pipeline_of(execute)
        given = await pipeline.run(request(timeout=timeout(attempt_s=10)))
        assert isinstance(given, Failed)
        assert ("timeout", 10 + CANCEL_GRACE_S) == (given.error_kind, asyncio.get_running_loop().time())
        assert pipeline.abandoned_count == 1
        release.set()
        await asyncio.sleep(1)
        assert pipeline.abandoned_count == 0

    in_virtual_time(scenario())


@pytest.mark.parametrize("attempt_s", [None, 60.0])
def test_cancelled_attempt_ends_at_once_as_cancelled(attempt_s: float | None) -> None:
    async def scenario() -> tuple[Outcome, float]:
        async def execute(_call: Call) -> Outcome:
            await asyncio.sleep(3600)
            return Succeeded({})

        task = asyncio.create_task(pipeline_of(execute).run(request(timeout=timeout(attempt_s=attempt_s))))
        await asyncio.sleep(7)
        task.cancel()
        return await task, asyncio.get_running_loop().time()

    assert (Cancelled(), 7.0) == in_virtual_time(scenario())


@pytest.mark.parametrize("attempt_s", [None, 60.0])
def test_result_that_an_operator_gives_although_it_was_cancelled_counts(attempt_s: float | None) -> None:
    async def scenario() -> Outcome:
        async def execute(_call: Call) -> Outcome:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                return Succeeded("just made it")
            return Succeeded({})

        task = asyncio.create_task(pipeline_of(execute).run(request(timeout=timeout(attempt_s=attempt_s))))
        await asyncio.sleep(7)
        task.cancel()
        return await task

    assert Succeeded(msgspec.Raw(b'"just made it"')) == in_virtual_time(scenario())


@pytest.mark.parametrize("attempt_s", [None, 60.0])
def test_operator_that_cancels_itself_has_failed(attempt_s: float | None) -> None:
    async def execute(_call: Call) -> Outcome:
        raise asyncio.CancelledError

    async def scenario() -> Outcome:
        return await asyncio.create_task(pipeline_of(execute).run(request(timeout=timeout(attempt_s=attempt_s))))

    given = in_virtual_time(scenario())
    assert isinstance(given, Failed)
    assert given.error_kind == "failed"


def test_operator_that_says_cancelled_is_cancelled() -> None:
    async def execute(_call: Call) -> Outcome:
        return Cancelled()

    assert Cancelled() == in_virtual_time(pipeline_of(execute).run(request()))


def test_call_has_what_the_request_says() -> None:
    calls: list[Call] = []

    async def execute(call: Call) -> Outcome:
        calls.append(call)
        return Succeeded({})

    in_virtual_time(pipeline_of(execute).run(request({"a": 1}, attempt=3)))
    call = calls[0]
    assert ("key-of-the-task", 3, {"a": 1}, None) == (
        call.idempotency_key,
        call.attempt,
        call.parameters,
        call.deadline_at,
    )
    assert ("01J0000000000000000000INST", "default", "fan.2.work") == (call.instance_id, call.domain_id, call.task_path)
