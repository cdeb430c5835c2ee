"""Versions of a DAG (dag-language.md 7, semantics.md S45): numbers, content hash, canonical form."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from core.ports.definition_store import DagRow

FIRST = "v1.0.0"
# S45: a change of these makes no version.
_NO_CONTENT = frozenset({"$schema", "title", "description", "tags", "status", "version", "change_log"})
_NUMBER = re.compile(r"v([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")


def version_numbers(version: str) -> tuple[int, int, int]:
    """Split `v1.4.0` into its numbers, which compare in order.

    Raises:
        ValueError: not of that form.
    """
    found = _NUMBER.fullmatch(version)
    if found is None:
        raise ValueError(f"{version!r} is no version")
    major, minor, patch = (int(number) for number in found.groups())
    return major, minor, patch


def next_patch(version: str) -> str:
    """Give the version after this one when nobody names it."""
    major, minor, patch = version_numbers(version)
    return f"v{major}.{minor}.{patch + 1}"


def canonical_document(value: dict[str, Any]) -> bytes:
    """Give the whole document as JSON with sorted keys and no white space: equal values, equal bytes."""
    return msgspec.json.encode(value, order="deterministic")


def content_hash(value: dict[str, Any]) -> str:
    """Give the SHA-256 (hex) of what the document says about running: equal hashes run alike."""
    content = {name: part for name, part in value.items() if name not in _NO_CONTENT}
    return hashlib.sha256(canonical_document(content)).hexdigest()


class _Description(msgspec.Struct, frozen=True):
    """What a document says beside its content, as it is when the document leaves it out."""

    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    status: str = "normal"


def described(document: bytes, row: DagRow) -> bytes:
    """Give a version's document with title, description, tags and status as they are by now (S45).

    Without that, whoever reads a document, edits it and sends it back would take an earlier title back too.
    """
    current = _Description(row.title, row.description, row.tags, row.status)
    if msgspec.json.decode(document, type=_Description) == current:
        return document
    fields = msgspec.to_builtins(current)
    given: dict[str, Any] = msgspec.json.decode(document)
    kept = {name: value for name, value in fields.items() if name in given or value not in ("", (), "normal")}
    return canonical_document({name: value for name, value in given.items() if name not in fields} | kept)


def content_of(document: bytes, row: DagRow) -> bytes:
    """Give a version's content under the DAG's name of today, with no number of its own: what a rollback publishes."""
    value: dict[str, Any] = msgspec.json.decode(described(document, row))
    return canonical_document({name: part for name, part in value.items() if name not in ("version", "change_log")})
