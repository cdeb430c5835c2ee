"""Reading an answer's body: decompressed piece by piece, and never more than asked for."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from core.ports.http_client import BodyTooLarge, EgressUnavailable

ACCEPT_ENCODING = "gzip, deflate"  # what zlib unpacks with a bound on each piece
PIECE_BYTES_MAX = 64 * 1024  # unpacked at once: memory over the body itself stays below this
_GZIP_OR_ZLIB_BITS = 32 + zlib.MAX_WBITS
_RAW_DEFLATE_BITS = -zlib.MAX_WBITS


async def read_body(
    chunks: AsyncIterable[bytes], encoding: str, bytes_max: int
) -> bytes | BodyTooLarge | EgressUnavailable:
    """Read a body up to a bound that counts unpacked bytes.

    Args:
        chunks: the body as received.
        encoding: `Content-Encoding` of the answer, any case; empty for none.
        bytes_max: bound; reading stops within PIECE_BYTES_MAX after it.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return await _read_plain(chunks, bytes_max)
    if name in ("gzip", "x-gzip", "deflate"):
        return await _read_packed(chunks, bytes_max)
    return EgressUnavailable(f"the answer has a content encoding that was not asked for: {name[:40]!r}")


async def _read_plain(chunks: AsyncIterable[bytes], bytes_max: int) -> bytes | BodyTooLarge:
    body = bytearray()
    async for chunk in chunks:
        if len(body) + len(chunk) > bytes_max:
            return _too_large(bytes_max)
        body += chunk
    return bytes(body)


async def _read_packed(chunks: AsyncIterable[bytes], bytes_max: int) -> bytes | BodyTooLarge | EgressUnavailable:
    body, packer = bytearray(), _Unpacker()
    try:
        async for chunk in chunks:
            pending = chunk
            while pending:
                piece, pending = packer.unpack(pending)
                if len(body) + len(piece) > bytes_max:
                    return _too_large(bytes_max)
                body += piece
        while rest := packer.unpack_rest():
            if len(body) + len(rest) > bytes_max:
                return _too_large(bytes_max)
            body += rest
    except zlib.error:
        return EgressUnavailable("the answer's body cannot be unpacked")
    if not packer.is_whole:
        return EgressUnavailable("the answer's packed body is cut off")
    return bytes(body)


class _Unpacker:
    """Unpacks one member of gzip or deflate; some servers send deflate without its zlib frame."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB_BITS)
        self._is_first = True

    @property
    def is_whole(self) -> bool:
        return self._is_first or self._stream.eof

    def unpack(self, packed: bytes) -> tuple[bytes, bytes]:
        """Give at most PIECE_BYTES_MAX and what is still packed; what follows the end is an error, not data."""
        if self._stream.eof:
            raise zlib.error("bytes after the end")
        try:
            piece = self._stream.decompress(packed, PIECE_BYTES_MAX)
        except zlib.error:
            if not self._is_first:
                raise
            self._stream = zlib.decompressobj(_RAW_DEFLATE_BITS)
            piece = self._stream.decompress(packed, PIECE_BYTES_MAX)
        self._is_first = False
        return piece, self._stream.unconsumed_tail or self._stream.unused_data

    def unpack_rest(self) -> bytes:
        """Give what the last piece's bound kept back inside the stream; empty when nothing is left."""
        return b"" if self._is_first or self._stream.eof else self._stream.decompress(b"", PIECE_BYTES_MAX)


def _too_large(bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(f"the answer's body is larger than {bytes_max} bytes")
