"""Where objects lie below the store's folder, and the walk through them in the order of their keys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from core.ports.object_store import check_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fsspec import AbstractFileSystem

# Ends the name of every object, and no part of a key has a dot: `a` and `a/b` can both be keys.
OBJECT_SUFFIX = ".o"
_DOMAIN_CHARACTERS = 40  # of a SHA-256: 160 bits, so no two domains share a folder


class Layout:
    """Paths of one store. A domain's id is hashed: whatever its characters are, they are no path."""

    def __init__(self, root: Path) -> None:
        self.incoming = root / "incoming"
        self.objects = root / "objects"

    def domain(self, domain_id: str) -> Path:
        """Give the folder of a domain."""
        digest = hashlib.sha256(domain_id.encode("utf-8", "surrogatepass")).hexdigest()
        return self.objects / digest[:_DOMAIN_CHARACTERS]

    def path(self, domain_id: str, key: str) -> Path:
        """Give the file of an object.

        Raises:
            ValueError: the text is no key.
        """
        return self.domain(domain_id) / (check_key(key) + OBJECT_SUFFIX)


def walk(filesystem: AbstractFileSystem, folder: Path, base: str, prefix: str, after: str) -> Iterator[tuple[str, Any]]:
    """Give key and entry of the objects below a folder, ascending by key, from behind `after` and within `prefix`.

    Args:
        base: what the keys in this folder begin with.
    """
    try:
        entries = filesystem.ls(str(folder), detail=True)
    except FileNotFoundError:
        return
    named = []
    for entry in entries:
        name = entry["name"].rpartition("/")[2]
        is_folder = entry["type"] == "directory"
        named.append((base + (f"{name}/" if is_folder else name.removesuffix(OBJECT_SUFFIX)), is_folder, name, entry))
    # A folder sorts by its slash: its keys come where they stand among all keys.
    for key, is_folder, name, entry in sorted(named, key=lambda one: one[0]):
        if is_folder:
            is_within = key.startswith(prefix) or prefix.startswith(key)
            if is_within and (key > after or after.startswith(key)):
                yield from walk(filesystem, folder / name, key, prefix, after)
        elif key > after and key.startswith(prefix):
            yield key, entry
