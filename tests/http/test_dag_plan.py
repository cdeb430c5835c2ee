"""The dry run over HTTP: the engine's own decisions, nothing started, and a forecast from real instances."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.engine.dry_run import service
from core.engine.dry_run.past_runs import NO_HISTORY
from tests.http.world import MAPPING, ONE_STEP, Answer, World

DOCUMENT = {
    "title": "Orders",
    "inputs": {
        "type": "object",
        "required": ["region"],
        "properties": {"region": {"type": "string"}, "ids": {"type": "array", "default": ["1", "2", "3"]}},
    },
    "settings": {"timeout_s": 100},
    "steps": [
        {
            "id": "name",
            "operator": "@text/join",
            "parameters": {"items": ["orders", "{{ inputs.region }}"], "separator": "/"},
        },
        {
            "id": "fetch",
            "operator": "@http/request",
            "parameters": {
                "url": "http://h/{{ steps.name.output }}",
                "headers": {"authorization": "Bearer {{ inputs.region }}"},
            },
            "on_error": [{"id": "mend", "operator": "@debug/noop", "parameters": {"was": "{{ error.kind }}"}}],
        },
        {
            "id": "pick",
            "operator": "@control/branch",
            "depends_on": ["fetch"],
            "parameters": {
                "branches": [
                    {
                        "id": "good",
                        "when": "has(steps.fetch.output.status) && steps.fetch.output.status == 200",
                        "steps": [{"id": "store", "operator": "@debug/noop"}],
                    }
                ],
                "else": [{"id": "complain", "operator": "@debug/noop"}],
            },
        },
        {"id": "eu", "operator": "@debug/noop", "depends_on": ["name"], "when": "inputs.region == 'eu'"},
        {
            "id": "fan",
            "operator": "@control/map",
            "depends_on": ["name"],
            "parameters": {
                "items": "{{ inputs.ids }}",
                "max_concurrency": 2,
                "steps": [{"id": "work", "operator": "@debug/noop", "parameters": {"id": "{{ item }}"}}],
            },
        },
    ],
}


async def _planned(
    world: World, body: Any, document: Any = DOCUMENT, dag_id: str | None = None, query: str = ""
) -> Any:  # fmt: skip
    """Plan; gives the answer with its steps by id."""
    answer = await world.ask("POST", f"/dags/{dag_id or await world.create(document)}/plan{query}", body)
    assert 200 == answer.status, answer.body
    told = answer.json
    return {**told, "steps": {line["step"]: line for line in told["steps"]}}


def _fates(told: Any, *steps: str) -> list[tuple[str, str | None]]:
    return [(told["steps"][step]["status"], told["steps"][step]["why"]) for step in steps]


def _said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["code"]


async def test_known_is_decided_and_the_unknown_says_what_it_waits_for(world: World) -> None:
    told = await _planned(world, {"inputs": {"region": "us"}})
    steps = told["steps"]
    assert ("evaluated", "orders/us") == (steps["name"]["status"], steps["name"]["value"])
    assert ("runs", "unknown") == (steps["fetch"]["status"], steps["fetch"]["outcome"])
    assert {"url": "http://h/orders/us", "headers": {"authorization": "***"}} == steps["fetch"]["parameters"]
    assert ("may run", ["steps.fetch.status", "steps.fetch.output"]) == (
        steps["pick"]["status"], steps["pick"]["waits_for"],
    )  # fmt: skip
    assert [("may run", None), ("may run", None), ("skipped", "when")] == _fates(told, "mend", "store", "eu")
    assert not world.target.called.is_set()
    assert [] == (await world.ask("GET", "/instances")).json["items"]


async def test_map_is_summed_up_with_its_count(world: World) -> None:
    told = await _planned(world, {"inputs": {"region": "us"}})
    assert 3 == told["steps"]["fan"]["items"]
    assert {"runs": 3, "may_run": 0, "evaluated": 0, "skipped": 0} == told["steps"]["work"]["tasks"]
    assert {"id": "1"} == told["steps"]["work"]["parameters"]
    assert [("timeout_s", "fetch"), ("max_concurrency", "fan")] == [
        (one["limit"], one["step"]) for one in told["limits"]["binding"]
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, [("runs", None), ("skipped", "branch")]), (204, [("skipped", "branch"), ("runs", None)])],
)
async def test_given_output_leads_to_its_branch(world: World, status: int, expected: Any) -> None:
    given = {"fetch": {"status": status, "headers": {}, "body": None}}
    told = await _planned(world, {"inputs": {"region": "eu"}, "outputs": given})
    assert expected == _fates(told, "store", "complain")
    assert [("skipped", "no_failure"), ("runs", None)] == _fates(told, "mend", "eu")
    assert "succeeded" == told["outcome"]


async def test_given_error_takes_the_list_that_handles_it(world: World) -> None:
    errors = {"fetch": {"kind": "timeout", "message": "too late"}}
    told = await _planned(world, {"inputs": {"region": "eu"}, "errors": errors})
    fetch, mend = told["steps"]["fetch"], told["steps"]["mend"]
    assert (3, "failed", "too late") == (fetch["attempts"], fetch["outcome"], fetch["error"]["message"])
    assert ("runs", {"was": "timeout"}) == (mend["status"], mend["parameters"])
    assert [("runs", None)] == _fates(told, "complain")


async def test_forecast_is_of_instances_that_ended(world: World) -> None:
    dag_id = await world.create()
    first = await _planned(world, {}, dag_id=dag_id)
    assert (None, NO_HISTORY) == (first["forecast"], first["no_forecast"])
    for name in ("a", "b", "c"):
        assert 200 == (await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {"name": name})).status
    told = await _planned(world, {}, dag_id=dag_id)
    assert (3, 3, "v1.0.0", 0.0) == (
        len(told["forecast"]["instances"]), told["forecast"]["steps_of"], told["forecast"]["version"],
        told["forecast"]["failure_share"],
    )  # fmt: skip
    greet = told["steps"]["greet"]["forecast"]
    assert (3, {"p50": 1.0, "p95": 1.0}, 0.0) == (greet["tasks_count"], greet["attempts"], greet["failure_share"])
    assert 0.0 <= greet["duration_s"]["p50"] <= greet["duration_s"]["p95"] < 30.0


async def test_version_can_be_chosen_and_a_stopped_dag_can_be_planned(world: World) -> None:
    dag_id = await world.create()
    changed = {**ONE_STEP, "outputs": {"text": "changed"}}
    assert 200 == (await world.ask("PUT", f"/dags/{dag_id}", changed, headers={"if-match": "*"})).status
    assert 200 == (await world.ask("POST", f"/dags/{dag_id}/deactivate")).status
    old = await _planned(world, {}, dag_id=dag_id, query="?version=v1.0.0")
    new = await _planned(world, b"", dag_id=dag_id)
    assert ("v1.0.0", {"text": "Hello world"}, "stopped") == (old["version"], old["outputs"], old["dag_status"])
    assert ("v1.0.1", {"text": "changed"}) == (new["version"], new["outputs"])
    assert 404 == (await world.ask("POST", f"/dags/{dag_id}/plan?version=v9.9.9", {})).status


async def test_what_does_not_fit_is_refused(world: World) -> None:
    dag_id = await world.create()
    for body, expected in (
        ({"inputs": {"count": "x"}}, (422, "input-invalid")),
        ({"outputs": {"none": 1}}, (422, "request-invalid")),
        ({"errors": {"greet": {"kind": "odd"}}}, (422, "request-invalid")),
        ({"more": 1}, (422, "request-invalid")),
        (b"{", (400, "body-undecodable")),
    ):
        assert expected == _said(await world.ask("POST", f"/dags/{dag_id}/plan", body))


async def test_other_tenant_and_who_may_not_run_learn_nothing(world: World) -> None:
    dag_id = await world.create()
    assert (404, "dag-not-found") == _said(await world.ask("POST", f"/dags/{dag_id}/plan", {}, tenant="two"))
    world.keys["viewer"] = (await world.box.access_service().add_key("one", "reader", ["viewer"])).text
    assert (403, "forbidden") == _said(await world.ask("POST", f"/dags/{dag_id}/plan", {}, tenant="viewer"))


async def test_called_operators_leave_no_lines(world: World) -> None:
    document = {
        "title": "Lines",
        "steps": [
            {"id": "say", "operator": "@debug/log", "parameters": {"message": "heard"}},
            {"id": "end", "operator": "@debug/noop"},
        ],
    }
    told = await _planned(world, {}, document)
    assert ("succeeded", ["runs", "runs"]) == (told["outcome"], [line["status"] for line in told["steps"].values()])
    assert {} == world.store.copy().group("task_log", "")


async def test_long_map_ends_early_and_answers_to_others_go_on(world: World) -> None:
    dag_id = await world.create(MAPPING)
    planned = asyncio.create_task(
        world.ask("POST", f"/dags/{dag_id}/plan", {"inputs": {"items": list(range(20_000))}})
    )  # fmt: skip
    others = 0
    while not planned.done():
        assert 200 == (await world.ask("GET", f"/dags/{dag_id}")).status
        others += 1
        await asyncio.sleep(0)
    answer = planned.result()
    assert (200, False) == (answer.status, answer.json["is_complete"])
    assert 20_000 == answer.json["steps"][0]["items"]
    assert others > 10
    assert len(answer.body) < service.ANSWER_BYTES_MAX


async def test_one_dry_run_too_many_is_told_to_come_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    dag_id = await world.create()
    monkeypatch.setattr(service, "AT_ONCE_MAX", 1)
    answers = await asyncio.gather(*(world.ask("POST", f"/dags/{dag_id}/plan", {}) for _ in range(2)))
    assert [200, 429] == sorted(answer.status for answer in answers)
    [refused] = [answer.json for answer in answers if answer.status == 429]
    bound = {"name": "dry_runs", "value": {"taken": 1, "most": 1}, "holder_kind": "node", "holder": None}
    assert [{**bound, "next": "one of them ends", "at": None}] == refused["why"]
    assert 200 == (await world.ask("POST", f"/dags/{dag_id}/plan", {})).status


EVERYTHING = {
    "title": "Everything",
    "inputs": {"type": "object", "properties": {"ids": {"type": "array", "default": ["1", "2", "3"]}}},
    "settings": {
        "on_failure": [{"id": "mourn", "operator": "@debug/noop", "parameters": {"why": "{{ error.kind }}"}}],
        "on_finish": [{"id": "tell", "operator": "@debug/noop", "parameters": {"as": "{{ instance.outcome }}"}}],
    },
    "steps": [
        {"id": "rest", "operator": "@control/wait", "parameters": {"seconds": 90}},
        {
            "id": "turn",
            "operator": "@control/loop",
            "parameters": {
                "mode": "each",
                "items": "{{ inputs.ids }}",
                "break_when": "item == '2'",
                "steps": [
                    {
                        "id": "seat",
                        "operator": "@control/try",
                        "parameters": {
                            "steps": [
                                {
                                    "id": "fan",
                                    "operator": "@control/map",
                                    "parameters": {
                                        "items": [1, 2],
                                        "steps": [
                                            {
                                                "id": "order",
                                                "operator": "@http/request",
                                                "parameters": {"url": "http://h/{{ item }}/{{ loops.turn.item }}"},
                                            }
                                        ],
                                    },
                                }
                            ],
                            "catch": [
                                {"id": "mend", "operator": "@debug/noop", "parameters": {"was": "{{ error.kind }}"}}
                            ],
                            "finally": [{"id": "close", "operator": "@debug/noop"}],
                        },
                    },
                    {
                        "id": "both",
                        "operator": "@control/parallel",
                        "parameters": {
                            "branches": [
                                {
                                    "id": "one",
                                    "steps": [
                                        {
                                            "id": "pick",
                                            "operator": "@control/branch",
                                            "parameters": {
                                                "branches": [
                                                    {
                                                        "id": "first",
                                                        "when": "index == 0",
                                                        "steps": [{"id": "begin", "operator": "@debug/noop"}],
                                                    }
                                                ]
                                            },
                                        }
                                    ],
                                }
                            ]
                        },
                    },
                ],
            },
        },
    ],
}


async def test_loops_tries_waits_and_hooks_are_told_with_all_others(world: World) -> None:
    dag_id = await world.create(EVERYTHING)
    hanging = await _planned(world, {}, dag_id=dag_id)
    assert "unknown" == hanging["outcome"]
    assert [
        ("rest", 0, "", "runs"), ("turn", 0, "", "runs"), ("seat", 1, "steps", "runs"), ("fan", 2, "steps", "runs"),
        ("order", 3, "steps", "runs"), ("mend", 2, "catch", "may run"), ("close", 2, "finally", "may run"),
        ("both", 1, "steps", "may run"), ("pick", 2, "one", "may run"), ("begin", 3, "first", "may run"),
        ("mourn", 0, "on_failure", "may run"), ("tell", 0, "on_finish", "may run"),
    ] == [(line["step"], line["depth"], line["list"], line["status"]) for line in hanging["steps"].values()]  # fmt: skip
    assert {"wait_s": 90.0, "worst_s": 90.0, "wait_until": hanging["steps"]["rest"]["value"]["at"]} == (
        hanging["steps"]["rest"]["limits"]
    )
    assert (3, {"runs": 2, "may_run": 0, "evaluated": 0, "skipped": 0}) == (
        hanging["steps"]["turn"]["items"], hanging["steps"]["order"]["tasks"],
    )  # fmt: skip
    response = {"status": 200, "headers": {}, "body": None}
    known = await _planned(
        world,
        {"outputs": {"order": response}, "errors": {"turn.1.fan.0.order": {"kind": "timeout"}}},
        dag_id=dag_id,
    )
    assert ("succeeded", True, 2) == (known["outcome"], known["is_complete"], known["steps"]["turn"]["items"])
    assert {"runs": 4, "may_run": 0, "evaluated": 0, "skipped": 0} == known["steps"]["order"]["tasks"]
    assert ("turn.1.mend", {"was": "timeout"}) == (
        known["steps"]["mend"]["path"], known["steps"]["mend"]["parameters"],
    )  # fmt: skip
    assert [("runs", None), ("skipped", "no_failure"), ("runs", None)] == _fates(known, "begin", "mourn", "tell")
    assert {"as": "succeeded"} == known["steps"]["tell"]["parameters"]
    assert not world.target.called.is_set()
