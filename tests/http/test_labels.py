"""Labels of instances and lists by them (ADR 0022)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from core.dag.label import LABELS_COUNT_MAX
from core.dag.trigger import KINDS
from tests.http.world import HANGING, ONE_STEP, PREFIX, World, open_world

LABELLED = {
    **ONE_STEP,
    "title": "Labelled",
    "vars": {"team": "orders"},
    "settings": {"labels": {"name": "{{ inputs.name }}", "team": "{{ vars.team }}", "by": "{{ trigger.kind }}"}},
}


async def start(world: World, dag_id: str, name: str = "a", tenant: str = "one", **labels: str) -> str:
    query = urlencode([("wait", "30"), *(("label", f"{key}:{value}") for key, value in labels.items())])
    answer = await world.ask("POST", f"/dags/{dag_id}/run?{query}", {"name": name}, tenant=tenant)
    assert 200 == answer.status, answer.body
    instance_id: str = answer.json["id"]
    return instance_id


async def pages(world: World, path: str, tenant: str = "one") -> list[list[str]]:
    """Follow the links of a list; gives the ids of each page."""
    found: list[list[str]] = []
    while path:
        answer = await world.ask("GET", path, tenant=tenant)
        assert 200 == answer.status, answer.body
        found.append([item["id"] for item in answer.json["items"]])
        link = answer.header("link")
        path = link[link.index(PREFIX) + len(PREFIX) : link.index(">")] if link else ""
    return found


async def listed(world: World, path: str, tenant: str = "one") -> list[str]:
    return [one for page in await pages(world, path, tenant) for one in page]


async def test_labels_of_dag_and_start_are_shown_wherever_the_instance_is(world: World) -> None:
    dag_id = await world.create(LABELLED)
    instance_id = await start(world, dag_id, "Ada", order="4711", team="returns")
    expected = {"name": "Ada", "team": "returns", "by": "manual", "order": "4711"}

    shown = (await world.ask("GET", f"/instances/{instance_id}")).json
    assert (expected, "manual") == (shown["labels"], shown["trigger"])
    for path in ("/instances", f"/dags/{dag_id}/instances"):
        [item] = (await world.ask("GET", path)).json["items"]
        assert (expected, "manual") == (item["labels"], item["trigger"])
    [first, *_] = (await world.ask("GET", f"/instances/{instance_id}/journal")).json["items"]
    assert expected == first["events"][0]["labels"]


async def test_instance_without_labels_shows_none(world: World) -> None:
    instance_id = await world.run()
    shown = (await world.ask("GET", f"/instances/{instance_id}")).json
    assert ({}, "manual") == (shown["labels"], shown["trigger"])


async def test_labels_are_part_of_a_keyed_request_only_when_given(world: World) -> None:
    dag_id, key = await world.create(LABELLED), {"idempotency-key": "k"}

    async def run(query: str) -> tuple[int, Any]:
        answer = await world.ask("POST", f"/dags/{dag_id}/run?{query}", {"name": "a"}, headers=key)
        return answer.status, answer.json.get("code") or answer.json["id"]

    status, first = await run("label=order:1")
    assert (202, first) == (status, (await run("label=order:1"))[1])
    for other in ("label=order:2", "label=order:1&label=more:x", ""):
        assert (422, "idempotency-key-reused") == await run(other)
    plain = await world.ask("POST", f"/dags/{dag_id}/run", {"name": "a"}, headers={"idempotency-key": "p"})
    again = await world.ask("POST", f"/dags/{dag_id}/run", {"name": "a"}, headers={"idempotency-key": "p"})
    assert plain.json["id"] == again.json["id"]
    assert 2 == len(await listed(world, "/instances"))


@pytest.mark.parametrize("name", ["", "x" * 257])
async def test_label_that_cannot_be_refuses_the_start_and_stores_nothing(world: World, name: str) -> None:
    dag_id = await world.create(LABELLED)
    answer = await world.ask("POST", f"/dags/{dag_id}/run", {"name": name}, headers={"idempotency-key": "k"})

    assert (422, "input-invalid") == (answer.status, answer.json["code"])
    [fault] = answer.json["errors"]
    assert ("input.label", "/settings/labels/name") == (fault["code"], fault["pointer"])
    assert [] == await listed(world, "/instances")
    again = await world.ask("POST", f"/dags/{dag_id}/run", {"name": "fine"}, headers={"idempotency-key": "k"})
    assert 202 == again.status


@pytest.mark.parametrize(
    "query",
    [
        "label=order",
        "label=:x",
        "label=order:",
        "label=1st:x",
        "label=a%20b:x",
        f"label=a:{'x' * 257}",
        "label=a:%00",
        "label=a:1&label=a:2",
        "&".join(f"label=l{number}:x" for number in range(LABELS_COUNT_MAX + 1)),
    ],
)
async def test_label_of_a_wrong_form_is_refused_by_starts_and_lists(world: World, query: str) -> None:
    dag_id = await world.create()
    asked = [("POST", f"/dags/{dag_id}/run"), ("GET", "/instances"), ("GET", f"/dags/{dag_id}/instances")]
    for method, path in asked:
        answer = await world.ask(method, f"{path}?{query}")
        assert (400, "query-invalid") == (answer.status, answer.json["code"])
        assert "?label" == answer.json["errors"][0]["pointer"]
    assert [] == await listed(world, "/instances")


async def test_labels_of_start_and_dag_together_are_bounded(world: World) -> None:
    dag_id = await world.create(LABELLED)
    query = "&".join(f"label=l{number}:x" for number in range(LABELS_COUNT_MAX))
    answer = await world.ask("POST", f"/dags/{dag_id}/run?{query}", {"name": "a"})

    assert (422, "?label") == (answer.status, answer.json["errors"][0]["pointer"])


async def test_lists_are_filtered_by_labels_and_trigger_beside_all_else(world: World) -> None:
    dag_id, other = await world.create(LABELLED), await world.create({**LABELLED, "title": "Other"})
    first, second = await start(world, dag_id, region="eu"), await start(world, dag_id, "b", region="eu", order="a:b c")
    third = await start(world, other, region="eu")
    await start(world, dag_id, region="us")

    assert [third, second, first] == await listed(world, "/instances?label=region:eu&limit=2")
    assert [second] == await listed(world, "/instances?label=region:eu&label=order:a%3Ab%20c")
    assert [second] == await listed(world, "/instances?label=name:b&label=region:eu&label=team:orders&trigger=manual")
    assert [third] == await listed(world, f"/instances?label=region:eu&dag_id={other}&version=v1.0.0&status=succeeded")
    assert [second, first] == await listed(world, f"/dags/{dag_id}/instances?label=region:eu&version=v1.0.0&limit=1")
    assert [] == await listed(world, f"/dags/{dag_id}/instances?version=v1.0.1")
    assert [] == await listed(world, "/instances?label=region:eu&status=failed")
    assert [] == await listed(world, "/instances?label=region:eu&created_to=2026-01-01T00:00:00Z")
    assert [] == await listed(world, f"/dags/{dag_id}/instances?created_to=2026-01-01T00:00:00Z")
    assert [third] == await listed(world, "/instances?label=region:eu&text=Other")
    assert 4 == len(await listed(world, "/instances?trigger=manual"))
    for kind in KINDS[1:]:
        assert [] == await listed(world, f"/instances?trigger={kind}")
    assert 400 == (await world.ask("GET", "/instances?trigger=clock")).status


async def test_labels_of_another_tenant_find_nothing(world: World) -> None:
    theirs = await world.create(LABELLED, "two")
    await start(world, theirs, tenant="two", region="eu")
    mine = await world.create(LABELLED)

    assert [] == await listed(world, "/instances?label=region:eu")
    own = await start(world, mine, region="eu")
    assert [own] == await listed(world, "/instances?label=region:eu&label=team:orders")


async def test_pages_that_end_short_lead_on_to_all_that_was_asked_for() -> None:
    async with open_world(walk_rows_max=2) as world:
        dag_id, other = await world.create(LABELLED), await world.create()
        rare = [await start(world, dag_id, region="eu")]
        for _ in range(5):
            await start(world, other)
        rare.append(await start(world, dag_id, region="eu"))

        found = await pages(world, "/instances?label=region:eu&limit=50")
        assert rare[::-1] == [one for page in found for one in page]
        assert [1, 0, 0, 1] == [len(page) for page in found]
        assert rare[::-1] == await listed(world, "/instances?text=Labelled&limit=50")


async def test_cancel_of_a_dag_takes_labels_and_trigger() -> None:
    async with open_world(walk_rows_max=1) as world:
        dag_id = await world.create(HANGING)
        ids = []
        for region in ("eu", "us", "eu"):
            answer = await world.ask("POST", f"/dags/{dag_id}/run?label=region:{region}")
            ids.append(answer.json["id"])

        async def cancel(**chosen: Any) -> tuple[int, Any]:
            answer = await world.ask("POST", f"/dags/{dag_id}/cancel", {"filter": chosen, "dry_run": True})
            return answer.status, answer.json.get("count")

        assert (200, 2) == await cancel(labels={"region": "eu"})
        assert (200, 1) == await cancel(labels={"region": "us"}, trigger="manual")
        assert (200, 0) == await cancel(trigger="cron")
        assert 422 == (await cancel(labels={"1st": "x"}))[0]
        told = await world.ask("POST", f"/dags/{dag_id}/cancel", {"filter": {"labels": {"region": "us"}}})
        assert {"count": 1, "has_more": False} == told.json
        shown = (await world.ask("GET", f"/instances/{ids[1]}")).json
        assert shown["status"] in {"cancelling", "cancelled"}


async def test_labels_make_another_version_of_a_dag(world: World) -> None:
    first = await world.ask("POST", "/dags", {**ONE_STEP, "title": "Same"})
    labelled = {**ONE_STEP, "title": "Same", "settings": {"labels": {"team": "orders"}}}
    second = await world.ask("POST", "/dags?if_exists=publish", labelled)
    assert ("v1.0.0", "v1.0.1") == (first.json["version"], second.json["version"])
    diff = await world.ask("GET", f"/dags/{first.json['id']}/versions/v1.0.0/diff/v1.0.1")
    assert "/settings/labels" in diff.json["fields"]
