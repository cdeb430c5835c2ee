"""Versions of a DAG (dag-language.md 7, semantics.md S45): numbers, content hash, canonical form."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

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
