"""Trace files of what a chaos run left behind (ADR 0033): `flow replay` plays them, secrets are not in them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

import apsw

from core.access.permission import ADMINISTRATOR
from core.access.service import DEFAULT_DOMAIN_ID
from core.engine.node.terms import NodeSettings, SilentObserver
from core.errors import FlowError
from core.ports.scope import Principal, Scope
from module.container import build_container
from module.instruments import Instruments
from module.resources import OBJECT_FOLDER, STORE_FILE, open_resources
from module.settings import Settings
from pkg.redaction import Redactor
from tests.chaos.evidence import TERMINAL, StoreFile

Answer = TypeVar("Answer")
FOLDER = Path(__file__).parents[2] / "build" / "traces"
TRACES_COUNT_MAX = 3
_UNREADABLE = (FlowError, OSError, apsw.Error)
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_SYSTEM = Scope(DEFAULT_DOMAIN_ID, Principal("system:chaos", "system", "chaos", (ADMINISTRATOR,)))


def write_traces(
    data_dir: Path, faults: Sequence[str], *, name: str, secrets: Collection[str] = (), folder: Path = FOLDER
) -> list[Path]:
    """Write the traces of the instances that the faults name, else of those that are open, else of the first.

    Args:
        data_dir: of an engine that does not run; it is copied, since reading would recover it.
        faults: what was found. name: of the run; files begin with it. secrets: texts that must not be in a file.
        folder: where to.

    Returns:
        The files; none of what cannot be read, which may be what broke.
    """
    with tempfile.TemporaryDirectory(prefix="flow-trace-") as copy, contextlib.suppress(*_UNREADABLE):
        _copy(data_dir, Path(copy))
        with StoreFile(Path(copy) / STORE_FILE) as store:
            chosen = _chosen(store, faults)
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_write(Path(copy), chosen, name, Redactor(secrets), folder))
    return []


def _copy(data_dir: Path, to: Path) -> None:
    for suffix in ("", "-wal"):
        source = data_dir / (STORE_FILE + suffix)
        if source.exists():
            shutil.copy2(source, to / source.name)
    if (data_dir / OBJECT_FOLDER).is_dir():
        shutil.copytree(data_dir / OBJECT_FOLDER, to / OBJECT_FOLDER)


def _chosen(store: StoreFile, faults: Sequence[str]) -> list[str]:
    known = {str(row[0]): str(row[1]) for row in store.rows("SELECT id, status FROM instance ORDER BY n")}
    named = dict.fromkeys(found for fault in faults for found in _ID.findall(fault) if found in known)
    chosen = list(named) or [found for found, status in known.items() if status not in TERMINAL] or list(known)
    return chosen[:TRACES_COUNT_MAX]


async def _write(data_dir: Path, ids: Sequence[str], name: str, redactor: Redactor, folder: Path) -> list[Path]:
    written = []
    settings = Settings(env="development", data_dir=data_dir)
    async with open_resources(settings) as resources:
        box = build_container(
            resources,
            node_settings=NodeSettings(node_id=resources.ids.new_id()),
            observer=SilentObserver(),
            on_fatal=_raise,
            instruments=Instruments(mask=redactor.text),
        )  # the node is never started: nothing goes on
        for instance_id in ids:
            with contextlib.suppress(FlowError):
                path = folder / f"{name}-{instance_id}.flowtrace"
                path.write_bytes(await box.traces().file(_SYSTEM, instance_id, _at_once))
                written.append(path)
    return written


async def _at_once(work: Callable[[], Answer], _bytes_count: int) -> Answer:
    return work()


def _raise(fault: BaseException) -> None:
    raise fault
