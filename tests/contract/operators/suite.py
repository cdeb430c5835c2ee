"""What every operator promises, whoever wrote it. `check_operator` raises AssertionError with the promise it breaks.

A third party calls it with its own operators and examples; the program's tests do the same with the built-in ones.
"""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec

from core.dag.catalog import NO_RETRY, NO_TIMEOUT, OperatorSpec
from core.executor.error_kind import RETRIED_KINDS
from core.executor.operator import Call, Cancelled, ComputeFailed, Failed, Operator, Outcome, PureOperator, Succeeded
from core.executor.pipeline import AttemptPipeline, AttemptRequest
from core.executor.registry import AnyOperator, OperatorPorts, OperatorRegistry
from core.expression import ExpressionFailed, Fuel
from core.ports.http_client import HttpAnswer, HttpRequest, HttpResponse
from pkg.json_value import json_fault
from tests.sim.loop import running

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
KEY = "0123456789abcdef"
CANCEL_S_MAX = 1.0  # an operator that is told to stop has ended by then
FUEL_MAX = 100_000


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """How one operator is used.

    Attributes:
        parameters: rendered parameters that its schema takes; the operator succeeds with them.
        output: what it must give, or ANY.
        answer: what the world answers when it asks over HTTP.
    """

    parameters: Any
    output: Any
    answer: HttpAnswer | None = None


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of one operator: with which it succeeds, and parameters that its schema must refuse."""

    good: tuple[Example, ...]
    bad: tuple[Any, ...]


ANY = object()


class World:
    """The outside as operators see it: keeps every request, and answers, or is silent for ever."""

    def __init__(self, answer: HttpAnswer | None) -> None:
        self._answer = answer
        self.requests: list[HttpRequest] = []

    async def request(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        if self._answer is None:
            await asyncio.Event().wait()
        assert self._answer is not None
        return self._answer


class StandingClock:
    """Wall time stands still; durations are the loop's."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep_until(self, monotonic_at: float) -> None:
        await asyncio.sleep(monotonic_at - self.monotonic())


OperatorsOf = Callable[[OperatorPorts], Iterable[AnyOperator]]


def check_operator(name: str, operators_of: OperatorsOf, examples: Examples) -> None:
    """Check every promise of one operator.

    Args:
        name: of the operator.
        operators_of: makes the operators of its package with the given ports.
        examples: at least one good and one bad.
    """
    operator = _made(name, operators_of, World(None))
    assert examples.good, f"{name} has no example"
    check_declaration(operator.spec)
    _check_bad_parameters_are_refused(operator.spec, examples.bad)
    for example in examples.good:
        _check_parameters_are_taken(operator.spec, example)
        if isinstance(operator, PureOperator):
            _check_pure(operator, example)
        else:
            _check_attempt(name, operators_of, example)
            _check_key_is_passed_on(name, operators_of, example)
            _check_cancellation_is_prompt(name, operators_of, example)


def check_declaration(spec: OperatorSpec) -> None:
    """Check that a declaration is complete and its defaults are legal."""
    assert re.fullmatch(r"@[a-z][a-z0-9_-]*/[a-z][a-z0-9_/-]*", spec.name), spec.name
    assert spec.title, "title for people"
    assert spec.version, "version of its behaviour"
    for schema in (spec.parameters, spec.output):
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert len(msgspec.json.encode(schema)) <= 64 * 1024
        assert _is_self_contained(schema), "a schema refers to nothing outside of itself"
    assert spec.retry.max_attempts >= 1
    assert 0 <= spec.retry.delay_s <= spec.retry.max_delay_s
    assert spec.retry.backoff >= 1
    assert set(spec.retry.on) <= RETRIED_KINDS, "kinds that are never retried are not named in `on`"
    for seconds in msgspec.structs.astuple(spec.timeout):
        assert seconds is None or seconds > 0
    for pointer in (*spec.expression_fields, *spec.secrets_in):
        assert pointer.split("/")[1] in spec.parameters["properties"], pointer
    if spec.kind == "pure":
        assert (NO_RETRY, NO_TIMEOUT, False) == (spec.retry, spec.timeout, spec.has_side_effects), "no policy"
        assert spec.secrets_in == (), "what is computed inside a decision would be journalled"


def _check_bad_parameters_are_refused(spec: OperatorSpec, bad: tuple[Any, ...]) -> None:
    assert bad or spec.parameters == {"type": "object"}, f"{spec.name} has no bad example"
    validator = _validator(spec.parameters)
    for parameters in bad:
        assert not validator.is_valid(parameters), f"{spec.name} takes {parameters!r}"


def _check_parameters_are_taken(spec: OperatorSpec, example: Example) -> None:
    faults = [fault.message for fault in _validator(spec.parameters).iter_errors(example.parameters)]
    assert faults == [], f"{spec.name} refuses its own example: {faults}"


