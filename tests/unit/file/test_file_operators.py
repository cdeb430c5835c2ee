"""`@file/*`: content in four encodings, one file per task, faults as kinds of a task's error."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from core.errors import StoreFull, StoreUnavailable
from core.executor.operator import Call, Failed, Outcome, Succeeded
from core.file.files import Files
from core.ports.file_store import FileRow
from driven_adapters.operators.file import CONTENT_BYTES_MAX, INLINE_BYTES_MAX, FileList, FileRead, FileWrite, told
from driven_adapters.operators.file_encoding import ContentInvalid, decode_content, encode_content
from tests.contract.operators.file_world import SCOPE, stored_files

BIG_TEXT = "é" * INLINE_BYTES_MAX


def call(parameters: Any, *, key: str = "key", domain_id: str = "default") -> Call:
    return Call(
        instance_id="i", domain_id=domain_id, task_path="step", idempotency_key=key, attempt=1, parameters=parameters,
        deadline_at=None, heartbeat=lambda: None,
    )  # fmt: skip


async def write(files: Files, content: Any, encoding: str = "text", **more: Any) -> Outcome:
    key = more.pop("key", "key")
    return await FileWrite(files).execute(
        call({"name": "a.txt", "content": content, "encoding": encoding, **more}, key=key)
    )


async def read(files: Files, encoding: str = "text", **more: Any) -> Outcome:
    return await FileRead(files).execute(call({"name": "a.txt", "encoding": encoding, **more}))


@pytest.mark.parametrize(
    ("encoding", "content", "expected"),
    [
        ("text", "", ""),
        ("text", BIG_TEXT, BIG_TEXT),
        ("json", {"a": [1, None, "é"]}, {"a": [1, None, "é"]}),
        ("json", [{"n": n} for n in range(10_000)], [{"n": n} for n in range(10_000)]),
        ("base64", base64.b64encode(bytes(range(256))).decode(), base64.b64encode(bytes(range(256))).decode()),
        (
            "csv",
            [{"a": 1, "b": 'x, "y"\nz'}, {"b": None, "c": [1]}, {"a": True}],
            [{"a": "1", "b": 'x, "y"\nz', "c": ""}, {"a": "", "b": "", "c": "[1]"}, {"a": "true", "b": "", "c": ""}],
        ),
        ("csv", [], []),
    ],
)
def test_content_that_was_written_is_read_again(encoding: str, content: Any, expected: Any) -> None:
    files = stored_files()

    async def scenario() -> Outcome:
        assert isinstance(await write(files, content, encoding), Succeeded)
        return await read(files, encoding)

    outcome = asyncio.run(scenario())

    assert isinstance(outcome, Succeeded), outcome
    assert expected == outcome.output["content"]


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("text", 1), ("text", "\ud800"), ("base64", "not base64!"), ("base64", ["a"]), ("csv", "a,b"), ("csv", [1]),
        ("json", "\ud800"),
    ],
)  # fmt: skip
def test_content_that_does_not_fit_its_encoding_is_invalid_and_writes_nothing(encoding: str, content: Any) -> None:
    files = stored_files()

    outcome = asyncio.run(write(files, content, encoding))

    assert isinstance(outcome, Failed)
    assert "invalid" == outcome.error_kind
    assert ["orders.csv"] == asyncio.run(names(files))


async def names(files: Files) -> list[str]:
    return [row.name for row in await files.list(SCOPE, prefix="", after=("", ""), limit=10)]


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("text", b"\xff"), ("json", b"{"), ("json", b"1e999"), ("json", b"[" * 200 + b"]" * 200), ("csv", b"a,a\n1,2\n"),
        ("csv", b"a,b\n1\n"), ("csv", b'a\n"open\n'), ("csv", b"\xff"),
    ],
)  # fmt: skip
def test_bytes_that_are_not_of_the_encoding_are_invalid(encoding: str, data: bytes) -> None:
    with pytest.raises(ContentInvalid):
        decode_content(data, encoding)


def test_mark_of_a_spreadsheet_is_no_part_of_the_first_name() -> None:
    assert [{"a": "1"}] == decode_content(b"\xef\xbb\xbfa\r\n1\r\n\r\n", "csv")


def test_repeated_attempt_gives_the_file_of_the_first() -> None:
    files = stored_files()

    async def scenario() -> list[Outcome]:
        return [await write(files, text, key=key) for text, key in (("one", "k1"), ("one", "k1"), ("two", "k2"))]

    first, again, other = asyncio.run(scenario())

    assert first == again
    assert isinstance(first, Succeeded)
    assert isinstance(other, Succeeded)
    assert first.output["id"] != other.output["id"]
    assert ["a.txt", "a.txt", "orders.csv"] == asyncio.run(names(files))


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({"name": "missing"}, "not_found"),
        ({"id": "01JD3V6Q0R5M9T8W7X2Y4Z1A3Z"}, "not_found"),
        ({"name": "../x"}, "invalid"),
        ({"name": "orders.csv", "bytes_max": 3}, "limit"),
        ({"name": "orders.csv", "encoding": "json"}, "invalid"),
    ],
)
def test_fault_of_a_read_is_a_kind_of_the_tasks_error(parameters: Any, kind: str) -> None:
    outcome = asyncio.run(FileRead(stored_files()).execute(call(parameters)))

    assert isinstance(outcome, Failed)
    assert kind == outcome.error_kind


def test_file_of_another_domain_is_not_found() -> None:
    outcome = asyncio.run(FileRead(stored_files()).execute(call({"name": "orders.csv"}, domain_id="dom-b")))

    assert isinstance(outcome, Failed)
    assert "not_found" == outcome.error_kind


@pytest.mark.parametrize(("more", "kind"), [({"name": "/etc/x"}, "invalid"), ({"media_type": "a b"}, "invalid")])
def test_fault_of_a_write_is_a_kind_of_the_tasks_error(more: Any, kind: str) -> None:
    outcome = asyncio.run(FileWrite(stored_files()).execute(call({"name": "a", "content": "b", **more})))

    assert isinstance(outcome, Failed)
    assert kind == outcome.error_kind


def test_content_over_the_bounds_is_a_limit() -> None:
    too_long = asyncio.run(write(stored_files(), "x" * (CONTENT_BYTES_MAX + 1)))
    too_large = asyncio.run(write(stored_files(file_bytes_max=2), "xyz"))

    assert isinstance(too_long, Failed)
    assert isinstance(too_large, Failed)
    assert ("limit", "limit") == (too_long.error_kind, too_large.error_kind)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(StoreFull("full"), "exhausted"), (StoreUnavailable("away"), "unavailable"), (OSError(5, "I/O"), "unavailable")],
)
def test_fault_of_the_store_is_one_that_is_tried_again(fault: Exception, kind: str) -> None:
    async def fail() -> Outcome:
        raise fault

    outcome = asyncio.run(told(fail()))

    assert isinstance(outcome, Failed)
    assert kind == outcome.error_kind


@pytest.mark.parametrize("operator", [FileRead, FileWrite, FileList])
def test_process_without_files_says_so(operator: Any) -> None:
    outcome = asyncio.run(operator(None).execute(call({"name": "a", "content": "b"})))

    assert isinstance(outcome, Failed)
    assert "unavailable" == outcome.error_kind


def test_list_pages_by_the_last_file_of_the_page_before() -> None:
    files = stored_files()

    async def page(**parameters: Any) -> Any:
        outcome = await FileList(files).execute(call(parameters))
        assert isinstance(outcome, Succeeded)
        return outcome.output

    async def scenario() -> tuple[Any, Any]:
        await write(files, "x", key="k1")
        first = await page(limit=1)
        last = first["files"][-1]
        return first, await page(limit=5, after={"id": last["id"], "name": last["name"]})

    first, rest = asyncio.run(scenario())

    assert (["a.txt"], False) == ([one["name"] for one in first["files"]], first["is_complete"])
    assert (["orders.csv"], True) == ([one["name"] for one in rest["files"]], rest["is_complete"])


def test_text_of_a_row_shows_no_principal() -> None:
    assert "created_by" not in FileRead.spec.output["properties"]["file"]["properties"]
    assert "created_by" in FileRow.__struct_fields__
    assert b"x" == encode_content("x", "text")
