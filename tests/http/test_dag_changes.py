"""Routes that change DAGs, and the states that changes are made upon."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.http.world import HANGING, ONE_STEP, PREFIX, Answer, World

MISSING_ID = "01JD3V6Q0R5M9T8W7X2Y4Z1A3B"
CHANGED = {**ONE_STEP, "outputs": {"text": "changed"}}


async def _tag(world: World, dag_id: str, part: str = "") -> str:
    return (await world.ask("GET", f"/dags/{dag_id}{part}")).header("etag") or ""


async def _put(world: World, path: str, document: Any, tag: str = "*") -> Answer:
    return await world.ask("PUT", path, document, headers={"if-match": tag})


async def test_update_publishes_the_next_version_upon_the_state_that_was_read(world: World) -> None:
    dag_id = await world.create()
    tag = await _tag(world, dag_id)
    updated = await _put(world, f"/dags/{dag_id}", CHANGED, tag)
    assert (200, "v1.0.1") == (updated.status, updated.json["version"])
    assert updated.header("etag") == await _tag(world, dag_id) != tag
    late = await _put(world, f"/dags/{dag_id}", ONE_STEP, tag)
    assert (412, "dag-changed") == (late.status, late.json["code"])
    ended = (await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {})).json
    assert ({"text": "changed"}, "v1.0.1") == (ended["outputs"], ended["version"])


async def test_of_two_updates_upon_one_state_one_is_refused(world: World) -> None:
    dag_id = await world.create()
    tag = await _tag(world, dag_id)
    documents = [{**ONE_STEP, "outputs": {"n": number}} for number in range(4)]
    answers = await asyncio.gather(*(_put(world, f"/dags/{dag_id}", document, tag) for document in documents))
    assert [200, 412, 412, 412] == sorted(answer.status for answer in answers)


async def test_updates_upon_any_state_are_all_published(world: World) -> None:
    dag_id = await world.create()
    documents = [{**ONE_STEP, "outputs": {"n": number}} for number in range(4)]
    answers = await asyncio.gather(*(_put(world, f"/dags/{dag_id}", document) for document in documents))
    assert {200} == {answer.status for answer in answers}
    assert ["v1.0.1", "v1.0.2", "v1.0.3", "v1.0.4"] == sorted(answer.json["version"] for answer in answers)


async def test_change_that_names_no_state_is_refused_before_its_body_is_read(world: World) -> None:
    dag_id = await world.create()
    for method, path in (("PUT", f"/dags/{dag_id}"), ("DELETE", f"/dags/{dag_id}"), ("PUT", f"/dags/{dag_id}/draft")):
        answer = await world.ask(method, path, b"{")
        assert (428, "precondition-missing") == (answer.status, answer.json["code"])
    assert 200 == (await world.ask("GET", f"/dags/{dag_id}")).status


@pytest.mark.parametrize("tag", ['W/"1"', '"2"', '"2", W/"1"', '""'])
async def test_tag_of_another_state_changes_nothing(world: World, tag: str) -> None:
    dag_id = await world.create()
    assert 412 == (await _put(world, f"/dags/{dag_id}", CHANGED, tag)).status


@pytest.mark.parametrize("tag", ["1", '"1', '"1" "2"', "", '"' + "x" * 600 + '"'])
async def test_tag_that_is_no_tag_is_refused(world: World, tag: str) -> None:
    dag_id = await world.create()
    assert (400, "header-invalid") == _said(await _put(world, f"/dags/{dag_id}", CHANGED, tag))


async def test_one_of_several_tags_is_enough(world: World) -> None:
    dag_id = await world.create()
    assert 200 == (await _put(world, f"/dags/{dag_id}", CHANGED, '"7" , "1"')).status


async def test_reader_who_has_the_state_already_gets_no_body(world: World) -> None:
    dag_id = await world.create()
    for path in (f"/dags/{dag_id}", f"/dags/{dag_id}/draft", f"/dags/{dag_id}/versions/v1.0.0", "/operators/catalog"):
        read = await world.ask("GET", path)
        tag = read.header("etag") or ""
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await world.ask("GET", path, headers={"if-none-match": known})
            assert (304, b"", tag) == (again.status, again.body, again.header("etag")), path
            assert again.header("content-length") is None
        for known in ('"other"', "0", "", tag + "x", tag * 200):
            other = await world.ask("GET", path, headers={"if-none-match": known})
            assert (200, read.body) == (other.status, other.body)


async def test_update_with_faults_or_a_taken_title_changes_nothing(world: World) -> None:
    dag_id = await world.create()
    await world.create({**ONE_STEP, "title": "Taken"})
    tag = await _tag(world, dag_id)
    for document, expected in (
        ({**ONE_STEP, "steps": []}, (422, "dag-invalid")),
        (b"{", (400, "dag-undecodable")),
        ({**ONE_STEP, "title": "Taken"}, (409, "dag-title-taken")),
        ({**CHANGED, "version": "v0.9.0"}, (422, "dag-invalid")),
    ):
        assert expected == _said(await _put(world, f"/dags/{dag_id}", document))
    assert tag == await _tag(world, dag_id)


async def test_update_of_the_description_makes_no_version_and_is_shown_in_the_document(world: World) -> None:
    dag_id = await world.create()
    renamed = await _put(world, f"/dags/{dag_id}", {**ONE_STEP, "title": "Renamed", "tags": ["x"]})
    assert ("v1.0.0", "Renamed") == (renamed.json["version"], renamed.json["title"])
    document = (await world.ask("GET", f"/dags/{dag_id}")).json["document"]
    assert ("Renamed", ["x"]) == (document["title"], document["tags"])
    version = (await world.ask("GET", f"/dags/{dag_id}/versions/v1.0.0")).json["document"]
    assert ONE_STEP == version


async def test_deleted_dag_is_gone_its_title_free_and_its_instances_go_on(world: World) -> None:
    dag_id = await world.create(HANGING)
    started = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    await world.target.called.wait()
    tag = await _tag(world, dag_id)
    deleted = await world.ask("DELETE", f"/dags/{dag_id}", headers={"if-match": tag})
    assert (200, dag_id) == (deleted.status, deleted.json["id"])
    for method, path in (("GET", ""), ("POST", "/run"), ("GET", "/versions"), ("GET", "/draft"), ("POST", "/activate")):
        assert 404 == (await world.ask(method, f"/dags/{dag_id}{path}")).status
    assert 404 == (await world.ask("DELETE", f"/dags/{dag_id}", headers={"if-match": tag})).status
    assert 201 == (await world.ask("POST", "/dags", HANGING)).status
    world.target.released.set()
    ended = (await world.ask("GET", f"/instances/{started}?wait=30")).json
    assert "failed" == ended["status"]


async def test_deactivated_dag_starts_nothing_until_it_is_activated(world: World) -> None:
    dag_id = await world.create()
    for act, status, run in (("deactivate", "stopped", 409), ("activate", "normal", 200)):
        first, again = [await world.ask("POST", f"/dags/{dag_id}/{act}") for _ in range(2)]
        assert (200, status, "v1.0.0") == (first.status, first.json["status"], first.json["version"])
        assert (first.body, first.header("etag")) == (again.body, again.header("etag"))
        assert run == (await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {})).status


async def test_batch_gives_each_dag_its_own_result(world: World) -> None:
    ids = [await world.create({**ONE_STEP, "title": f"D{number}", "tags": ["t"]}) for number in range(3)]
    theirs = await world.create(tenant="two")
    asked = [ids[0], "no id", theirs, MISSING_ID, ids[0]]
    got = (await world.ask("POST", "/dags:batch", {"action": "get", "ids": asked, "fields": ["title"]})).json
    assert [ids[0], "no id", theirs, MISSING_ID] == [item["id"] for item in got["items"]]
    assert {"id": ids[0], "dag": {"title": "D0"}, "error": None} == got["items"][0]
    assert [None, *["dag-not-found"] * 3] == [item["error"] and item["error"]["code"] for item in got["items"]]
    assert 200 == (await world.ask("GET", f"/dags/{theirs}", tenant="two")).status
    stopped = (await world.ask("POST", "/dags:batch", {"action": "deactivate", "filter": {"tag": "t"}})).json
    assert (3, False) == (len(stopped["items"]), stopped["has_more"])
    assert {"stopped"} == {item["dag"]["status"] for item in stopped["items"]}
    await world.ask("POST", "/dags:batch", {"action": "activate", "ids": ids[:1]})
    deleted = (await world.ask("POST", "/dags:batch", {"action": "delete", "filter": {"status": "stopped"}})).json
    assert [(ids[1], None, None), (ids[2], None, None)] == [
        (item["id"], item["dag"], item["error"]) for item in deleted["items"]
    ]
    assert [ids[0]] == [dag["id"] for dag in (await world.ask("GET", "/dags")).json["items"]]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"action": "get"}, [""]),
        ({"action": "get", "ids": ["x"], "filter": {}}, [""]),
        ({"action": "burn", "ids": []}, ["/action", "/ids"]),
        ({"action": "get", "ids": ["x"] * 201}, ["/ids"]),
        ({"action": "get", "ids": ["x"], "fields": ["colour"]}, ["/fields/0"]),
        ({"action": "get", "filter": {"colour": "red"}, "extra": 1}, ["/extra", "/filter/colour"]),
        ([], [""]),
    ],
)
async def test_batch_that_does_not_fit_names_every_fault(world: World, body: Any, pointers: list[str]) -> None:
    answer = await world.ask("POST", "/dags:batch", body)
    assert (422, "request-invalid") == _said(answer)
    assert pointers == sorted(fault["pointer"] for fault in answer.json["errors"])


async def test_cancel_of_a_dag_cancels_every_instance_of_it_that_has_not_ended(world: World) -> None:
    dag_id, other = await world.create(HANGING), await world.create({**HANGING, "title": "Other"})
    ended = await world.run()
    started = [(await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"] for _ in range(3)]
    kept = (await world.ask("POST", f"/dags/{other}/run", {})).json["id"]
    answer = await world.ask("POST", f"/dags/{dag_id}/cancel", {"reason": "by mistake"})
    assert (202, {"count": 3, "has_more": False}) == (answer.status, answer.json)
    listed = (await world.ask("GET", f"/dags/{dag_id}/instances")).json["items"]
    assert {"cancelling"} == {row["status"] for row in listed}
    assert sorted(started) == sorted(row["id"] for row in listed)
    assert {"count": 0, "has_more": False} == (await world.ask("POST", f"/dags/{dag_id}/cancel")).json
    world.target.released.set()
    assert "cancelled" == (await world.ask("GET", f"/instances/{started[0]}?wait=30")).json["status"]
    assert "failed" == (await world.ask("GET", f"/instances/{kept}?wait=30")).json["status"]
    assert "succeeded" == (await world.ask("GET", f"/instances/{ended}")).json["status"]
    for body in ({"why": 1}, {"reason": 7}):
        assert 422 == (await world.ask("POST", f"/dags/{dag_id}/cancel", body)).status


async def test_cancel_in_a_filter_ends_those_alone_and_a_dry_run_counts(world: World) -> None:
    dag_id = await world.create(HANGING)
    first = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    path = f"/dags/{dag_id}/cancel"
    counted = await world.ask("POST", path, {"dry_run": True})
    assert (200, {"count": 1, "has_more": False}) == (counted.status, counted.json)
    shown = (await world.ask("GET", f"/instances/{first}")).json
    assert "running" == shown["status"]
    kept = ({"version": "v9.9.9"}, {"status": "queued"}, {"created_to": shown["created_at"]})
    for chosen in kept:
        assert 0 == (await world.ask("POST", path, {"filter": chosen})).json["count"]
    chosen = {"version": "v1.0.0", "status": "running", "created_from": shown["created_at"]}
    assert 1 == (await world.ask("POST", path, {"filter": chosen})).json["count"]
    world.target.released.set()
    assert "cancelled" == (await world.ask("GET", f"/instances/{first}?wait=30")).json["status"]


@pytest.mark.parametrize(
    "chosen",
    [{"status": "failed"}, {"colour": "red"}, {"created_from": "soon"}, {"created_to": "2026-01-31T08:30:00"}, 7],
)
async def test_cancel_in_a_filter_that_does_not_fit_is_refused(world: World, chosen: Any) -> None:
    dag_id = await world.create()
    answer = await world.ask("POST", f"/dags/{dag_id}/cancel", {"filter": chosen})
    assert (422, "request-invalid") == _said(answer)


async def test_instances_of_a_dag_page_newest_first(world: World) -> None:
    dag_id = await world.create()
    started = [(await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {})).json["id"] for _ in range(3)]
    seen: list[str] = []
    path = f"/dags/{dag_id}/instances?limit=2&status=succeeded"
    while path:
        answer = await world.ask("GET", path)
        seen += [row["id"] for row in answer.json["items"]]
        link = answer.header("link")
        path = link[link.index(PREFIX) + len(PREFIX) : link.index(">")] if link else ""
    assert started[::-1] == seen
    assert [] == (await world.ask("GET", f"/dags/{dag_id}/instances?status=failed")).json["items"]


def _said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["code"]