def _check_pure(operator: PureOperator, example: Example) -> None:
    before = copy.deepcopy(example.parameters)
    outputs = []
    for _ in range(2):
        fuel = Fuel(FUEL_MAX)
        outputs.append(operator.compute(example.parameters, NOW, fuel))
        assert fuel.left < FUEL_MAX, "work costs fuel"
    assert before == example.parameters, "parameters stay as they are"
    assert outputs[0] == outputs[1], "the same parameters at the same time give the same output"
    _check_output(operator.spec, example, outputs[0])
    try:
        operator.compute(example.parameters, NOW, Fuel(0))
    except (ExpressionFailed, ComputeFailed) as failure:
        kind = failure.error_kind if isinstance(failure, ComputeFailed) else failure.kind
        assert kind == "limit", kind
    else:
        raise AssertionError("without fuel there is no output")


def _check_output(spec: OperatorSpec, example: Example, output: Any) -> None:
    assert json_fault(output) is None, "the output is JSON"
    faults = [fault.message for fault in _validator(spec.output).iter_errors(output)]
    assert faults == [], f"the output meets its schema: {faults}"
    assert example.output is ANY or example.output == output, f"{spec.name} gave {output!r}"


def _check_attempt(name: str, operators_of: OperatorsOf, example: Example) -> None:
    world = World(example.answer)
    operator = _made(name, operators_of, world)
    before = copy.deepcopy(example.parameters)
    outcome = _run(operator, example.parameters, attempt=1)
    assert isinstance(outcome, Succeeded), outcome
    assert isinstance(outcome.output, msgspec.Raw)
    assert before == example.parameters, "parameters stay as they are: a next attempt gets the same"
    _check_output(operator.spec, example, msgspec.json.decode(outcome.output))


def _check_key_is_passed_on(name: str, operators_of: OperatorsOf, example: Example) -> None:
    for attempt in (1, 2, 7):
        world = World(example.answer)
        _run(_made(name, operators_of, world), example.parameters, attempt=attempt)
        assert example.answer is None or world.requests, f"{name} was to ask the world"
        for request in world.requests:
            headers = {header.lower(): value for header, value in request.headers}
            assert KEY == headers.get("idempotency-key"), "every attempt sends the task's key (R22)"
            assert str(attempt) == headers.get("x-flow-attempt")


def _check_cancellation_is_prompt(name: str, operators_of: OperatorsOf, example: Example) -> None:
    operator = _made(name, operators_of, World(None))

    async def scenario() -> tuple[Outcome, float]:
        call = Call(
            instance_id="instance",
            domain_id="default",
            task_path="step",
            idempotency_key=KEY,
            attempt=1,
            parameters=example.parameters,
            deadline_at=None,
            heartbeat=lambda: None,
        )
        task = asyncio.ensure_future(_outcome(operator, call))
        await asyncio.sleep(1)
        cancelled_at = asyncio.get_running_loop().time()
        task.cancel()
        return await task, asyncio.get_running_loop().time() - cancelled_at

    with running(seed=1) as loop:
        outcome, took_s = loop.run_until_complete(scenario())
    assert isinstance(outcome, Succeeded | Failed | Cancelled)
    assert example.answer is None or isinstance(outcome, Cancelled), "a call that is waiting is cancelled"
    assert took_s <= CANCEL_S_MAX, f"{name} took {took_s} s to end"


async def _outcome(operator: Operator, call: Call) -> Outcome:
    try:
        return await operator.execute(call)
    except asyncio.CancelledError:
        return Cancelled()


def _run(operator: Operator, parameters: Any, *, attempt: int) -> Outcome:
    pipeline = AttemptPipeline(OperatorRegistry([operator]), StandingClock())
    request = AttemptRequest(
        instance_id="instance",
        domain_id="default",
        task_path="step",
        idempotency_key=KEY,
        attempt=attempt,
        operator=operator.spec.name,
        parameters=parameters,
        timeout=operator.spec.timeout,
    )
    with running(seed=1) as loop:
        return loop.run_until_complete(pipeline.run(request))


def _made(name: str, operators_of: OperatorsOf, world: World) -> Any:
    made = [one for one in operators_of(OperatorPorts(world, StandingClock())) if one.spec.name == name]
    assert len(made) == 1, f"{name} is made once"
    return made[0]


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, retriever=_deny)


def _deny(uri: str) -> Any:
    raise ValueError(f"{uri} is not in the schema")


def _is_self_contained(node: Any) -> bool:
    if isinstance(node, dict):
        return str(node.get("$ref", "#")).startswith("#") and all(map(_is_self_contained, node.values()))
    return not isinstance(node, list) or all(map(_is_self_contained, node))


def ok(body: bytes, content_type: str = "application/json") -> HttpResponse:
    """An answer for examples."""
    return HttpResponse(status=200, headers=(("content-type", content_type),), body=body)
