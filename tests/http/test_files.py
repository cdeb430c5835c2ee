"""Files over HTTP: up, listed, down in parts, gone."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest

from core.file import files as files_module
from core.ports.object_store import CHUNK_BYTES
from tests.http.world import PREFIX, Answer, World, call

CONTENT = bytes(range(256)) * 8
HASH = hashlib.sha256(CONTENT).hexdigest()
BOUNDARY = "x-boundary"


async def upload(world: World, content: bytes = CONTENT, name: str = "data/one.bin", **more: Any) -> Answer:
    headers = {"content-type": "application/x-thing", **more.pop("headers", {})}
    return await world.ask("POST", f"/files?name={name}", content, headers=headers, **more)


def form(
    content: bytes = CONTENT, *, filename: str = "one.csv", field: str = "file", end: str = "--", more: str = ""
) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\nContent-Type: text/csv\r\n\r\n'
    return head.encode() + content + f"\r\n{more}--{BOUNDARY}{end}\r\n".encode()


async def send_form(world: World, body: bytes, path: str = "/files", boundary: str = BOUNDARY) -> Answer:
    kind = f"multipart/form-data; boundary={boundary}" if boundary else "multipart/form-data"
    return await world.ask("POST", path, body, headers={"content-type": kind})


async def test_raw_body_becomes_a_file_that_reads_back_equal(world: World) -> None:
    made = await upload(world)
    assert 201 == made.status, made.body
    file_id = made.json["id"]
    expected = {"name": "data/one.bin", "media_type": "application/x-thing", "bytes": len(CONTENT), "sha256": HASH}
    assert expected == {name: made.json[name] for name in expected}
    assert f"{PREFIX}/files/{file_id}" == made.header("location")
    assert made.json == (await world.ask("GET", f"/files/{file_id}")).json
    down = await world.ask("GET", f"/files/{file_id}/content")
    assert (200, CONTENT) == (down.status, down.body)
    assert ("application/x-thing", str(len(CONTENT))) == (down.header("content-type"), down.header("content-length"))


async def test_form_with_one_file_becomes_a_file_of_its_name_and_type(world: World) -> None:
    made = await send_form(world, form())
    assert 201 == made.status, made.body
    assert ("one.csv", "text/csv", HASH) == (made.json["name"], made.json["media_type"], made.json["sha256"])
    named = await send_form(world, form(), "/files?name=other.csv")
    assert "other.csv" == named.json["name"]


async def test_form_that_comes_in_pieces_of_one_byte_is_the_same_file(world: World) -> None:
    body = form(b"a\r\n--x-bound\r\nb")
    headers = [
        ("authorization", f"Bearer {world.keys['one']}"),
        ("content-type", f"multipart/form-data; boundary={BOUNDARY}"),
    ]

    class Pieces:
        """A body that ends with its last byte, where the harness would go on."""

        def __init__(self) -> None:
            self.left = [body[n : n + 1] for n in range(len(body))]

        async def __call__(self) -> Any:
            piece = self.left.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self.left)}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": f"{PREFIX}/files", "raw_path": b"", "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": ("192.0.2.1", 1), "server": ("127.0.0.1", 1), "extensions": {},
    }  # fmt: skip
    await world.public(scope, Pieces(), send)
    made = msgspec.json.decode(sent[1]["body"])
    assert 201 == sent[0]["status"], made
    down = await world.ask("GET", f"/files/{made['id']}/content")
    assert b"a\r\n--x-bound\r\nb" == down.body


@pytest.mark.parametrize(
    ("body", "boundary", "status"),
    [
        (form(field="other"), BOUNDARY, 422),
        (form(more=f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="more"\r\n\r\n1\r\n'), BOUNDARY, 422),
        (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'.encode() + form(), BOUNDARY, 422),
        (f"--{BOUNDARY}--\r\n".encode(), BOUNDARY, 422),
        (b"", BOUNDARY, 422),
        (form(end=""), BOUNDARY, 400),
        (form()[:-20], BOUNDARY, 400),
        (b"no form at all", BOUNDARY, 422),
        (b"\r\n" + b"x" * 100, BOUNDARY, 422),
        (form(), "", 400),
        (f"--{BOUNDARY}\r\nX: {'y' * 9000}\r\n\r\n".encode(), BOUNDARY, 400),
        (f"--{BOUNDARY}\r\nbroken header\r\n\r\n".encode(), BOUNDARY, 400),
    ],
)
async def test_form_that_is_not_one_file_is_refused_and_stores_nothing(
    world: World, body: bytes, boundary: str, status: int
) -> None:
    answer = await send_form(world, body, boundary=boundary)
    assert status == answer.status, answer.body
    assert [] == (await world.ask("GET", "/files")).json["items"]


@pytest.mark.parametrize(
    "name",
    [
        "", "..", "../../etc/passwd", "/etc/passwd", "a/../b", "a//b", "a/", "./a", "a\\b", "C:\\a", "%00", "a%0d%0ab",
        "%E2%80%AEgpj", "%1b", "a%2F..%2Fb", "a/%20/b", "x" * 256,
    ],
)  # fmt: skip
async def test_name_that_could_be_a_path_or_hides_something_is_refused(world: World, name: str) -> None:
    answer = await upload(world, name=name)
    assert answer.status in {400, 422}, answer.body
    assert [] == (await world.ask("GET", "/files")).json["items"]


@pytest.mark.parametrize("media_type", ["text", "text/", "a b/c", "text/html; x=\x7f", "text/x; =", "t" * 300 + "/x"])
async def test_media_type_that_is_none_is_refused(world: World, media_type: str) -> None:
    answer = await upload(world, headers={"content-type": media_type})
    assert (422, "request-invalid") == (answer.status, answer.json["code"])


async def test_body_without_a_media_type_is_bytes(world: World) -> None:
    headers = [("authorization", f"Bearer {world.keys['one']}")]
    made = await call(world.public, "POST", f"{PREFIX}/files?name=a", headers, b"x")
    assert "application/octet-stream" == made.json["media_type"]


async def test_compressed_body_is_refused(world: World) -> None:
    answer = await upload(world, headers={"content-encoding": "gzip"})
    assert (415, "media-type-unsupported") == (answer.status, answer.json["code"])


@pytest.mark.parametrize("kind", ["raw", "form", "announced"])
async def test_file_over_the_bound_is_refused_and_stores_nothing(world: World, kind: str) -> None:
    world.box.files().file_bytes_max = CHUNK_BYTES
    content = bytes(CHUNK_BYTES + 1)
    if kind == "form":
        answer = await send_form(world, form(content))
    else:
        headers = {"content-length": str(len(content))} if kind == "announced" else {}
        answer = await upload(world, b"x" if kind == "announced" else content, headers=headers)
    assert (413, "body-too-large") == (answer.status, answer.json["code"])
    assert CHUNK_BYTES == answer.json["limit_bytes"]
    assert [] == (await world.ask("GET", "/files")).json["items"]
    assert 201 == (await upload(world, bytes(CHUNK_BYTES))).status


async def test_body_that_ends_early_stores_nothing(world: World) -> None:
    headers = [("authorization", f"Bearer {world.keys['one']}")]
    answer = await call(world.public, "POST", f"{PREFIX}/files?name=a", headers, b"part", iter([b"more"]))
    assert (400, "request-malformed") == (answer.status, answer.json["code"])
    assert [] == (await world.ask("GET", "/files")).json["items"]


@pytest.mark.parametrize(
    ("asked", "status", "expected", "place"),
    [
        ("bytes=0-0", 206, CONTENT[:1], f"bytes 0-0/{len(CONTENT)}"),
        ("bytes=10-19", 206, CONTENT[10:20], f"bytes 10-19/{len(CONTENT)}"),
        ("bytes=2000-", 206, CONTENT[2000:], f"bytes 2000-{len(CONTENT) - 1}/{len(CONTENT)}"),
        ("bytes=-5", 206, CONTENT[-5:], f"bytes {len(CONTENT) - 5}-{len(CONTENT) - 1}/{len(CONTENT)}"),
        ("bytes=-99999", 206, CONTENT, f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"),
        ("Bytes=2040-99999", 206, CONTENT[2040:], f"bytes 2040-{len(CONTENT) - 1}/{len(CONTENT)}"),
        ("bytes=5-2", 200, CONTENT, None),
        ("bytes=-", 200, CONTENT, None),
        ("bytes=0-1,3-4", 200, CONTENT, None),
        ("lines=1-2", 200, CONTENT, None),
        ("bytes=a-b", 200, CONTENT, None),
    ],
)
async def test_range_gives_its_bytes_or_the_whole(
    world: World, asked: str, status: int, expected: bytes, place: str | None
) -> None:
    file_id = (await upload(world)).json["id"]
    down = await world.ask("GET", f"/files/{file_id}/content", headers={"range": asked})
    assert (status, expected, place) == (down.status, down.body, down.header("content-range"))
    assert str(len(expected)) == down.header("content-length")


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=-0", "bytes=99999-100000"])
async def test_range_behind_the_end_is_told_with_the_length(world: World, asked: str) -> None:
    file_id = (await upload(world)).json["id"]
    answer = await world.ask("GET", f"/files/{file_id}/content", headers={"range": asked})
    assert (416, "range-unsatisfiable") == (answer.status, answer.json["code"])
    assert f"bytes */{len(CONTENT)}" == answer.header("content-range")


async def test_content_that_the_caller_has_is_not_sent_again(world: World) -> None:
    made = await upload(world)
    path = f"/files/{made.json['id']}/content"
    tag = (await world.ask("GET", path)).header("etag") or ""
    assert (f'"{HASH}"', made.header("etag")) == (tag, tag)
    for held in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = await world.ask("GET", path, headers={"if-none-match": held})
        assert (304, b"", tag) == (answer.status, answer.body, answer.header("etag"))
    assert 200 == (await world.ask("GET", path, headers={"if-none-match": '"other"'})).status
    part = {"range": "bytes=0-1"}
    assert 206 == (await world.ask("GET", path, headers={**part, "if-range": tag})).status
    assert 200 == (await world.ask("GET", path, headers={**part, "if-range": '"other"'})).status


async def test_file_without_bytes_comes_back_without_bytes(world: World) -> None:
    file_id = (await upload(world, b"")).json["id"]
    down = await world.ask("GET", f"/files/{file_id}/content")
    assert (200, b"", "0") == (down.status, down.body, down.header("content-length"))


async def test_content_is_saved_and_never_shown_as_this_services_page(world: World) -> None:
    made = await upload(world, name="a/%C3%BCber%20%22x%22.html", headers={"content-type": "text/html"})
    down = await world.ask("GET", f"/files/{made.json['id']}/content")
    assert "attachment; filename=\"_ber _x_.html\"; filename*=UTF-8''%C3%BCber%20%22x%22.html" == down.header(
        "content-disposition"
    )
    assert "nosniff" == down.header("x-content-type-options")
    assert "sandbox; default-src 'none'" == down.header("content-security-policy")


async def test_list_pages_by_name_within_the_prefix(world: World) -> None:
    for name in ("b", "a/2", "a/1", "c"):
        await upload(world, name=name)
    first = await world.ask("GET", "/files?limit=3")
    assert ["a/1", "a/2", "b"] == [row["name"] for row in first.json["items"]]
    rest = await world.ask("GET", f"/files?limit=3&cursor={first.json['next']}")
    assert (["c"], None) == ([row["name"] for row in rest.json["items"]], rest.json["next"])
    within = await world.ask("GET", "/files?prefix=a/")
    assert ["a/1", "a/2"] == [row["name"] for row in within.json["items"]]


async def test_deleted_file_is_gone_with_its_bytes(world: World) -> None:
    file_id = (await upload(world)).json["id"]
    answer = await world.ask("DELETE", f"/files/{file_id}")
    assert (204, b"") == (answer.status, answer.body)
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        assert 404 == (await world.ask(method, f"/files/{file_id}{path}")).status
    assert [] == list(await world.box.object_store().list("one", prefix="", after="", limit=10))


async def test_repeat_with_the_same_key_gives_the_first_answer_and_one_file(world: World) -> None:
    key = {"idempotency-key": "k-1"}
    first = await upload(world, headers=key)
    second = await upload(world, headers=key)
    assert (first.status, first.body, first.header("location")) == (
        second.status, second.body, second.header("location"),
    )  # fmt: skip
    other = await upload(world, b"other", headers=key)
    assert (422, "idempotency-key-reused") == (other.status, other.json["code"])
    assert 1 == len((await world.ask("GET", "/files")).json["items"])
    assert 1 == len(await world.box.object_store().list("one", prefix="", after="", limit=10))
    assert (await upload(world, headers=key, tenant="two")).json["id"] != first.json["id"]


async def test_uploads_beyond_the_bound_are_refused_before_they_are_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "UPLOADS_COUNT_MAX", 0)
    answer = await upload(world)
    assert (429, "queue-full") == (answer.status, answer.json["code"])
    assert [("uploads", {"taken": 0, "most": 0})] == [(one["name"], one["value"]) for one in answer.json["why"]]
    assert answer.header("retry-after")


async def test_caller_that_leaves_ends_its_download(world: World) -> None:
    file_id = (await upload(world, bytes(20 * CHUNK_BYTES))).json["id"]
    left = asyncio.Event()
    messages: list[Any] = []

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)
        if len(messages) == 4:
            left.set()
        await asyncio.sleep(0)

    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": f"{PREFIX}/files/{file_id}/content", "raw_path": b"", "query_string": b"", "root_path": "",
        "headers": [(b"authorization", f"Bearer {world.keys['one']}".encode())],
        "client": ("192.0.2.1", 1), "server": ("127.0.0.1", 1), "extensions": {},
    }  # fmt: skip
    await world.public(scope, receive, send)
    assert len(messages) < 10
    assert all(message.get("more_body") for message in messages[1:])


async def test_viewer_reads_and_may_not_upload_or_delete(world: World) -> None:
    file_id = (await upload(world)).json["id"]
    world.keys["viewer"] = (await world.box.access_service().add_key("one", "reader", ["viewer"])).text
    assert 200 == (await world.ask("GET", f"/files/{file_id}/content", tenant="viewer")).status
    refused = await upload(world, tenant="viewer")
    assert (403, "file:create") == (refused.status, refused.json["permission"])
    assert 403 == (await world.ask("DELETE", f"/files/{file_id}", tenant="viewer")).status
