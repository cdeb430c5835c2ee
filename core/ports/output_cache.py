"""Outputs of steps that may be used again: where each lies, by what it was computed from (semantics.md S16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class OutputKey(msgspec.Struct, frozen=True, array_like=True):
    """What an output is found by; `version` is of the operator, `key` 16 bytes of a hash."""

    domain_id: str
    dag_id: str
    step: str
    version: str
    key: bytes


class CachedOutput(msgspec.Struct, frozen=True, array_like=True):
    """A succeeded output: `body` says how it lies among the values of instance `instance_id`; at most 8 KiB.

    It counts until `expires_at`; a newer one under the same key takes its place.
    """

    place: OutputKey
    instance_id: str
    body: bytes
    expires_at: datetime


@runtime_checkable
class OutputCache(Protocol):
    """Reads kept outputs. They are written by commits (`InstanceChange.cached`) and swept by `KeyStore`."""

    async def find(self, places: Sequence[OutputKey], *, now: datetime) -> list[CachedOutput | None]:
        """Give what stands under each key and is not over at `now`, in the order asked; None = nothing.

        Raises:
            StoreUnavailable, StoreTimeout: it could not be read.
        """
        ...
