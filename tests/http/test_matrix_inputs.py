"""S-08, S-09: every route of the route table with ids that are paths, and with bodies that are not what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from core.errors import InstanceEnded
from driver_adapters.http.operation import Operation
from tests.http.matrix import Questions, Target
from tests.http.world import World, call

# What stands in the place of an id; each is sent as it is and percent-encoded.
TRAVERSALS = (
    "..", "../../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "file:///etc/passwd", "....//....//etc/passwd",
    "..%2f..%2fetc%2fpasswd", "%2e%2e%2f", "..;/", ".", "~root", "CON", "a\x00b", "\u2025\u2215", "x" * 10_000, "' OR 1=1 --",
    "{{ 7*7 }}", "${jndi:ldap://h/}", "01JD3V6Q0R5M9T8W7X2Y4Z1A3", "01JD3V6Q0R5M9T8W7X2Y4Z1A3B/..", "01jd3v6q0r5m9t8w7x2y4z1a3b",
    "\uff10\uff11JD3V6Q0R5M9T8W7X2Y4Z1A3B",
)  # fmt: skip
NAMES_AND_VERSIONS = frozenset({"version", "other_version", "task", "name"})
# Types that no route reads, whatever the body is.
FOREIGN_TYPES = (
    "text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonp", "image/png",
    "application/json, text/plain", "application/problem+json", "json",
)  # fmt: skip


def _with_ids(world: World) -> Iterator[tuple[Operation, str]]:
    for operation in world.operations:
        for name in re.findall(r"\{(\w+)\}", operation.path):
            if name not in NAMES_AND_VERSIONS:
                yield operation, name


async def test_path_in_the_place_of_an_id_is_answered_like_a_missing_one(world: World) -> None:
    questions, key = Questions(world), [("authorization", f"Bearer {world.keys['one']}")]
    target = await questions.target("one")
    tried = 0
    for operation, name in _with_ids(world):
        for text in TRAVERSALS:
            for sent in (text, quote(text, safe="")):
                path = target.path(operation, **{name: sent})
                answer = await questions.ask(operation, path, key)
                assert answer.status in {400, 404, 405}, (operation.id, sent[:80], answer.status, answer.body[:300])
                assert b"root:" not in answer.body
                tried += 1
    assert tried > len(TRAVERSALS)


async def test_task_that_is_a_path_is_answered_like_a_missing_one(world: World) -> None:
    questions, key = Questions(world), [("authorization", f"Bearer {world.keys['one']}")]
    target = await questions.target("one")
    operations = [
        (operation, name)
        for operation in world.operations
        for name in re.findall(r"\{(\w+)\}", operation.path)
        if name in NAMES_AND_VERSIONS
    ]
    assert operations
    for operation, name in operations:
        for text in TRAVERSALS:
            answer = await questions.ask(operation, target.path(operation, **{name: quote(text, safe="")}), key)
            # An act on an ended instance is refused whatever it names.
            allowed = {400, 404, 405} | ({409} if InstanceEnded in operation.problems else set())
            assert answer.status in allowed, (operation.id, text[:80], answer.body[:300])


def _with_bodies(world: World) -> list[Operation]:
    return [operation for operation in world.operations if operation.body is not None]


@pytest.mark.parametrize("media_type", FOREIGN_TYPES)
async def test_body_of_a_foreign_type_is_refused_by_every_route(world: World, media_type: str) -> None:
    target = await Questions(world).target("one")
    for operation in _with_bodies(world):
        if "application/octet-stream" in operation.body.media_types:  # type: ignore[union-attr] # as chosen above
            continue  # a file may be of any type
        answer = await _sent(world, operation, target, [("content-type", media_type)], b'{"title": "T"}')
        assert (415, "media-type-unsupported") == (answer[0], answer[1]), operation.id


async def test_form_sent_as_json_is_refused_and_json_sent_as_a_form_too(world: World) -> None:
    target = await Questions(world).target("one")
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n{}\r\n--x--\r\n'
    for operation in _with_bodies(world):
        status, _ = await _sent(world, operation, target, [("content-type", "multipart/form-data; boundary=x")], b"{}")
        assert 400 <= status < 500, operation.id
        if "application/json" in operation.body.media_types:  # type: ignore[union-attr] # as chosen above
            status, _ = await _sent(world, operation, target, [("content-type", "application/json")], form)
            assert status in {200, 400}, operation.id  # validation answers with what is wrong


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity"])
async def test_compressed_body_is_refused_by_every_route(world: World, encoding: str) -> None:
    target = await Questions(world).target("one")
    for operation in _with_bodies(world):
        headers = [("content-type", operation.body.media_types[0]), ("content-encoding", encoding)]  # type: ignore[union-attr] # as chosen above
        status, code = await _sent(world, operation, target, headers, b"\x1f\x8b" + b"0" * 64)
        assert (415, "media-type-unsupported") == (status, code), operation.id


async def _sent(
    world: World, operation: Operation, target: Target, headers: list[tuple[str, str]], body: bytes
) -> tuple[int, str]:
    sent = [("authorization", f"Bearer {world.keys['one']}"), *headers]
    if operation.needs_match:
        sent.append(("if-match", "*"))
    query = "?name=n.txt" if operation.id == "uploadFile" else ""
    answer = await call(world.public, operation.method, target.path(operation) + query, sent, body)
    return answer.status, answer.json.get("code", "")
