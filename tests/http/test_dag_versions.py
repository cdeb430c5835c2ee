"""Routes of versions and drafts, lists of DAGs, and what helps to write one."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.world import ONE_STEP, PREFIX, World

CHANGED = {**ONE_STEP, "outputs": {"text": "changed"}}
KEY = {"idempotency-key": "release-7"}
ANY = {"if-match": "*"}


async def _titles(world: World, query: str) -> list[str]:
    return [dag["title"] for dag in (await world.ask("GET", f"/dags?{query}")).json["items"]]


async def test_draft_is_edited_saved_and_published(world: World) -> None:
    dag_id = await world.create()
    read = await world.ask("GET", f"/dags/{dag_id}/draft")
    assert (False, ONE_STEP, None) == (read.json["is_saved"], read.json["document"], read.json["saved_by"])
    tag = read.header("etag") or ""
    saved = await world.ask("PUT", f"/dags/{dag_id}/draft", CHANGED, headers={"if-match": tag})
    assert (200, True, []) == (saved.status, saved.json["is_valid"], saved.json["errors"])
    again = await world.ask("PUT", f"/dags/{dag_id}/draft", ONE_STEP, headers={"if-match": tag})
    assert (412, "dag-changed") == (again.status, again.json["code"])
    read = await world.ask("GET", f"/dags/{dag_id}/draft")
    assert (True, CHANGED, saved.header("etag")) == (read.json["is_saved"], read.json["document"], read.header("etag"))
    assert "v1.0.0" == (await world.ask("GET", f"/dags/{dag_id}")).json["version"]
    published = await world.ask("POST", f"/dags/{dag_id}/versions", {"version": "v2.0.0", "change_log": "says more"})
    assert (201, "v2.0.0") == (published.status, published.json["version"])
    location = published.header("location") or ""
    version = (await world.ask("GET", location, prefix="")).json
    assert ("says more", CHANGED["outputs"]) == (version["change_log"], version["document"]["outputs"])
    after = await world.ask("GET", f"/dags/{dag_id}/draft")
    assert (False, "v2.0.0") == (after.json["is_saved"], after.json["document"]["version"])
    none = await world.ask("POST", f"/dags/{dag_id}/versions")
    assert (409, "draft-missing") == (none.status, none.json["code"])


async def test_draft_with_faults_is_kept_and_not_published(world: World) -> None:
    dag_id = await world.create()
    document = b"title: Half\nsteps:\n  - id: a-b\n"
    headers = {**ANY, "content-type": "application/yaml"}
    saved = (await world.ask("PUT", f"/dags/{dag_id}/draft", document, headers=headers)).json
    assert (False, "/steps/0/id", 3) == (
        saved["is_valid"], saved["errors"][-1]["pointer"], saved["errors"][-1]["line"],
    )  # fmt: skip
    refused = await world.ask("POST", f"/dags/{dag_id}/versions")
    assert (422, "dag-invalid") == (refused.status, refused.json["code"])
    assert {"title": "Half", "steps": [{"id": "a-b"}]} == (await world.ask("GET", f"/dags/{dag_id}/draft")).json[
        "document"
    ]
    for wrong, status in (([1], 422), (b"{", 400)):
        assert status == (await world.ask("PUT", f"/dags/{dag_id}/draft", wrong, headers=ANY)).status


async def test_publication_of_a_draft_with_a_key_happens_once(world: World) -> None:
    dag_id = await world.create()
    await world.ask("PUT", f"/dags/{dag_id}/draft", CHANGED, headers=ANY)
    path = f"/dags/{dag_id}/versions"
    answers = await asyncio.gather(*(world.ask("POST", path, headers=KEY) for _ in range(4)))
    assert {(201, answers[0].body)} == {(answer.status, answer.body) for answer in answers}
    await world.ask("PUT", f"/dags/{dag_id}/draft", {**ONE_STEP, "outputs": {}}, headers=ANY)
    late = await world.ask("POST", path, headers=KEY)
    assert (201, "v1.0.1") == (late.status, late.json["version"])
    reused = await world.ask("POST", path, {"version": "v3.0.0"}, headers=KEY)
    assert (422, "idempotency-key-reused") == (reused.status, reused.json["code"])
    assert "v1.0.1" == (await world.ask("GET", f"/dags/{dag_id}")).json["version"]


async def test_rollback_runs_the_old_content_under_the_next_version(world: World) -> None:
    dag_id = await world.create()
    await world.ask("PUT", f"/dags/{dag_id}", {**CHANGED, "title": "Renamed"}, headers=ANY)
    answers = [await world.ask("POST", f"/dags/{dag_id}/versions/v1.0.0/rollback", headers=KEY) for _ in range(2)]
    assert (201, "v1.0.2", "Renamed") == (
        answers[0].status, answers[0].json["version"], answers[0].json["title"],
    )  # fmt: skip
    assert answers[0].body == answers[1].body
    ended = (await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {})).json
    assert ({"text": "Hello world"}, "v1.0.2") == (ended["outputs"], ended["version"])
    again = (await world.ask("POST", f"/dags/{dag_id}/versions/v1.0.0/rollback")).json
    assert "v1.0.2" == again["version"]
    for version in ("v9.9.9", "x"):
        assert 404 == (await world.ask("POST", f"/dags/{dag_id}/versions/{version}/rollback")).status


async def test_versions_page_newest_first_without_their_documents(world: World) -> None:
    dag_id = await world.create({**ONE_STEP, "version": "v1.9.0"})
    for version in ("v1.10.0", "v2.0.0"):
        document = {**ONE_STEP, "outputs": {"v": version}, "version": version}
        await world.ask("PUT", f"/dags/{dag_id}", document, headers=ANY)
    first = (await world.ask("GET", f"/dags/{dag_id}/versions?limit=2")).json
    rest = (await world.ask("GET", f"/dags/{dag_id}/versions?limit=2&cursor={first['next']}")).json
    assert ["v2.0.0", "v1.10.0", "v1.9.0"] == [row["version"] for row in first["items"] + rest["items"]]
    assert rest["next"] is None
    assert not [row for row in first["items"] if "document" in row]


async def test_difference_of_two_versions_names_steps_and_fields(world: World) -> None:
    dag_id = await world.create()
    steps = [*ONE_STEP["steps"], {"id": "more", "operator": "@debug/noop"}]
    await world.ask("PUT", f"/dags/{dag_id}", {**CHANGED, "steps": steps}, headers=ANY)
    found = (await world.ask("GET", f"/dags/{dag_id}/versions/v1.0.0/diff/v1.0.1")).json
    assert ([{"id": "more", "pointer": "/steps/1"}], [], ["/outputs"], False) == (
        found["added"], found["removed"], found["fields"], found["is_same_content"],
    )  # fmt: skip
    same = (await world.ask("GET", f"/dags/{dag_id}/versions/v1.0.0/diff/v1.0.0")).json
    assert (True, []) == (same["is_same_content"], same["added"])
    assert 404 == (await world.ask("GET", f"/dags/{dag_id}/versions/v1.0.0/diff/v7.0.0")).status


async def test_graph_draws_the_newest_version_or_the_one_named(world: World) -> None:
    dag_id = await world.create()
    steps = [*ONE_STEP["steps"], {"id": "more", "operator": "@debug/noop"}]
    await world.ask("PUT", f"/dags/{dag_id}", {**ONE_STEP, "steps": steps}, headers=ANY)
    drawn = (await world.ask("GET", f"/dags/{dag_id}/graph")).json
    assert [{"source": "greet", "target": "more"}] == drawn["edges"]
    old = (await world.ask("GET", f"/dags/{dag_id}/graph?version=v1.0.0")).json
    assert (["greet"], ["steps"]) == (
        [node["id"] for node in old["nodes"]],
        [group["id"] for group in old["groups"]],
    )


async def test_suggested_title_is_free_and_the_wish_where_it_can_be(world: World) -> None:
    assert {"title": "New DAG"} == (await world.ask("GET", "/dags/suggest-name")).json
    assert {"title": "One step"} == (await world.ask("GET", "/dags/suggest-name?title=One+step")).json
    await world.create()
    await world.create({**ONE_STEP, "title": "One step 2"})
    assert {"title": "One step 3"} == (await world.ask("GET", "/dags/suggest-name?title=One+step")).json
    assert {"title": "One step"} == (await world.ask("GET", "/dags/suggest-name?title=One+step", tenant="two")).json


async def test_catalog_lists_every_operator_with_its_schemas(world: World) -> None:
    found = {one["name"]: one for one in (await world.ask("GET", "/operators/catalog")).json["items"]}
    assert {"@control/map", "@debug/noop", "@http/request", "@json/parse"} <= found.keys()
    assert "object" == found["@http/request"]["parameters"]["type"]
    assert ("control", True) == (found["@control/map"]["kind"], found["@control/map"]["is_available"])
    assert (True, True) == (found["@control/loop"]["is_available"], found["@control/call"]["is_available"])


async def test_list_is_filtered_sorted_and_cut_to_fields(world: World) -> None:
    for title, tags in (("Beta", ["x"]), ("alpha", ["x", "y"]), ("Gamma", [])):
        await world.create({**ONE_STEP, "title": title, "tags": tags})
    stopped = (await world.ask("GET", "/dags?text=GAM")).json["items"][0]["id"]
    await world.ask("POST", f"/dags/{stopped}/deactivate")
    for query, expected in (
        ("", ["Beta", "alpha", "Gamma"]),
        ("sort=-created_at", ["Gamma", "alpha", "Beta"]),
        ("sort=title", ["Beta", "Gamma", "alpha"]),
        ("sort=-title&limit=2", ["alpha", "Gamma"]),
        ("sort=-updated_at&limit=1", ["Gamma"]),
        ("tag=x", ["Beta", "alpha"]),
        ("tag=x&text=ALP", ["alpha"]),
        ("status=stopped", ["Gamma"]),
        ("page=2&limit=2", ["Gamma"]),
        ("page=9&limit=2", []),
    ):
        assert expected == await _titles(world, query), query
    found = (await world.ask("GET", "/dags?fields=title,status&text=beta")).json["items"]
    assert [{"title": "Beta", "status": "normal"}] == found


async def test_pages_in_any_order_lose_no_dag(world: World) -> None:
    for number in range(5):
        await world.create({**ONE_STEP, "title": f"D{number}"})
    for query in ("sort=-title", "sort=updated_at", "sort=-updated_at", "sort=-created_at", "page=1"):
        seen: list[str] = []
        path = f"/dags?limit=2&{query}"
        while path:
            answer = await world.ask("GET", path)
            seen += [dag["title"] for dag in answer.json["items"]]
            link = answer.header("link")
            path = link[link.index(PREFIX) + len(PREFIX) : link.index(">")] if link else ""
        assert [f"D{number}" for number in range(5)] == sorted(seen), query
        assert 5 == len(seen)


@pytest.mark.parametrize("query", ["fields=colour", "fields=title,", "page=0", "page=1001", "sort=colour", "status=on"])
async def test_list_query_that_is_not_allowed_is_refused(world: World, query: str) -> None:
    answer = await world.ask("GET", f"/dags?{query}")
    assert (400, "query-invalid") == (answer.status, answer.json["code"])
    assert 1 == len(answer.json["errors"])


async def test_cursor_is_of_one_order_and_stands_beside_no_page(world: World) -> None:
    for number in range(2):
        await world.create({**ONE_STEP, "title": f"D{number}"})
    cursor = (await world.ask("GET", "/dags?limit=1&sort=title")).json["next"]
    for query in (f"cursor={cursor}", f"cursor={cursor}&sort=-title", f"cursor={cursor}&sort=title&page=1"):
        assert 400 == (await world.ask("GET", f"/dags?{query}")).status
    assert ["D1"] == await _titles(world, f"cursor={cursor}&sort=title")
