"""T-06: what a power cut at any place leaves of the store is sound and holds all that was acknowledged (F06).

The production engine on the production store runs a small load on a recording disk. Images of power cuts are built from
the record, each is opened and examined, and some are given to a new engine, which finishes what is open:
`python -m tests.chaos.crash_images`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import apsw
import msgspec

from core.access.permission import ADMINISTRATOR
from core.access.service import DEFAULT_DOMAIN_ID
from core.dag.plan import Plan
from core.engine.invariants import sentences
from core.engine.node.terms import NodeSettings, SilentObserver, Started
from core.errors import StoreFull
from core.ports.clock import Clock
from core.ports.scope import Principal, Scope
from driven_adapters.sqlite import Database
from driven_adapters.sqlite.writer import PAGE_BYTES
from module.container import Container, build_container
from module.resources import STORE_FILE, open_database, open_resources
from module.settings import Settings
from tests.budget import length
from tests.chaos.evidence import TERMINAL, StoreFile
from tests.chaos.recording_disk import Acknowledged, Platter, RecordingDisk
from tests.chaos.traces import FOLDER, TRACES_COUNT_MAX, write_traces
from tests.figures import figure
from tests.sim.chance import Random, derived

Sync = Literal["full", "normal", "off"]

SYSTEM = Scope(DEFAULT_DOMAIN_ID, Principal("system:images", "system", "images", (ADMINISTRATOR,)))
SHARD_COUNT = 4
START_COUNT = 12  # of one record; three clients start them
CLIENT_COUNT = 3
END_S_MAX = 60.0  # the DAG takes a fifth of a second alone
TRIES_MAX = 5_000  # of a start that the full log refuses
AGAIN_S = 0.002
WAL_BYTES_MAX = (10_000 * PAGE_BYTES, 16 * PAGE_BYTES, 64 * PAGE_BYTES)  # copied at no rest, at almost every, at some
IMAGES_PER_RECORD = 250
FINISHED_EVERY = 50  # images of which one is given to an engine
DOCUMENT = {
    "title": "Images",
    "inputs": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
    "steps": [
        {"id": "first", "operator": "@debug/noop", "parameters": {"number": "{{ inputs.number }}", "text": "x" * 700}},
        {
            "id": "flaky",
            "operator": "@debug/fail",
            "depends_on": ["first"],
            "parameters": {"times": 1, "kind": "unavailable", "message": "not yet", "output": {"is_done": True}},
            "retry": {"max_attempts": 3, "delay_s": 0.02, "jitter": "none"},
        },
        {"id": "pause", "operator": "@control/wait", "depends_on": ["first"], "parameters": {"seconds": 0.03}},
        {
            "id": "all",
            "operator": "@control/map",
            "depends_on": ["flaky", "pause"],
            "parameters": {
                "items": [1, 2, 3],
                "steps": [{"id": "one", "operator": "@debug/noop", "parameters": {"item": "{{ item }}"}}],
            },
        },
    ],
    "outputs": {"all": "{{ steps.all.output }}"},
}


class Tally(msgspec.Struct):
    """What the images came to: `lost` counts acknowledgements that an image does not keep."""

    images: int = 0
    incomplete: int = 0
    acknowledged: int = 0
    lost: int = 0
    broken: int = 0
    finished: int = 0
    faults: list[str] = []
    traces: list[Path] = []


@contextlib.asynccontextmanager
async def engine_on(
    folder: Path, open_store: Callable[[Settings, Clock], Any] = open_database
) -> AsyncIterator[Container]:
    """Run the production engine on a data folder, without its servers.

    Raises:
        BaseException: what would have ended the process.
    """
    faults: list[BaseException] = []
    settings = Settings(env="development", data_dir=folder, shard_count=SHARD_COUNT)
    async with open_resources(settings, open_store=open_store) as resources:
        node_settings = NodeSettings(node_id=resources.ids.new_id())
        box = build_container(resources, node_settings=node_settings, observer=SilentObserver(), on_fatal=faults.append)
        await box.engine_node().start()
        try:
            yield box
        finally:
            await box.engine_node().stop()
    if faults:
        raise faults[0]


async def record(folder: Path, disk: RecordingDisk, *, wal_bytes_max: int) -> None:
    """Run the load on the disk; everything that was told to a client is noted among its steps."""

    @contextlib.asynccontextmanager
    async def open_store(settings: Settings, clock: Clock) -> AsyncIterator[Database]:
        path = settings.data_dir / STORE_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        async with Database(
            path, clock, shard_count=SHARD_COUNT, vfs=disk.name, wal_bytes_max=wal_bytes_max
        ) as database:
            yield database

    async with engine_on(folder, open_store) as box:
        dags = box.dag_access()
        row = await dags.create(SYSTEM, dags.read(SYSTEM, msgspec.json.encode(DOCUMENT), "json"), if_exists="refuse")
        disk.note(Acknowledged("dag", row.id, row.version))
        numbers = iter(range(START_COUNT))
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENT_COUNT):
                group.create_task(_start_and_wait(box, disk, row.id, numbers))


async def _start_and_wait(box: Container, disk: RecordingDisk, dag_id: str, numbers: Iterator[int]) -> None:
    instances = box.instance_service()
    for number in numbers:
        key = f"start-{number}"
        started = await _start(box, dag_id, number, key)
        disk.note(Acknowledged("started", key, started.instance_id))
        shown = await instances.wait(SYSTEM, started.instance_id, END_S_MAX)
        if shown is not None and shown.status in TERMINAL:
            disk.note(Acknowledged("ended", started.instance_id, shown.status))


async def _start(box: Container, dag_id: str, number: int, key: str) -> Started:
    """Start an instance; while the log is full, ask again as a client would."""
    for _ in range(TRIES_MAX):
        try:
            return await box.instance_service().start(SYSTEM, dag_id, {"number": number}, key=key)
        except StoreFull:
            await asyncio.sleep(AGAIN_S)
    raise TimeoutError(f"{key}: the log stays full")


@contextlib.contextmanager
def syncing(sync: Sync) -> Iterator[None]:
    """Let every new connection sync as told, whatever it asks for itself; "full" lets it have its will."""

    def ignore(action: int, first: str | None, *_rest: str | None) -> int:
        is_asked = action == apsw.SQLITE_PRAGMA and first == "synchronous"
        return apsw.SQLITE_IGNORE if is_asked else apsw.SQLITE_OK

    def weaken(connection: apsw.Connection) -> None:
        connection.pragma("synchronous", sync)
        connection.authorizer = ignore

    if sync == "full":
        yield
        return
    apsw.connection_hooks.append(weaken)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(weaken)


def faults_of(path: Path, acknowledged: Sequence[Acknowledged], plans: dict[str, Plan]) -> tuple[list[str], list[str]]:
    """Open an image and examine it: (what was acknowledged and is not there, what does not hold)."""
    try:
        with StoreFile(path, is_copy=True, plans=plans) as store:
            broken = [str(row[0]) for row in store.rows("PRAGMA integrity_check") if row[0] != "ok"]
            if not store.rows("SELECT 1 FROM sqlite_schema WHERE name = 'start_key'"):
                return [f"{one.what} {one.key}" for one in acknowledged], broken
            for _, violations, _ in store.instances():
                broken += sentences(violations)
            return [f"{one.what} {one.key}" for one in acknowledged if not _is_kept(store, one)], broken
    except apsw.Error as fault:
        return [f"{one.what} {one.key}" for one in acknowledged], [f"cannot be read: {fault}"]


def _is_kept(store: StoreFile, one: Acknowledged) -> bool:
    match one.what:
        case "dag":
            return bool(store.rows("SELECT 1 FROM dag_version WHERE dag_id = ? AND version = ?", one.key, one.value))
        case "started":
            sql = "SELECT 1 FROM start_key JOIN instance ON id = instance_id WHERE key = ? AND instance_id = ?"
            return bool(store.rows(sql, one.key, one.value))
        case _:
            return bool(store.rows("SELECT 1 FROM instance WHERE id = ? AND status = ?", one.key, one.value))


def write_image(image: dict[str, bytes], folder: Path) -> Path:
    """Write an image's files into an empty folder; gives the store's path."""
    folder.mkdir(parents=True)
    for name, data in image.items():
        (folder / name).write_bytes(data)
    return folder / STORE_FILE


async def finish(folder: Path) -> int:
    """Let an engine go on with an image until nothing is open; gives how many instances have ended.

    Raises:
        TimeoutError: something did not end.
    """
    async with engine_on(folder) as box:
        instances = box.instance_service()
        with StoreFile(folder / STORE_FILE) as store:
            ids = [str(row[0]) for row in store.rows("SELECT id FROM instance")]
        for instance_id in ids:
            shown = await instances.wait(SYSTEM, instance_id, END_S_MAX)
            if shown is None or shown.status not in TERMINAL:
                raise TimeoutError(f"{instance_id} does not end")
    return len(ids)


def cut_power(
    disk: RecordingDisk, folder: Path, *, image_count: int, rng: Random, tally: Tally, finished_every: int,
    traces_folder: Path = FOLDER,
) -> None:  # fmt: skip
    """Build and examine images at random places of a record."""
    platter = Platter(disk.steps)
    plans: dict[str, Plan] = {}
    for number, at in enumerate(sorted(rng.randrange(1, len(disk.steps) + 1) for _ in range(image_count))):
        platter.move_to(at)
        image_folder = folder / f"image-{number}"
        path = write_image(platter.image(rng), image_folder)
        lost, broken = faults_of(path, platter.acknowledged, plans)
        tally.images += 1
        tally.incomplete += platter.under_way_bytes > 0
        tally.acknowledged += len(platter.acknowledged)
        tally.lost += len(lost)
        tally.broken += bool(broken)
        tally.faults += [f"after step {at}: lost {one}" for one in lost] + [f"after step {at}: {one}" for one in broken]
        if finished_every and number % finished_every == finished_every - 1 and not broken:
            tally.finished += asyncio.run(finish(image_folder))
            lost, broken = faults_of(path, platter.acknowledged, plans)
            tally.lost += len(lost)
            tally.broken += bool(broken)
        if (lost or broken) and len(tally.traces) < TRACES_COUNT_MAX:
            tally.traces += write_traces(image_folder, [*lost, *broken], name=f"image-{at}", folder=traces_folder)
        shutil.rmtree(image_folder)


def run_crash_images(
    folder: Path, *, seed: int, image_count: int, sync: Sync = "full", finished_every: int = FINISHED_EVERY,
    traces_folder: Path = FOLDER,
) -> Tally:  # fmt: skip
    """Record as often as needed and examine `image_count` images in all; traces of what is wrong go into a folder."""
    tally = Tally()
    while tally.images < image_count:
        n = tally.images // IMAGES_PER_RECORD
        rng = derived(seed, f"images {n}")
        disk = RecordingDisk(f"recording-{seed}-{sync}-{n}")
        record_folder = folder / f"record-{sync}-{n}"
        try:
            with syncing(sync):
                asyncio.run(record(record_folder, disk, wal_bytes_max=WAL_BYTES_MAX[n % len(WAL_BYTES_MAX)]))
        finally:
            disk.unregister()
        count = min(IMAGES_PER_RECORD, image_count - tally.images)
        cut_power(
            disk, record_folder, image_count=count, rng=rng, tally=tally, finished_every=finished_every,
            traces_folder=traces_folder,
        )  # fmt: skip
    return tally


def show(tally: Tally, *, seed: int) -> bool:
    """Print the figures; say whether all hold."""
    for fault in tally.faults[:10]:
        print(f"  {fault}")
    for trace in tally.traces:
        print(f"  flow replay {trace}")
    scale = {"n": tally.images, "acknowledged": tally.acknowledged, "seed": seed}
    # An image behind a sync, with nothing under way, proves little.
    least = tally.images // 4
    held = [
        figure("F06 crash_image_lost_count", tally.lost, "= 0", tally.lost == 0, **scale),
        figure("F06 crash_image_broken_count", tally.broken, "= 0", tally.broken == 0, **scale),
        figure("F06 crash_image_incomplete_count", tally.incomplete, f">= {least}", tally.incomplete >= least, **scale),
        figure("F06 crash_image_finished_instance_count", tally.finished, "> 0", tally.finished > 0, **scale),
    ]
    return all(held)


def main() -> int:
    """Run it in the length of tests/budget.toml."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory(prefix="flow-images-") as folder:
        tally = run_crash_images(Path(folder), seed=seed, image_count=length("crash_image_count"))
    return 0 if show(tally, seed=seed) else 1


if __name__ == "__main__":
    sys.exit(main())
