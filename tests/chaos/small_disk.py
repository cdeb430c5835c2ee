"""A disk that can be filled and freed: a tmpfs where this process may mount one, else a failing VFS that lets nothing grow."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Protocol

SIZE_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 4096
CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 0x4000 | 0x40000


class SmallDisk(Protocol):
    """Where a store lies; `program` is the module that serves on it, `settings` what that is told."""

    kind: str
    folder: Path
    program: str
    settings: dict[str, str]

    def fill(self) -> None:
        """Leave no space."""

    def free(self) -> None:
        """Give the space back."""


class Tmpfs:
    """A tmpfs of 8 MiB in a mount namespace of this process, which ends with it."""

    kind = "tmpfs"
    program = "module.main"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, str] = {}
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(BLOCK_BYTES))
            except OSError:
                return

    def free(self) -> None:
        self._ballast.unlink()


class StuckDisk:
    """A folder on the real disk; files of its store cannot grow while a flag lies beside it."""

    kind = "vfs"
    program = "tests.chaos.faulty_serve"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._flag = folder / "full"
        self.settings = {"DISK_FULL": str(self._flag)}

    def fill(self) -> None:
        self._flag.touch()

    def free(self) -> None:
        self._flag.unlink()


def small_disk(folder: Path) -> SmallDisk:
    """Make a small disk at an empty folder. Leaves the mount namespace that this process was started in."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={SIZE_BYTES}".encode()
    if (
        libc.unshare(CLONE_NEWNS)
        or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None)
        or libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options)
    ):
        return StuckDisk(folder)
    return Tmpfs(folder)
