"""A disk that writes down what a store does to its files, and builds what a power cut would leave of them.

A SQLite VFS over the real one notes every write, sync, truncation and deletion, and what was acknowledged in between. An
image is what was synced, plus any part of what came after: whole sectors that made it, torn ones, and all else missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from tests.sim.chance import Random

SECTOR_BYTES = (512, 4096)
TORN_SHARE = 0.1  # of the sectors that were under way: a part of them was written
_NEW_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
EXTREME_SHARE = 0.25  # of the images keep nothing, and as many everything, that was not synced


class Written(msgspec.Struct, frozen=True):
    """Bytes that were given to the disk; on it for certain after the next `Synced` of the file."""

    file: str
    offset: int
    data: bytes


class Cut(msgspec.Struct, frozen=True):
    """The file was cut to a size."""

    file: str
    size_bytes: int


class Synced(msgspec.Struct, frozen=True):
    """Everything that was done to the file before is durable."""

    file: str


class Deleted(msgspec.Struct, frozen=True):
    """The file was deleted; durable when the folder is synced, which comes with the next new log or journal."""

    file: str


class FolderSynced(msgspec.Struct, frozen=True):
    """Every deletion before is durable."""


class Acknowledged(msgspec.Struct, frozen=True):
    """Somebody was told that this is durable: `what` is "dag", "started" or "ended"."""

    what: str
    key: str
    value: str


Step = Written | Cut | Synced | Deleted | FolderSynced | Acknowledged


class RecordingDisk(apsw.VFS):
    """A VFS called `name`; `steps` is what was done on it, in order, by all threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[Step] = []
        self._lock = threading.Lock()
        super().__init__(name, "")

    def note(self, step: Step) -> None:
        """Write one step down."""
        with self._lock:
            self.steps.append(step)

    def xOpen(self, name: Any, flags: list[int]) -> RecordingFile:  # noqa: N802 - apsw's name
        return RecordingFile(self, name, flags)

    def xDelete(self, name: str, is_synced: bool) -> None:  # noqa: N802 - apsw's name and signature
        super().xDelete(name, is_synced)
        self.note(Deleted(Path(name).name))
        if is_synced:
            self.note(FolderSynced())


class RecordingFile(apsw.VFSFile):
    """One file on it."""

    def __init__(self, disk: RecordingDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._file = Path(path).name if path else ""
        # SQLite syncs the folder with the first sync of such a file (os_unix.c: UNIXFILE_DIRSYNC).
        self._is_folder_synced = not (flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _NEW_JOURNALS)
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - apsw's name
        self._disk.note(Written(self._file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        super().xSync(flags)
        self._disk.note(Synced(self._file))
        if not self._is_folder_synced:
            self._is_folder_synced = True
            self._disk.note(FolderSynced())

    def xTruncate(self, size_bytes: int) -> None:  # noqa: N802 - apsw's name
        self._disk.note(Cut(self._file, size_bytes))
        super().xTruncate(size_bytes)


class Platter:
    """What is on the disk for certain, and what is under way, at one place of the recorded steps."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._durable: dict[str, bytearray] = {}
        self._under_way: list[Written | Cut | Deleted] = []
        self.at = 0
        self.acknowledged: list[Acknowledged] = []

    def move_to(self, at: int) -> None:
        """Go on to the state after the first `at` steps; it only goes forward."""
        for step in self._steps[self.at : at]:
            match step:
                case Synced(file):
                    self._sync(file)
                case FolderSynced():
                    self._sync_folder()
                case Acknowledged():
                    self.acknowledged.append(step)
                case _:
                    self._under_way.append(step)
        self.at = at

    def _sync(self, file: str) -> None:
        self._settle(lambda step: step.file == file and not isinstance(step, Deleted))

    def _sync_folder(self) -> None:
        self._settle(lambda step: isinstance(step, Deleted))

    def _settle(self, is_durable: Callable[[Written | Cut | Deleted], bool]) -> None:
        for step in self._under_way:
            if is_durable(step):
                _apply(self._durable, step)
        self._under_way = [step for step in self._under_way if not is_durable(step)]

    @property
    def under_way_bytes(self) -> int:
        """Bytes that were written and not synced."""
        return sum(len(step.data) for step in self._under_way if isinstance(step, Written))

    def image(self, rng: Random) -> dict[str, bytes]:
        """Draw what a power cut here leaves: file name -> bytes."""
        files = {name: bytearray(data) for name, data in self._durable.items()}
        drawn = rng.random()
        kept_share = 0.0 if drawn < EXTREME_SHARE else 1.0 if drawn > 1 - EXTREME_SHARE else rng.random()
        sector_bytes = rng.choice(SECTOR_BYTES)
        for step in self._under_way:
            if not isinstance(step, Written):
                if rng.random() < kept_share:
                    _apply(files, step)
                continue
            for piece in _sectors(step, sector_bytes):
                if rng.random() < kept_share:
                    _apply(files, _torn(piece, rng) if kept_share < 1 else piece)
        return {name: bytes(data) for name, data in files.items()}


def _sectors(step: Written, sector_bytes: int) -> list[Written]:
    """Cut a write where sectors of the disk end."""
    pieces, at = [], 0
    while at < len(step.data):
        end = at + sector_bytes - (step.offset + at) % sector_bytes
        pieces.append(Written(step.file, step.offset + at, step.data[at:end]))
        at = end
    return pieces


def _torn(piece: Written, rng: Random) -> Written:
    if rng.random() >= TORN_SHARE:
        return piece
    return Written(piece.file, piece.offset, piece.data[: rng.randrange(len(piece.data) + 1)])


def _apply(files: dict[str, bytearray], step: Written | Cut | Deleted) -> None:
    match step:
        case Written(file, offset, data):
            body = files.setdefault(file, bytearray())
            if len(body) < offset:
                body.extend(bytes(offset - len(body)))  # sectors that were never written read as zeros
            body[offset : offset + len(data)] = data
        case Cut(file, size_bytes):
            body = files.setdefault(file, bytearray())
            del body[size_bytes:]
            body.extend(bytes(size_bytes - len(body)))
        case Deleted(file):
            files.pop(file, None)
