"""A file larger than the engine's memory goes up, through `@data/query` and down; the engine's memory stays flat."""

from __future__ import annotations

import hashlib
import http.client
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.budget import length
from tests.e2e.processes import environment, flow
from tests.figures import figure

BLOCK_BYTES = 1024 * 1024
LINES_IN_BLOCK = BLOCK_BYTES // 32
RSS_MIB_MAX = 300
TIMEOUT_S = 200.0
DAG = {
    "title": "Sum a large file",
    "inputs": {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"]},
    "steps": [
        {
            "id": "sum",
            "operator": "@data/query",
            "parameters": {
                "sql": "SELECT count(*) AS lines, sum(one_of_ten::BIGINT)::BIGINT AS total FROM f",
                "files": {"f": {"id": "{{ inputs.file }}", "format": "csv"}},
            },
        }
    ],
    "outputs": {"rows": "{{ steps.sum.output.rows }}"},
}


def blocks(block_count: int) -> Iterator[bytes]:
    """A CSV file of so many MiB: a line has 32 bytes, the first block begins with the names."""
    for number in range(block_count):
        lines = [b"%020d,0000000001\n" % (number * LINES_IN_BLOCK + n) for n in range(LINES_IN_BLOCK)]
        if not number:
            lines[0] = b"a_number_of_20_chars,one_of_ten\n"
        yield b"".join(lines)


def peak_mib(pid: int) -> float:
    """The most memory that the process ever had, its mapped files included."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


class Api:
    """A caller with one key, one connection per request."""

    def __init__(self, address: str, path: str, key: str) -> None:
        self._address, self._path = address, path
        self._headers = {"authorization": f"Bearer {key}", "connection": "close"}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, self._path + path, body, {**self._headers, **given})
        return connection.getresponse()

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        with self.ask(method, path, body, **headers) as answer:
            content = answer.read()
            assert answer.status in {200, 201, 202}, content
        return msgspec.json.decode(content)


@pytest.mark.timed
def test_file_of_a_gibibyte_is_stored_queried_and_sent_in_flat_memory(tmp_path: Path) -> None:
    block_count = length("large_file_mib")
    bytes_count = block_count * BLOCK_BYTES
    digest = hashlib.sha256()
    with flow("serve", given=environment(tmp_path / "data")) as process:
        key = process.wait_for(r"administrator key, shown this once: (\S+)").group(1)
        found = process.wait_for(r"API +http://([^/]+)(/\S+)")
        api = Api(found.group(1), found.group(2), key)

        def content() -> Iterator[bytes]:
            for block in blocks(block_count):
                digest.update(block)
                yield block

        made = api.json(
            "POST", "/files?name=large.csv", content(), content_type="text/csv", content_length=str(bytes_count)
        )
        assert (bytes_count, digest.hexdigest()) == (made["bytes"], made["sha256"])

        dag = api.json("POST", "/dags", msgspec.json.encode(DAG), content_type="application/json")
        inputs = msgspec.json.encode({"file": made["id"]})
        ran = api.json("POST", f"/dags/{dag['id']}/run?wait=60", inputs, content_type="application/json")
        lines = block_count * LINES_IN_BLOCK - 1
        assert {"rows": [{"lines": lines, "total": lines}]} == ran.get("outputs"), ran

        came = hashlib.sha256()
        with api.ask("GET", f"/files/{made['id']}/content") as answer:
            while piece := answer.read(BLOCK_BYTES):
                came.update(piece)
        assert digest.hexdigest() == came.hexdigest()
        peak = peak_mib(process.child.pid)
        assert 0 == process.end(signal.SIGTERM)
    assert figure("large_file_rss_mib", peak, f"< {RSS_MIB_MAX}", peak < RSS_MIB_MAX, file_mib=block_count)
