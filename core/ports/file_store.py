"""Files as people see them: a name and a media type over an object of the object store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.key_store import KeptAnswer, NewAnswer
    from core.ports.scope import Scope


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    """One file. It never changes: another content is another file.

    Attributes:
        id: ULID; the object's key comes from it.
        name: what people call it, not unique, never a path on a disk.
        sha256: of the content, hex.
        created_by: id of the principal, or of the instance whose step wrote it.
        write_key: idempotency key of the task that wrote it, unique within the domain; None when a person sent it.
    """

    id: str
    domain_id: str
    name: str
    media_type: str
    bytes_count: int
    sha256: str
    created_at: datetime
    created_by: str
    write_key: str | None = None


@runtime_checkable
class FileStore(Protocol):
    """Files. Their objects are noted as loose (`ObjectNotes`) before they are written, and again when a file goes."""

    async def add(self, scope: Scope, row: FileRow, *, answer: NewAnswer | None = None) -> FileRow | KeptAnswer | None:
        """Store a file under the domain of the scope and take its object's note away, in one transaction.

        Returns:
            None when it was stored. The file that has this `write_key`, or the answer that the request's key has,
            when there is one: then nothing was stored, and the object stays noted.

        Raises:
            CommitUnknown: perhaps. NoSuchFile: the object's note is gone, and so is the object.
        """
        ...

    async def find(self, scope: Scope, *, file_id: str = "", name: str = "") -> FileRow | None:
        """Read a file by its id, or the newest one of a name; None when there is none in this domain."""
        ...

    async def list(self, scope: Scope, *, prefix: str, after: tuple[str, str], limit: int) -> Sequence[FileRow]:
        """Page the files whose name begins with `prefix`, ascending by (name, id), from behind `after`.

        Names are ordered by code point. At most `limit`, 1..READ_ROWS_MAX; ValueError else.
        """
        ...

    async def remove(self, scope: Scope, file_id: str, at: datetime) -> bool:
        """Remove a file and note its object as loose, in one transaction; False when there is no such file."""
        ...


def object_key(file_id: str) -> str:
    """Give the key of a file's object: made of its id, never of its name."""
    return f"file/{file_id}"
