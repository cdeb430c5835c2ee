"""Promises with a number: printed as one line where they are measured, and kept as JSON lines when FLOW_FIGURES is set.

`python -m tests.figures FILE` prints the kept ones as one table with the machine and the versions.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

Value = float | int | str

# What a reader needs to know to measure again; the rest follows from requirements-dev.lock.
VERSIONS_SHOWN = ("apsw", "litestar", "msgspec", "uvicorn", "uvloop")

_lines: list[str] = []


def figure(name: str, value: Value, bound: str, ok: bool, **fields: Value) -> bool:
    """Print one figure, keep it for the table of the run, and say whether it holds.

    Args:
        name: what was measured with its unit last, after the promise's number when it has one: "F07 failover_p99_s".
        value: what was measured.
        bound: what was promised, in words a reader compares `value` with: "< 5".
        ok: whether the value is within the bound; the caller asserts it or ends with status 1.
        fields: how it was measured: n, seed, peers.

    Returns:
        `ok`, so that a caller can write `assert figure(...)`.
    """
    told = "".join(f" {key}={_shown(field)}" for key, field in fields.items())
    line = f'FIGURE {name}={_shown(value)} bound="{bound}"{told} {"ok" if ok else "FALLS SHORT"}'
    _lines.append(line)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    kept_at = os.environ.get("FLOW_FIGURES")
    if kept_at:
        record = {"name": name, "value": value, "bound": bound, "ok": ok, **fields}
        with Path(kept_at).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    return ok


def lines() -> tuple[str, ...]:
    """Give the lines of this process's figures in the order they were measured."""
    return tuple(_lines)


def table(records: list[dict[str, Value]], date: str) -> str:
    """Set kept figures as one Markdown table under the date, the machine and the versions they were measured with."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS_SHOWN)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}"
    head = [
        f"Measured {date} on {machine}; Python {platform.python_version()}, {versions}.",
        "",
        "| figure | value | bound | how | |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(head + [_row(record) for record in records]) + "\n"


def _row(record: dict[str, Value]) -> str:
    how = ", ".join(
        f"{key} {_shown(value)}" for key, value in record.items() if key not in {"name", "value", "bound", "ok"}
    )
    verdict = "ok" if record["ok"] else "FALLS SHORT"
    return f"| {record['name']} | {_shown(record['value'])} | {record['bound']} | {how} | {verdict} |"


def _shown(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    text = str(value)
    return json.dumps(text) if " " in text else text


def read(path: Path) -> list[dict[str, Value]]:
    """Read a file that FLOW_FIGURES named."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


if __name__ == "__main__":
    from datetime import UTC, datetime

    sys.stdout.write(table(read(Path(sys.argv[1])), datetime.now(UTC).date().isoformat()))  # noqa: TID251 - a record's date
