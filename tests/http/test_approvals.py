"""Approvals over HTTP: listed to those who may decide, decided once (semantics.md S28)."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine.signals import SIGNAL_BYTES_MAX
from tests.http.world import World

LOOKS_MAX = 100
ASKS: dict[str, Any] = {
    "title": "Refunds",
    "steps": [
        {
            "id": "refund",
            "operator": "@control/approval",
            "parameters": {
                "title": "Refund {{ inputs.order }}?",
                "form": {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]},
                "approvers": ["{{ inputs.who }}"],
                "timeout_s": 3600,
            },
        }
    ],
    "outputs": "{{ steps.refund.output }}",
}
NOBODY = "01JD3V7A2B3C4D5E6F7G8H9J0K"


async def asks(world: World, order: int, who: str = "role:administrator", **document: Any) -> str:
    """Start an instance that asks for a decision; gives its id."""
    found = (await world.ask("GET", "/dags?text=Refunds")).json["items"]
    dag_id = found[0]["id"] if found else await world.create({**ASKS, **document})
    started = await world.ask("POST", f"/dags/{dag_id}/run", {"order": order, "who": who})
    instance_id: str = started.json["id"]
    for _ in range(LOOKS_MAX):
        if (await world.ask("GET", f"/instances/{instance_id}?wait=0.02")).json["status"] == "waiting":
            return instance_id
    raise AssertionError("it does not wait")


async def listed(world: World, **more: Any) -> list[Any]:
    items: list[Any] = (await world.ask("GET", "/approvals", **more)).json["items"]
    return items


async def test_s28_open_decision_is_listed_with_its_form_and_approved_once(world: World) -> None:
    instance_id = await asks(world, 7)
    [item] = await listed(world)
    assert ("Refund 7?", instance_id, "refund", ["amount"], ["role:administrator"]) == (
        item["title"], item["instance_id"], item["task"], item["form"]["required"], item["approvers"],
    )  # fmt: skip
    assert item["since"] < item["due_at"]
    body = {"decision": "approved", "data": {"amount": 12.5}, "comment": "as agreed"}
    taken = await world.ask("POST", f"/approvals/{item['id']}", body)
    assert (202, instance_id) == (taken.status, taken.json["id"])
    ended = (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json
    assert ("succeeded", "approved", {"amount": 12.5}, "as agreed") == (
        ended["status"], ended["outputs"]["decision"], ended["outputs"]["data"], ended["outputs"]["comment"],
    )  # fmt: skip
    assert [] == await listed(world)
    late = await world.ask("POST", f"/approvals/{item['id']}", body)
    assert (404, "approval-not-found") == (late.status, late.json["code"])


async def test_s28_rejected_decision_fails_the_step_whatever_the_form_says(world: World) -> None:
    instance_id = await asks(world, 7)
    [item] = await listed(world)
    answer = await world.ask("POST", f"/approvals/{item['id']}", {"decision": "rejected", "comment": "too much"})
    assert 202 == answer.status
    error = (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json["error"]
    assert ("rejected", "too much", "refund") == (error["kind"], error["message"], error["step"])


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "approved"},
        {"decision": "approved", "data": {"amount": "much"}},
        {"decision": "rejected", "data": {}},
        {"decision": "perhaps"},
        {"decision": "approved", "data": {"amount": 1}, "note": "x"},
        {"decision": "approved", "data": {"amount": 1, "text": "x" * SIGNAL_BYTES_MAX}},
        {"decision": "rejected", "comment": "x" * 1_001},
    ],
)
async def test_s28_answer_that_does_not_fit_leaves_the_step_waiting(world: World, body: dict[str, Any]) -> None:
    instance_id = await asks(world, 7)
    [item] = await listed(world)
    answer = await world.ask("POST", f"/approvals/{item['id']}", body)
    assert (422, "request-invalid") == (answer.status, answer.json["code"])
    assert "waiting" == (await world.ask("GET", f"/instances/{instance_id}")).json["status"]
    assert [item] == await listed(world)


async def test_s28_whoever_is_no_approver_neither_sees_nor_decides(world: World) -> None:
    instance_id = await asks(world, 7, who="somebody-else")
    assert [] == await listed(world)
    journal = (await world.ask("GET", f"/instances/{instance_id}/journal")).json["items"]
    [asked] = [event for entry in journal for event in entry["events"] if event["event"] == "wait_begun"]
    body = {"decision": "approved", "data": {"amount": 1}}
    found = {
        "not asked": await world.ask("POST", f"/approvals/{asked['detail']['id']}", body),
        "foreign": await world.ask("POST", f"/approvals/{asked['detail']['id']}", body, tenant="two"),
        "unknown": await world.ask("POST", f"/approvals/{NOBODY}", body),
        "no id": await world.ask("POST", "/approvals/5", body),
    }
    assert {(404, "approval-not-found")} == {(answer.status, answer.json["code"]) for answer in found.values()}
    assert [] == (await world.ask("GET", "/approvals", tenant="two")).json["items"]


async def test_s28_list_goes_on_behind_its_cursor(world: World) -> None:
    for order in range(5):
        await asks(world, order, who="somebody-else" if order == 2 else "role:administrator")
    titles: list[str] = []
    cursor = ""
    while True:
        page = (await world.ask("GET", f"/approvals?limit=2{cursor}")).json
        titles += [item["title"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert [f"Refund {order}?" for order in (0, 1, 3, 4)] == titles


async def test_s41_cancelled_instance_asks_nobody_any_more(world: World) -> None:
    instance_id = await asks(world, 7)
    await world.ask("POST", f"/instances/{instance_id}/cancel", {"reason": "enough"})
    await world.ask("GET", f"/instances/{instance_id}?wait=10")
    assert [] == await listed(world)
