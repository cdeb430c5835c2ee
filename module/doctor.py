"""`flow doctor`: what the service needs on this machine, each check with its fix."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from core.errors import FlowError
from core.ports.clock import Clock
from driven_adapters.sandbox import LocalRunner
from driver_adapters.cli.commands import Check
from driver_adapters.http.server import bind
from module.resources import open_database
from module.settings import Settings

FREE_BYTES_MIN = 1024 * 1024 * 1024  # below it a write-ahead log and one map of large items may not fit
PYTHON_MIN = (3, 11)
# A clock before the day on which this was written is wrong, and every stored time would be.
_CLOCK_MIN = datetime(2026, 1, 1, tzinfo=UTC)


async def examine(settings: Settings, clock: Clock) -> list[Check]:
    """Run every check; leaves nothing behind but the store's file, which a first start would make, too."""
    checks = [*_ports(settings), _python(), _clock(clock), _disk(settings), _egress(settings)]
    return [*checks, await _store(settings, clock), *await _tiers()]


def _ports(settings: Settings) -> Iterator[Check]:
    for name, port in (
        ("API_SERVER_PORT", settings.http_port),
        ("API_SERVER_PRIVATE_PORT", settings.http_private_port),
    ):
        try:
            bind(settings.bind_host, port, name).socket.close()
        except FlowError as error:
            yield Check(f"port {port}", is_fine=False, said=error.detail, fix=f"stop what holds it, or set {name}")
        else:
            yield Check(f"port {port}", is_fine=True, said="free")


async def _store(settings: Settings, clock: Clock) -> Check:
    name = f"store in {settings.data_dir}"
    try:
        async with open_database(settings, clock) as database:
            return Check(
                name, is_fine=True, said=f"opens, {database.shard_count} shards, SQLite in apsw {version('apsw')}"
            )
    except FlowError as error:
        return Check(name, is_fine=False, said=error.detail, fix="stop the other process, or set FLOW_DATA_DIR")


async def _tiers() -> list[Check]:
    """Tell the isolation of user code by trying it; a tier that is missing is a fault only when none is there."""
    async with LocalRunner() as runner:
        offers = runner.offers
    has_any = any(offer.is_offered for offer in offers)
    return [
        Check(
            f"tier {offer.tier} of @python/run",
            is_fine=offer.is_offered or has_any,
            said=offer.said if offer.is_offered else f"not offered: {offer.said}; {offer.fix}",
            fix=offer.fix,
        )
        for offer in offers
    ]


def _python() -> Check:
    said = sys.version.split()[0]
    fix = "install Python 3.11 or newer, then `make run`"
    return Check("Python", is_fine=sys.version_info[:2] >= PYTHON_MIN, said=said, fix=fix)


def _clock(clock: Clock) -> Check:
    now = clock.now()
    return Check(
        "clock", is_fine=now >= _CLOCK_MIN, said=now.isoformat(timespec="seconds"), fix="set the machine's clock"
    )


def _disk(settings: Settings) -> Check:
    folder = settings.data_dir.resolve()
    while not folder.exists():
        folder = folder.parent
    free_bytes = shutil.disk_usage(folder).free
    is_fine = free_bytes >= FREE_BYTES_MIN and os.access(folder, os.W_OK)
    said = f"{free_bytes // 2**20} MiB free, {'writable' if os.access(folder, os.W_OK) else 'not writable'}"
    return Check(
        f"disk of {settings.data_dir}", is_fine=is_fine, said=said, fix="free some space, or set FLOW_DATA_DIR"
    )


def _egress(settings: Settings) -> Check:
    said = ", ".join(settings.egress_allow) or "none"
    return Check("private targets of @http/request", is_fine=True, said=said)
