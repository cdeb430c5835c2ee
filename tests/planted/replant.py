"""Write the planted bugs anew from their tables: `python -m tests.planted.replant`, after the code beside them changed.

Each row of `deciding`, `keeping` and `loading` replaces a text, which must stand exactly once in its file, by a wrong one; the diff
becomes the patch. A patch that no row makes is removed.
"""

from __future__ import annotations

import sys

from tests.planted import deciding, keeping, loading
from tests.planted.planting import FOLDER

BUGS = (*deciding.BUGS, *keeping.BUGS, *loading.BUGS)


def main() -> int:
    """Write all patches."""
    patches = {bug.file_name: bug.patch() for bug in BUGS}
    for path in FOLDER.glob("*.patch"):
        if path.name not in patches:
            path.unlink()
    for name, text in patches.items():
        (FOLDER / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
