"""Bad documents at the border: ten thousand mutants, poison, and the costliest ones, sent to the real application."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import tests.mutation_corpus.mutations  # noqa: F401 - its mutations register themselves
from bench.machine import usual_cpu_ms
from core.dag.document import Format
from driver_adapters.http.aside import WAITING_COUNT_MAX
from driver_adapters.http.exchange import BODY_BYTES_MAX
from tests import budget
from tests.dags.corpus import valid_values
from tests.figures import figure
from tests.http.world import ONE_STEP, PREFIX, Answer, World, call
from tests.mutation_corpus.costly import COSTLY, filled
from tests.mutation_corpus.mutate import encoded, mutants
from tests.mutation_corpus.poison import POISON

# Every so many mutants are sent to be validated as well: the other route has its own way of telling faults.
VALIDATE_EVERY = 7
PART = b" " * 65_536
STREAMED_PARTS_COUNT = 1_024
# Processor time of one answer to poison: most take a millisecond, 1 MiB of marks the longest.
POISON_MS_MAX = 400
# Of an answer to a document that was made to be costly, in a thread (ADR 0011); figure 28 of reliability.md aims at 100.
COSTLY_MS_MAX = 2_000
# Answers to others while one costly document is read; without a thread there would be none.
MEANWHILE_COUNT_MIN = 10


def stored_count(world: World) -> int:
    """Count every row of definitions in the store."""
    image = world.store.copy()
    versions = sum(len(image.group("dag_version", dag_id)) for dag_id in image.group("dag"))
    return len(image.group("dag")) + len(image.group("dag_title")) + versions


def parsed(world: World, data: bytes, form: Format) -> list[Any]:
    """Give the faults that the parser finds, as JSON says them."""
    faults: list[Any] = msgspec.json.decode(msgspec.json.encode(world.box.definitions().validate(data, form)))
    return faults


def refusal(faults: list[Any]) -> tuple[int, str]:
    """Give the status and code that a document with these faults must be answered with."""
    is_undecodable = {"dag.syntax"} == {fault["code"] for fault in faults}
    return (400, "dag-undecodable") if is_undecodable else (422, "dag-invalid")


async def sent(world: World, path: str, data: bytes, form: Format) -> Answer:
    return await world.ask("POST", path, data, headers={"content-type": f"application/{form}"})


def form_of(name: str, data: bytes) -> Format:
    """Give the notation of a poisoned text: the one it is named after, else the one a reader would guess."""
    return "json" if name.startswith("json") or data.startswith(b"{") else "yaml"


async def test_ten_thousand_mutants_are_answered_with_what_the_parser_finds(world: World, seed: int) -> None:
    count = budget.length("mutant_count")
    statuses: Counter[int] = Counter()
    for number, mutant in enumerate(mutants(seed, count, valid_values())):
        if isinstance(mutant.document.get("title"), str):
            mutant.document["title"] += f" {number}"  # titles are unique: a mutant that stayed valid is to be stored
        data, form = encoded(number, mutant)
        faults = parsed(world, data, form)
        answer = await sent(world, "/dags", data, form)
        statuses[answer.status] += 1
        if not faults:
            assert 201 == answer.status, (mutant, answer.body)
            continue
        problem = answer.json
        assert (*refusal(faults), "application/problem+json", faults) == (
            answer.status, problem["code"], answer.header("content-type"), problem["errors"],
        ), mutant  # fmt: skip
        if number % VALIDATE_EVERY == 0:
            told = await sent(world, "/dags/validate", data, form)
            assert (200, {"is_valid": False, "errors": faults}) == (told.status, told.json), mutant
    failures = sum(times for status, times in statuses.items() if status >= 500)
    assert 3 * statuses[201] == stored_count(world)  # the DAG, its title, its version
    assert figure(
        "bad_input_http_5xx_count", failures, "= 0", failures == 0, n=count, created=statuses[201],
        undecodable=statuses[400], invalid=statuses[422], seed=seed,
    )  # fmt: skip
    assert 0 < statuses[201] < count
    assert count == statuses[201] + statuses[400] + statuses[422]


@pytest.mark.timed
async def test_poison_is_refused_quickly_and_stores_nothing(world: World) -> None:
    await sent(world, "/dags", POISON["json 1e400"], "json")
    slowest: tuple[float, str] = (0.0, "")
    for name, data in POISON.items():
        form = form_of(name, data)
        faults = parsed(world, data, form)
        start = time.process_time()
        answer = await sent(world, "/dags", data, form)
        slowest = max(slowest, (usual_cpu_ms(start), name))
        assert (*refusal(faults), faults) == (answer.status, answer.json["code"], answer.json["errors"]), name
        assert name.startswith(("nonsense", "random")) or (400, 1) == (answer.status, len(faults)), name
    assert 0 == stored_count(world)
    ms, worst = slowest
    assert figure(
        "bad_input_http_poison_ms", round(ms, 1), f"< {POISON_MS_MAX}", ms < POISON_MS_MAX, n=len(POISON), worst=worst
    )


@pytest.mark.parametrize(
    ("field", "code"),
    [("colour", "dag.schema"), ("step", "dag.schema"), ("params", "dag.schema"), ("\0", "dag.syntax")],
)
async def test_unknown_field_is_refused_at_its_place(world: World, field: str, code: str) -> None:
    answer = await world.ask("POST", "/dags", {**ONE_STEP, field: 1})
    assert (400 if code == "dag.syntax" else 422, code) == (answer.status, answer.json["errors"][0]["code"])
    assert 0 == stored_count(world)


async def test_body_of_64_mib_is_refused_before_it_was_sent(world: World) -> None:
    left = iter(itertools.repeat(PART, STREAMED_PARTS_COUNT))
    headers = [("authorization", f"Bearer {world.keys['one']}"), ("content-type", "application/json")]
    answer = await call(world.public, "POST", f"{PREFIX}/dags", headers, b"{", _parts(left))
    assert (413, "body-too-large") == (answer.status, answer.json["code"])
    unread_count = sum(1 for _ in left)
    assert BODY_BYTES_MAX // len(PART) + 1 >= STREAMED_PARTS_COUNT - unread_count
    assert 0 == stored_count(world)


def _parts(left: Iterator[bytes]) -> Iterator[bytes]:
    yield from left


@pytest.mark.timed
async def test_costliest_documents_are_answered_in_bounded_time(world: World) -> None:
    await sent(world, "/dags", b"{}", "json")
    slowest: tuple[float, str] = (0.0, "")
    for name, data in COSTLY.items():
        start = time.process_time()
        answer = await sent(world, "/dags/validate", data, form_of(name, data))
        slowest = max(slowest, (usual_cpu_ms(start), name))
        assert 200 == answer.status, name
    ms, worst = slowest
    assert figure(
        "bad_input_http_worst_ms", round(ms, 1), f"< {COSTLY_MS_MAX}", ms < COSTLY_MS_MAX, n=len(COSTLY), worst=worst
    )


@pytest.mark.timed
async def test_others_are_answered_while_a_costly_document_is_read(world: World) -> None:
    costly = asyncio.create_task(sent(world, "/dags/validate", COSTLY["sums in every step"], "json"))
    answered_count, longest_ms = 0, 0.0
    while not costly.done():
        start = time.perf_counter()
        answer = await world.ask("GET", "/dags")
        assert 200 == answer.status
        await asyncio.sleep(0)
        longest_ms = max(longest_ms, (time.perf_counter() - start) * 1000)
        answered_count += not costly.done()
    ok = answered_count >= MEANWHILE_COUNT_MIN
    assert figure(
        "bad_input_answered_meanwhile_count", answered_count, f">= {MEANWHILE_COUNT_MIN}", ok,
        longest_ms=round(longest_ms, 1),
    )  # fmt: skip
    assert not (await costly).json["is_valid"]


async def test_more_large_documents_than_may_wait_are_refused_for_now(world: World) -> None:
    data = filled(b"title: T\nsteps: [", b"1,", b"1]", 100_000)
    answers = await asyncio.gather(*(sent(world, "/dags/validate", data, "yaml") for _ in range(WAITING_COUNT_MAX + 3)))
    assert {200: WAITING_COUNT_MAX, 429: 3} == Counter(answer.status for answer in answers)
    refused = next(answer for answer in answers if answer.status == 429)
    assert ("queue-full", "1") == (refused.json["code"], refused.header("retry-after"))
    value = {"taken": WAITING_COUNT_MAX, "most": WAITING_COUNT_MAX}
    assert [("documents_to_read", value)] == [(one["name"], one["value"]) for one in refused.json["why"]]
    assert 200 == (await sent(world, "/dags/validate", data, "yaml")).status
