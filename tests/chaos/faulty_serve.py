"""`serve` on a disk that fails as told, for tests: DISK_FAULT=`kind:n:error`, or DISK_FULL=`file`.

`kind` is write, short, sync, truncate or read; `error` is io or full; the n-th such operation fails, counted from the start
of the process. While the file that DISK_FULL names exists, no file of the store can grow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import apsw

from module.main import run_command
from tests.contract.faulty_disk import FaultyDisk

ERRORS: dict[str, type[Exception]] = {"io": apsw.IOError, "full": apsw.FullError}


def main() -> int:
    """Make the failing disk the one that every store is opened on, then run the command."""
    full = os.environ.pop("DISK_FULL", "")
    disk = FaultyDisk("faulty", is_default=True, full_while=Path(full) if full else None)
    told = os.environ.pop("DISK_FAULT", "")
    if told:
        kind, number, error = told.split(":")
        disk.arm(kind, int(number), ERRORS[error], 1)
    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
