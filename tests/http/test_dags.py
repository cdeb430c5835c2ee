"""Routes of DAGs."""

from __future__ import annotations

import asyncio

from tests.http.world import HANGING, ONE_STEP, PREFIX, World

KEY = {"idempotency-key": "release-7"}


async def test_dag_created_from_json_is_listed_and_read_with_its_document(world: World) -> None:
    answer = await world.ask("POST", "/dags", ONE_STEP)
    assert 201 == answer.status
    dag = answer.json
    assert f"{PREFIX}/dags/{dag['id']}" == answer.header("location")
    assert ("v1.0.0", "One step", "normal") == (dag["version"], dag["title"], dag["status"])
    assert {"items": [dag], "next": None} == (await world.ask("GET", "/dags")).json
    detail = (await world.ask("GET", f"/dags/{dag['id']}")).json
    assert ONE_STEP["steps"] == detail["document"]["steps"]


async def test_dag_created_from_yaml_is_the_same_as_from_json(world: World) -> None:
    document = b'title: One step\nsteps:\n  - {id: greet, operator: "@debug/noop"}\n'
    answer = await world.ask("POST", "/dags", document, headers={"content-type": "application/yaml; charset=utf-8"})
    assert 201 == answer.status
    same = {"title": "Other", "steps": [{"id": "greet", "operator": "@debug/noop"}]}
    assert answer.json["content_hash"] == (await world.ask("POST", "/dags", same)).json["content_hash"]


async def test_title_that_exists_is_refused_and_published_on_request(world: World) -> None:
    first = (await world.ask("POST", "/dags", ONE_STEP)).json
    refused = await world.ask("POST", "/dags", ONE_STEP)
    assert (409, "dag-title-taken") == (refused.status, refused.json["code"])
    same = (await world.ask("POST", "/dags?if_exists=publish", ONE_STEP)).json
    assert (first["id"], "v1.0.0") == (same["id"], same["version"])
    changed = {**ONE_STEP, "steps": [{"id": "other", "operator": "@debug/noop"}], "outputs": {}}
    assert "v1.0.1" == (await world.ask("POST", "/dags?if_exists=publish", changed)).json["version"]


async def test_new_version_is_what_the_next_start_runs(world: World) -> None:
    dag_id = await world.create()
    await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {})
    changed = {**ONE_STEP, "outputs": {"text": "changed"}}
    await world.ask("POST", "/dags?if_exists=publish", changed)
    ended = (await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {})).json
    assert ({"text": "changed"}, "v1.0.1") == (ended["outputs"], ended["version"])
    old = (await world.ask("POST", f"/dags/{dag_id}/run?wait=30&version=v1.0.0", {})).json
    assert ({"text": "Hello world"}, "v1.0.0") == (old["outputs"], old["version"])


async def test_list_goes_on_from_its_cursor_without_loss(world: World) -> None:
    ids = [await world.create({**ONE_STEP, "title": f"DAG {number}"}) for number in range(5)]
    seen, path = [], "/dags?limit=2"
    while path:
        answer = await world.ask("GET", path)
        seen += [dag["id"] for dag in answer.json["items"]]
        link = answer.header("link")
        path = link[link.index(PREFIX) + len(PREFIX) : link.index(">")] if link else ""
    assert ids == seen


async def test_invalid_document_answers_every_fault_with_its_place(world: World) -> None:
    document = b"title: T\nsteps:\n  - id: a-b\n    operator: '@debug/nop'\n    colour: red\n"
    answer = await world.ask("POST", "/dags", document, headers={"content-type": "application/yaml"})
    assert (422, "dag-invalid") == (answer.status, answer.json["code"])
    found = {(fault["code"], fault["pointer"], fault["line"]) for fault in answer.json["errors"]}
    expected = {
        ("dag.schema", "/steps/0/id", 3),
        ("dag.operator.unknown", "/steps/0/operator", 4),
        ("dag.schema", "/steps/0/colour", 5),
    }
    assert expected <= found
    assert {"items": [], "next": None} == (await world.ask("GET", "/dags")).json


async def test_undecodable_document_answers_400(world: World) -> None:
    for document, media_type in (
        (b"{", "application/json"),
        (b"a: &x 1\nb: *x\n", "text/yaml"),
        (b"\xff", "text/yaml"),
    ):
        answer = await world.ask("POST", "/dags", document, headers={"content-type": media_type})
        assert (400, "dag-undecodable", "dag.syntax") == (
            answer.status, answer.json["code"], answer.json["errors"][0]["code"],
        )  # fmt: skip


