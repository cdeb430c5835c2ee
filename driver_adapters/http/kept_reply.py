"""Answers of requests with an Idempotency-Key, as bytes that can be kept and sent again (http-api.md)."""

from __future__ import annotations

import hashlib

import msgspec

from core.ports.key_store import KeptAnswer
from driver_adapters.http.exchange import Reply

_Rest = tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...]]  # media type, body, headers


def request_hash(parts: tuple[str | None, ...], body: bytes) -> str:
    """Tell requests apart: `parts` is all that the answer depends on beside the body."""
    digest = hashlib.sha256(msgspec.json.encode(parts))
    digest.update(body)
    return digest.hexdigest()


def pack_reply(reply: Reply) -> tuple[int, bytes]:
    """Give status and bytes of a reply."""
    return reply.status, msgspec.msgpack.encode((reply.media_type, reply.body, reply.headers))


def unpack_reply(kept: KeptAnswer) -> Reply:
    """Give the reply that was packed, equal in every byte."""
    media_type, body, headers = msgspec.msgpack.decode(kept.response, type=_Rest)
    return Reply(kept.status, body, media_type, headers)
