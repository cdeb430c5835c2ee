"""S-01, S-02, S-04, S-08, S-16: what is open, and who gets in. The matrix comes from the route table."""

from __future__ import annotations

import re

import msgspec
import pytest

from driven_adapters.system import SystemDice
from driver_adapters.http.app import PUBLIC_ON_PRIVATE_SERVER, PUBLIC_OPERATIONS, build_public_app, full_path
from driver_adapters.http.guard import KeyGuard, Unguarded, check_guards, route_handlers
from tests.http.world import PREFIX, World

ID = "01JD3V6Q0R5M9T8W7X2Y4Z1A3B"
# The golden list: whoever changes it opens a route to everybody, and says so in review.
OPEN_PATHS = {
    "/health/alive",
    "/health/ready",
    f"{PREFIX}/schemas/dag.json",
    f"{PREFIX}/schemas/openapi.json",
    f"{PREFIX}/docs",
    f"{PREFIX}/callbacks/{{token:str}}",  # its token is the credential (S27)
}
KEY_FORM = "flow_AAAAAAAA_" + "a" * 32


def _path(template: str) -> str:
    return re.sub(r"\{[^}]+\}", ID, template)


def _guarded(world: World) -> list[tuple[str, str]]:
    return [
        (operation.method, _path(full_path(operation, PREFIX)))
        for operation in world.operations
        if operation.id not in PUBLIC_OPERATIONS
    ]


async def test_public_routes_are_exactly_the_golden_list(world: World) -> None:
    open_paths = {
        route.path
        for route, handler in route_handlers(world.public)
        if not any(isinstance(guard, KeyGuard) for guard in handler.resolve_guards())
    }
    assert OPEN_PATHS == open_paths
    assert {"isAlive", "isReady", "readMetrics"} == PUBLIC_ON_PRIVATE_SERVER


async def test_route_without_a_guard_keeps_the_process_from_starting(world: World) -> None:
    with pytest.raises(Unguarded, match="health"):
        check_guards(world.public, frozenset())


async def test_operation_that_nobody_declared_public_gets_the_guard(world: World) -> None:
    closed = [operation for operation in world.operations if operation.id == "isAlive"]
    renamed = [msgspec.structs.replace(operation, id="isAliveToo") for operation in closed]
    app = build_public_app(renamed, world.box.access_service(), world.box.request_rates(), SystemDice(), prefix=PREFIX)
    answer = await world.ask("GET", "/health/alive", tenant=None, prefix="", app=app)
    assert 401 == answer.status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Basic ZmxvdzpmbG93"},
        {"authorization": KEY_FORM},
        {"authorization": f"Bearer {KEY_FORM}"},
        {"authorization": f"Bearer {KEY_FORM}x"},
        {"authorization": "Bearer flow_" + "é" * 8 + "_" + "a" * 32},
        {"authorization": "Bearer " + "a" * 10_000},
        {"x-api-key": KEY_FORM},
        {"cookie": f"authorization=Bearer {KEY_FORM}"},
    ],
)
async def test_every_guarded_route_refuses_what_is_no_valid_key(world: World, headers: dict[str, str]) -> None:
    bodies = set()
    for method, path in _guarded(world):
        answer = await world.ask(method, path, headers=headers, tenant=None, prefix="")
        assert (401, "unauthenticated") == (answer.status, answer.json["code"]), path
        assert 'Bearer realm="flow"' == answer.header("www-authenticate")
        bodies.add((answer.json["title"], answer.json["detail"]))
    assert 1 == len(bodies)


async def test_two_authorization_headers_are_refused_even_if_both_are_valid(world: World) -> None:
    for method, path in _guarded(world):
        valid = {"Authorization": f"Bearer {world.keys['two']}"}
        answer = await world.ask(method, path, headers=valid, prefix="")
        assert (400, "header-invalid") == (answer.status, answer.json["code"])


async def test_key_in_the_query_is_no_key(world: World) -> None:
    for method, path in _guarded(world):
        answer = await world.ask(method, f"{path}?access_token={world.keys['one']}", tenant=None, prefix="")
        assert 401 == answer.status


@pytest.mark.parametrize(
    "trick",
    [
        "/health", "/health/alive", "/ready", "/configs", "/metrics", "//", "/./", "/../", "/%2e", "/%2f", ";x", "?",
        ".", "/", "/docs", "/schemas/dag.json",
    ],
)  # fmt: skip
async def test_suffixes_open_nothing(world: World, trick: str) -> None:
    for method, path in _guarded(world):
        for prefix in ("", "/health/..", "//"):
            answer = await world.ask(method, f"{prefix}{path}{trick}", tenant=None, prefix="")
            assert answer.status in {401, 404}, (method, path, trick)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "BREW"])
async def test_other_methods_open_nothing_and_name_the_allowed_ones(world: World, method: str) -> None:
    allowed: dict[str, set[str]] = {}
    for known, path in _guarded(world):
        allowed.setdefault(path, set()).add(known)
    for path, methods in allowed.items():
        assert 401 == (await world.ask(method, path, tenant=None, prefix="")).status
        if method not in methods:
            answer = await world.ask(method, path, prefix="")
            assert (405, "method-not-allowed") == (answer.status, answer.json["code"])
            assert methods == set((answer.header("allow") or "").split(", "))


@pytest.mark.parametrize("name", ["x-http-method-override", "x-original-url", "x-rewrite-url", "x-forwarded-for"])
async def test_headers_that_rename_the_request_are_ignored(world: World, name: str) -> None:
    for method, path in _guarded(world):
        answer = await world.ask(method, path, headers={name: "/health/alive"}, tenant=None, prefix="")
        assert 401 == answer.status


async def test_unknown_path_is_a_problem_document_without_a_key(world: World) -> None:
    answer = await world.ask("GET", "/nothing", tenant=None)
    assert (404, "route-not-found") == (answer.status, answer.json["code"])


async def test_answers_allow_no_other_origin_and_set_no_cookie(world: World) -> None:
    answer = await world.ask("GET", "/dags", headers={"origin": "https://evil.example"})
    assert 200 == answer.status
    names = {name for name, _ in answer.headers}
    assert not {name for name in names if name.startswith("access-control-")} | names & {"set-cookie"}


async def test_host_and_proxy_headers_change_no_answer(world: World) -> None:
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
    answer = await world.ask(
        "POST", "/dags", {"title": "T", "steps": [{"id": "a", "operator": "@debug/noop"}]}, headers=headers
    )
    assert 201 == answer.status
    assert b"evil" not in answer.body
    assert (answer.header("location") or "").startswith(f"{PREFIX}/dags/")


async def test_slashes_in_the_path_name_no_other_server_in_the_answer(world: World) -> None:
    dag_id = await world.create()
    for path in (f"//{PREFIX}/dags/{dag_id}/run", f"{PREFIX}//dags//{dag_id}/run/"):
        answer = await world.ask("POST", path, {}, prefix="")
        assert f"{PREFIX}/instances/{answer.json['id']}" == answer.header("location")