async def test_validate_lists_faults_and_stores_nothing(world: World) -> None:
    assert {"is_valid": True, "errors": []} == (await world.ask("POST", "/dags/validate", ONE_STEP)).json
    wrong = (await world.ask("POST", "/dags/validate", {"title": "T", "steps": []})).json
    assert (False, "/steps") == (wrong["is_valid"], wrong["errors"][0]["pointer"])
    assert {"items": [], "next": None} == (await world.ask("GET", "/dags")).json


async def test_s45_stopped_dag_starts_nothing(world: World) -> None:
    dag_id = await world.create({**HANGING, "status": "stopped"})
    answer = await world.ask("POST", f"/dags/{dag_id}/run", {})
    assert (409, "dag-stopped") == (answer.status, answer.json["code"])


async def test_repeated_key_answers_the_first_dag_byte_for_byte(world: World) -> None:
    first = await world.ask("POST", "/dags", ONE_STEP, headers=KEY)
    again = await world.ask("POST", "/dags", ONE_STEP, headers=KEY)
    assert 201 == first.status
    assert (first.status, first.body, first.header("location")) == (again.status, again.body, again.header("location"))
    assert [first.json] == (await world.ask("GET", "/dags")).json["items"]


async def test_key_sent_again_with_another_request_is_refused(world: World) -> None:
    await world.ask("POST", "/dags", ONE_STEP, headers=KEY)
    changed = {**ONE_STEP, "title": "Another"}
    for path, body in (("/dags", changed), ("/dags?if_exists=publish", ONE_STEP), ("/dags", {"title": 1})):
        answer = await world.ask("POST", path, body, headers=KEY)
        assert (422, "idempotency-key-reused") == (answer.status, answer.json["code"])
    assert 1 == len((await world.ask("GET", "/dags")).json["items"])


async def test_key_is_free_for_another_tenant(world: World) -> None:
    mine = await world.ask("POST", "/dags", ONE_STEP, headers=KEY)
    theirs = await world.ask("POST", "/dags", ONE_STEP, headers=KEY, tenant="two")
    assert (201, 201) == (mine.status, theirs.status)
    assert mine.json["id"] != theirs.json["id"]


async def test_key_of_a_refused_request_may_be_used_again(world: World) -> None:
    refused = await world.ask("POST", "/dags", {"title": "T", "steps": []}, headers=KEY)
    assert 422 == refused.status
    assert 201 == (await world.ask("POST", "/dags", ONE_STEP, headers=KEY)).status


async def test_repeat_after_a_later_publication_answers_what_it_answered_first(world: World) -> None:
    path = "/dags?if_exists=publish"
    first = await world.ask("POST", path, {**ONE_STEP, "version": "v1.1.0"}, headers=KEY)
    later = await world.ask("POST", path, {**ONE_STEP, "outputs": {}, "version": "v1.2.0"})
    again = await world.ask("POST", path, {**ONE_STEP, "version": "v1.1.0"}, headers=KEY)
    assert ("v1.1.0", "v1.2.0") == (first.json["version"], later.json["version"])
    assert (201, first.body) == (again.status, again.body)
    assert "v1.2.0" == (await world.ask("GET", f"/dags/{first.json['id']}")).json["version"]


async def test_publication_without_a_change_keeps_its_answer_too(world: World) -> None:
    path = "/dags?if_exists=publish"
    await world.create()
    first = await world.ask("POST", path, ONE_STEP, headers=KEY)
    await world.ask("POST", path, {**ONE_STEP, "outputs": {}})
    again = await world.ask("POST", path, ONE_STEP, headers=KEY)
    assert (201, "v1.0.0", first.body) == (again.status, again.json["version"], again.body)


async def test_requests_with_one_key_at_the_same_time_create_one_dag(world: World) -> None:
    for path in ("/dags", "/dags?if_exists=publish"):
        document = {**ONE_STEP, "title": f"By {len(path)}", "version": "v1.0.0"}
        key = {"idempotency-key": f"at-once-{len(path)}"}
        answers = await asyncio.gather(*(world.ask("POST", path, document, headers=key) for _ in range(8)))
        assert {201} == {answer.status for answer in answers}
        assert 1 == len({answer.body for answer in answers})


async def test_key_that_is_no_key_is_refused(world: World) -> None:
    answer = await world.ask("POST", "/dags", ONE_STEP, headers={"idempotency-key": "a b"})
    assert (400, "header-invalid") == (answer.status, answer.json["code"])
    assert [] == (await world.ask("GET", "/dags")).json["items"]
