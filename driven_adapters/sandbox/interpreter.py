"""Which interpreter runs a program, and which files of the host it cannot do without."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import msgspec

CHILD_FOLDER = Path(__file__).parent
"""Holds the package `child`; everything else in it is the engine's."""

# The loader, the C library and what extension modules link to; time zones; the three devices that programs expect.
_HOST_PATHS = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_BY_OTHERS = 0o001


class Interpreter(msgspec.Struct, frozen=True):
    """A Python of the engine's own version: its program and the folders and files that it reads."""

    program: str
    paths: tuple[str, ...]


def find_interpreter(*, is_root: bool) -> Interpreter | None:
    """Find an interpreter that the user of runs may execute; None = there is none.

    Args:
        is_root: the engine is root and runs get another user, who cannot look into root's folders.
    """
    own = Path(sys.executable).resolve()
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    for program in (own, system):
        if program.exists() and (not is_root or is_open_to_others(program)):
            library = program.parent.parent / "lib"
            paths = dict.fromkeys([str(library), *(path for path in _HOST_PATHS if Path(path).exists())])
            return Interpreter(str(program), tuple(paths))
    return None


def is_open_to_others(path: Path) -> bool:
    """Say whether every folder above a file, links followed, may be passed by other users."""
    return all(folder.stat().st_mode & _BY_OTHERS for folder in path.resolve().parents)


def library_folder() -> str:
    """Give the folder of installed packages, which only programs of this project see."""
    return sysconfig.get_path("purelib")


def pure_interpreter() -> str | None:
    """Find the program of the pure tier's interpreter; None = it is not installed."""
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        program = folder / "monty"
        if os.access(program, os.X_OK):
            return str(program)
    return None
