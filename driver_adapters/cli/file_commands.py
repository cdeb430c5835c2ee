"""`flow files`: upload, list, download, delete. Contents pass in pieces: a file of any length takes little memory."""

from __future__ import annotations

import contextlib
import hashlib
import mimetypes
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from driver_adapters.cli.api_client import ROWS_MAX, ApiClient, part
from driver_adapters.cli.exits import OK, UNREACHABLE, USAGE, CommandFailed
from driver_adapters.cli.options import LIMIT_DEFAULT, Limit, Output, Switch
from driver_adapters.cli.output import print_lines, print_value

BINARY = "application/octet-stream"
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_COLUMNS = ("id", "name", "media_type", "bytes", "created_at")


def add_files(files: App, client_of: Callable[[], ApiClient]) -> None:
    """Add the commands to their group."""

    @files.command
    def upload(
        paths: tuple[Path, ...],
        /,
        *,
        name: str | None = None,
        media_type: str | None = None,
        output: Output = "table",
    ) -> int:
        """Upload files.

        Parameters
        ----------
        paths
            Files of this machine; the first one that is refused ends the command.
        name
            What the one file is called, as `orders/2026-01.csv`; absent = the last part of its path.
        media_type
            Absent = as its ending says.
        """
        if name is not None and len(paths) > 1:
            raise CommandFailed(USAGE, "--name is for one file")
        client = client_of()
        print_value([_upload(client, path, name or path.name, media_type) for path in paths], output, _COLUMNS)
        return OK

    @files.command(name="list")
    def list_(*, prefix: str | None = None, limit: Limit = LIMIT_DEFAULT, output: Output = "table") -> int:
        """List files by name.

        Parameters
        ----------
        prefix
            Only files whose name begins so.
        """
        print_value(client_of().rows("/files", {"prefix": prefix}, limit), output, _COLUMNS)
        return OK

    _add_download(files, client_of)


def _add_download(files: App, client_of: Callable[[], ApiClient]) -> None:
    @files.command
    def download(
        file: str,
        /,
        *,
        to: Annotated[Path | None, Parameter(name=["--to", "-t"], allow_leading_hyphen=True)] = None,
        force: Switch = False,
    ) -> int:
        """Download a file; its hash is compared before it gets its name.

        Parameters
        ----------
        file
            Id, or a name that only one file has.
        to
            Where to; absent = the last part of its name, here. `-` = standard output.
        force
            Write over a file that exists.
        """
        client = client_of()
        row = find_file(client, file)
        if str(to) == "-":
            _receive(client, row, sys.stdout.buffer)
        else:
            _save(client, row, to or Path(row["name"].rpartition("/")[2]), is_forced=force)
        return OK

    _add_delete(files, client_of)


def _add_delete(files: App, client_of: Callable[[], ApiClient]) -> None:
    @files.command
    def delete(ids: tuple[str, ...], /) -> int:
        """Delete files.

        Parameters
        ----------
        ids
            Ids, or names that only one file has; the first one that is refused ends the command.
        """
        client = client_of()
        for one in ids:
            row = find_file(client, one)
            client.send("DELETE", f"/files/{part(row['id'])}")
            print_lines([f"deleted {row['id']} {row['name']}"])
        return OK


def find_file(client: ApiClient, name_or_id: str) -> Any:
    """Give a file as it is listed, looked for by its id or its name.

    Raises:
        CommandFailed: there is none, or several have the name.
    """
    if _ID.fullmatch(name_or_id):
        return client.get(f"/files/{name_or_id}")
    found = [row for row in client.rows("/files", {"prefix": name_or_id}, ROWS_MAX) if row["name"] == name_or_id]
    if len(found) == 1:
        return found[0]
    if found:
        ids = (f"  {row['id']} {row['created_at']}" for row in found)
        raise CommandFailed(USAGE, f"{len(found)} files have the name {name_or_id!r}; which id?", *ids)
    raise CommandFailed(USAGE, f"no file has the name or id {name_or_id!r}", "`flow files list` shows them")


def _upload(client: ApiClient, path: Path, name: str, media_type: str | None) -> Any:
    kind = media_type or mimetypes.guess_type(path.name)[0] or BINARY
    try:
        with path.open("rb") as source:
            length = os.fstat(source.fileno()).st_size
            headers = {"Content-Type": kind, "Content-Length": str(length)}
            with _shown_progress(path.name, length) as passed:
                body = _Watched(source, passed)
                return client.send("POST", "/files", query={"name": name}, body=body, headers=headers).value
    except OSError as error:
        raise CommandFailed(USAGE, f"{path} cannot be read: {error.strerror}") from error


class _Watched:
    """A file whose reading is shown."""

    def __init__(self, source: BinaryIO, passed: Callable[[int], None]) -> None:
        self._source = source
        self._passed = passed

    def read(self, size: int = -1, /) -> bytes:
        piece = self._source.read(size)
        self._passed(len(piece))
        return piece


def _save(client: ApiClient, row: Any, target: Path, *, is_forced: bool) -> None:
    """Write beside the target and rename: whoever looks sees the whole file or none."""
    if target.is_dir():
        target /= row["name"].rpartition("/")[2]
    if target.exists() and not is_forced:
        raise CommandFailed(USAGE, f"{target} exists; --force writes over it")
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as made:
            part_file = Path(made.name)
            try:
                _receive(client, row, made)
            except BaseException:
                part_file.unlink()
                raise
        part_file.replace(target)
    except OSError as error:
        raise CommandFailed(USAGE, f"{target} cannot be written: {error.strerror}") from error
    print_lines([f"{target}: {row['bytes']} bytes"])


def _receive(client: ApiClient, row: Any, target: Any) -> None:
    digest = hashlib.sha256()
    with (
        client.pieces(f"/files/{part(row['id'])}/content") as (_, pieces),
        _shown_progress(row["name"], row["bytes"]) as passed,
    ):
        for piece in pieces:
            digest.update(piece)
            target.write(piece)
            passed(len(piece))
    target.flush()
    if digest.hexdigest() != row["sha256"]:
        raise CommandFailed(UNREACHABLE, "the content has another hash than the server told: damaged on its way")


@contextlib.contextmanager
def _shown_progress(name: str, length: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far it is; gives what takes the bytes that have passed."""
    console = Console(stderr=True, highlight=False)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=length)
        yield lambda count: progress.update(task, advance=count)
