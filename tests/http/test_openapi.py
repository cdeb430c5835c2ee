"""The committed OpenAPI document is the code's, and says everything about each operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from driver_adapters.http.app import openapi_document
from tests.http.world import PREFIX, World

COMMITTED = Path(__file__).parents[2] / "schema" / "openapi.json"
IDS = {
    "createDag", "listDags", "validateDag", "getDag", "runDag", "listInstances", "getInstance", "listTasks",
    "readJournal", "cancelInstance", "terminateInstance", "pauseInstance", "resumeInstance", "batchInstances", "readInstanceBatch", "listAudit", "verifyAudit",
    "isAlive", "isReady", "readDagSchema", "readOpenApi",
    "readApiPage", "updateDag", "deleteDag", "activateDag", "deactivateDag", "batchDags", "listVersions", "publishDraft",
    "getVersion", "diffVersions", "rollbackDag", "readGraph", "getDraft", "saveDraft", "listDagInstances", "cancelDag", "planDag",
    "suggestTitle", "listOperators", "readState", "readTimeline", "getTask", "readLogs", "streamEvents",
    "exportTrace", "diffInstances", "whyInstance", "whyTask", "verifyInstances",
    "rerunInstance", "skipTask", "completeTask", "failTask", "retryTask", "signalInstance", "callBack", "listApprovals", "decideApproval", "uploadFile", "listFiles", "getFile", "readFileContent", "deleteFile",
}  # fmt: skip


def _document() -> Any:
    return msgspec.json.decode(openapi_document(PREFIX))


def _operations() -> list[Any]:
    return [operation for methods in _document()["paths"].values() for operation in methods.values()]


def test_committed_document_is_what_the_code_says() -> None:
    hint = "python -m module.openapi > schema/openapi.json"
    assert COMMITTED.read_bytes() == openapi_document(PREFIX), hint


def test_operation_ids_are_stable() -> None:
    assert sorted(IDS) == sorted(operation["operationId"] for operation in _operations())


async def test_every_route_is_described(world: World) -> None:
    described = {(method.upper(), path) for path, methods in _document()["paths"].items() for method in methods}
    prefixed = {
        (operation.method, operation.path if operation.tag == "Operations" else PREFIX + operation.path)
        for operation in world.operations
    }
    assert prefixed == described


def test_every_guarded_operation_has_examples_and_problem_answers() -> None:
    for operation in _operations():
        if operation["security"]:
            assert {"400", "401", "403", "405", "429", "500", "503", "504"} <= operation["responses"].keys()
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            assert bool(content) == (status not in {"204", "304"})
            if int(status) >= 400:
                assert {"application/problem+json"} == content.keys()
                assert int(status) == content["application/problem+json"]["example"]["status"]
            elif content and operation["tags"] != ["Schemas"]:
                assert all("example" in told for told in content.values()), operation["operationId"]
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert "example" in content


def test_every_answer_of_a_guarded_operation_tells_the_limits_and_no_other() -> None:
    document = _document()
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in document["components"]["headers"]}
    assert {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy"} == references.keys()
    for operation in _operations():
        for status, answer in operation["responses"].items():
            headers = answer.get("headers", {})
            assert (references if operation["security"] else {}) == {
                name: header for name, header in headers.items() if name.startswith("RateLimit-")
            }
            assert (status == "429") <= ("Retry-After" in headers)


def test_objects_allow_no_other_fields_but_problems() -> None:
    shapes = _document()["components"]["schemas"]
    assert {"Problem", "ExhaustedProblem"} == {name for name, shape in shapes.items() if shape["additionalProperties"]}


async def test_real_answers_fit_the_described_shapes(world: World) -> None:
    from jsonschema_rs import validator_for

    document = _document()
    instance_id = await world.run()
    dag_id = (await world.ask("GET", "/dags")).json["items"][0]["id"]
    cases = {
        "DagPage": "/dags",
        "DagDetail": f"/dags/{dag_id}",
        "InstancePage": "/instances",
        "InstanceBody": f"/instances/{instance_id}",
        "TaskPageBody": f"/instances/{instance_id}/tasks",
        "JournalPageBody": f"/instances/{instance_id}/journal",
        "StateBody": f"/instances/{instance_id}/state",
        "TimelinePageBody": f"/instances/{instance_id}/timeline",
        "TaskDetailBody": f"/instances/{instance_id}/tasks/greet",
        "LinePageBody": f"/instances/{instance_id}/logs",
        "VerifiedBody": "/verify",
        "WhyBody": f"/instances/{instance_id}/why",
        "DifferenceBody": f"/instances/{instance_id}/diff/{instance_id}",
        "Problem": "/dags?limit=0",
    }
    for name, path in cases.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        faults = [str(fault) for fault in validator_for(schema).iter_errors((await world.ask("GET", path)).json)]
        assert [] == faults, name
