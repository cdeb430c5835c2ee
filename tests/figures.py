"""Promises with a number: printed as one line where they are measured, and kept as JSON lines when FLOW_FIGURES is set.

`tests/release.py` keeps those of a release, with part, date and machine, and sets them as a table.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

Value = float | int | str
Record = dict[str, Value]

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


def machine() -> str:
    """Say in words on what figures are measured here: cores, system, Python, the versions that matter."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS_SHOWN)
    where = f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}"
    return f"{where}; Python {platform.python_version()}, {versions}"


def replaced(kept: list[Record], measured: list[Record], part: str, date: str) -> list[Record]:
    """Put what was measured of a part in the place of what it measured before; parts stay in their order."""
    parts = list(dict.fromkeys([*(str(record["part"]) for record in kept), part]))
    of_part: list[Record] = [{"part": part, "date": date, "machine": machine(), **record} for record in measured]
    return [
        record
        for name in sorted(parts)
        for record in (of_part if name == part else [one for one in kept if one["part"] == name])
    ]


def table(records: list[Record]) -> str:
    """Set kept figures as one Markdown table per machine they were measured on."""
    lines: list[str] = []
    for where in dict.fromkeys(str(record["machine"]) for record in records):
        lines += [f"On {where}.", "", "| figure | value | bound | how | measured | |", "|---|---|---|---|---|---|"]
        lines += [*(_row(record) for record in records if record["machine"] == where), ""]
    return "\n".join(lines)


def _row(record: Record) -> str:
    own = {"name", "value", "bound", "ok", "part", "date", "machine"}
    how = ", ".join(f"{key} {_shown(value)}" for key, value in record.items() if key not in own)
    verdict = "ok" if record["ok"] else "FALLS SHORT"
    shown = _shown(record["value"])
    return f"| {record['name']} | {shown} | {record['bound']} | {how} | {record['date']} | {verdict} |"


def _shown(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    text = str(value)
    return json.dumps(text) if " " in text else text


def read(path: Path) -> list[Record]:
    """Read figures kept as JSON lines; none when there is no file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line] if path.exists() else []


def write(path: Path, records: list[Record]) -> None:
    """Keep figures as JSON lines."""
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")
