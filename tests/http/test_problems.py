"""The one converter of errors, tested per class; and a page for each."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema_rs import validator_for

from core.errors import (
    CredentialMissing,
    DagInvalid,
    ErrorKind,
    Exhausted,
    FlowError,
    InstanceEnded,
    NotAllowed,
    QueueFull,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
)
from core.predicate import full_node
from driven_adapters.system import SystemDice
from driver_adapters.http.app import build_public_app, openapi_document
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import HttpFault
from driver_adapters.http.operation import Operation
from driver_adapters.http.problem import STATUSES, internal_reply, problem_document, problem_reply, status_of
from driver_adapters.http.problem_shapes import BOUND_EXAMPLES
from tests.http.world import PREFIX, World

PAGES = Path(__file__).parents[2] / "docs" / "problems"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BOUND = full_node("uploads", 4, 4, "one of them ends")
EXPECTED_STATUSES = {
    "undecodable": 400, "unauthenticated": 401, "forbidden": 403, "not_found": 404, "conflict": 409,
    "precondition": 412, "invalid": 422, "exhausted": 429, "unavailable": 503, "timeout": 504, "storage_full": 507,
}  # fmt: skip


def _classes() -> list[type[FlowError]]:
    """Every class of expected errors in the product."""
    for root in ("core", "driver_adapters", "driven_adapters", "module"):
        package = importlib.import_module(root)
        for found in pkgutil.walk_packages(package.__path__, f"{root}."):
            importlib.import_module(found.name)
    return [found for found in _below(FlowError) if "slug" in vars(found) and not found.__module__.startswith("tests")]


def _below(parent: type[FlowError]) -> Iterator[type[FlowError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _below(child)


def _made(error: type[FlowError]) -> FlowError:
    made = error.__new__(error)
    FlowError.__init__(made, "what happened this time")
    if error.__name__ == "MethodNotAllowed":
        made.allowed = ("GET",)  # type: ignore[attr-defined] # its own constructor takes them
    return made


def test_each_kind_has_its_status() -> None:
    assert EXPECTED_STATUSES == {kind.value: STATUSES[kind] for kind in ErrorKind}


def test_every_error_has_a_page_and_every_page_an_error() -> None:
    slugs = {error.slug for error in _classes()}
    assert slugs == {page.stem for page in PAGES.glob("*.md")}
    for error in _classes():
        text = (PAGES / f"{error.slug}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {error.title}\n\n`{error.slug}` · ")
        assert "## What to do" in text


def test_slugs_are_unique_and_titles_constant() -> None:
    classes = _classes()
    assert len(classes) == len({error.slug for error in classes})
    assert all(error.title and error.__doc__ for error in classes)


def test_every_class_becomes_a_whole_document() -> None:
    for error in _classes():
        reply = problem_reply(_made(error), TRACE)
        document = msgspec.json.decode(reply.body)
        assert status_of(error) == reply.status == document["status"]
        assert b"application/problem+json" == reply.media_type
        assert {
            "type": f"urn:flow:problem:{error.slug}",
            "title": error.title,
            "status": reply.status,
            "detail": "what happened this time",
            "instance": f"urn:flow:request:{TRACE}",
            "code": error.slug,
            "trace_id": TRACE,
        } == document


def test_fields_become_members_and_replace_none_of_ours() -> None:
    error = InstanceEnded("it ended", status="999", title="x", code="y", instance_status="failed")
    document = problem_document(error, TRACE)
    assert (409, "Instance has ended", "instance-ended", "failed") == (
        document["status"], document["title"], document["code"], document["instance_status"],
    )  # fmt: skip


def test_all_faults_are_listed_in_order() -> None:
    faults = [{"code": "dag.schema", "pointer": f"/steps/{number}", "message": "m"} for number in range(3)]
    assert faults == problem_document(DagInvalid("three", faults=faults), TRACE)["errors"]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(QueueFull("x", BOUND), b"1"), (StoreFull("x"), b"5"), (StoreUnavailable("x"), b"1")],
)
def test_errors_that_pass_say_when_to_come_again(error: FlowError, seconds: bytes) -> None:
    assert (b"retry-after", seconds) in problem_reply(error, TRACE).headers


def test_parts_of_seconds_are_rounded_up() -> None:
    error = QueueFull("x", BOUND)
    error.retry_after_s = 1.2
    assert (b"retry-after", b"2") in problem_reply(error, TRACE).headers


def test_other_errors_do_not_say_when_to_come_again() -> None:
    for error in (NotAllowed("x"), StoreTimeout("x")):
        assert not [name for name, _ in problem_reply(error, TRACE).headers if name == b"retry-after"]


def _exhausted() -> list[type[FlowError]]:
    return [error for error in _classes() if status_of(error) == 429]


def test_every_429_says_which_bound_was_reached() -> None:
    assert {"queue-full", "rate-limited", "signals-full", "streams-exhausted"} == {each.slug for each in _exhausted()}
    described = msgspec.json.decode(openapi_document(PREFIX))["components"]
    schema = {"$ref": "#/components/schemas/ExhaustedProblem", "components": described}
    for error in _exhausted():
        assert issubclass(error, Exhausted), f"{error.__name__} says no bound: derive it from Exhausted"
        assert "`why`" in (PAGES / f"{error.slug}.md").read_text(encoding="utf-8"), error.slug
        document = msgspec.json.decode(problem_reply(error("full", BOUND), TRACE).body)
        shown = {"name": "uploads", "value": {"taken": 4, "most": 4}, "holder_kind": "node", "holder": None}
        assert [{**shown, "next": "one of them ends", "at": None}] == document["why"]
        assert [] == [str(fault) for fault in validator_for(schema).iter_errors(document)]


def test_429_without_its_bound_cannot_be_made() -> None:
    for error in _exhausted():
        with pytest.raises(TypeError, match="bound"):
            error("full")


def test_every_429_has_an_example_that_fits_its_shape() -> None:
    document = msgspec.json.decode(openapi_document(PREFIX))
    assert set(_exhausted()) == set(BOUND_EXAMPLES)
    schema = {"$ref": "#/components/schemas/PredicateBody", "components": document["components"]}
    examples = [
        operation["responses"]["429"]["content"]["application/problem+json"]["example"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "429" in operation["responses"]
    ]
    assert len(examples) > 50
    for example in (*BOUND_EXAMPLES.values(), *(one for each in examples for one in each["why"])):
        assert [] == [str(fault) for fault in validator_for(schema).iter_errors(example)]


def test_missing_credential_names_the_scheme() -> None:
    assert (b"www-authenticate", b'Bearer realm="flow"') in problem_reply(CredentialMissing("x"), TRACE).headers


def test_internal_error_says_nothing_of_its_cause() -> None:
    document: Any = msgspec.json.decode(internal_reply(TRACE).body)
    assert (500, "internal-error", TRACE) == (document["status"], document["code"], document["trace_id"])


async def test_unknown_exception_of_a_handler_is_a_500_without_its_text(world: World) -> None:
    async def fail(call: Call) -> Reply:
        raise ValueError(f"secret of {call.path}")

    broken = Operation(id="isAlive", method="GET", path="/broken", summary="", tag="DAGs", handle=fail, answers=())
    app = build_public_app([broken], world.box.access_service(), world.box.request_rates(), SystemDice(), prefix=PREFIX)
    answer = await world.ask("GET", "/broken", app=app)
    assert (500, "internal-error", "application/problem+json") == (
        answer.status, answer.json["code"], answer.header("content-type"),
    )  # fmt: skip
    assert b"secret" not in answer.body
    assert b"ValueError" not in answer.body


def test_faults_of_http_have_client_statuses_but_for_ours() -> None:
    statuses = {error.slug: error.status for error in _below(HttpFault)}  # type: ignore[attr-defined] # HttpFault has it
    assert {"internal-error": 500, "not-ready": 503} == {slug: code for slug, code in statuses.items() if code >= 500}
