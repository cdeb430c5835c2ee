"""Bodies that are sent while they are made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from litestar.types import Receive, Send


async def send_chunks(chunks: AsyncGenerator[bytes, None], receive: Receive, send: Send) -> None:
    """Send chunks as they come, at the pace of the caller, until they end or the caller is gone; then close them."""
    gone = asyncio.ensure_future(_caller_left(receive))
    try:
        async with contextlib.aclosing(chunks):
            while (chunk := await _next(chunks, gone)) is not None:
                message: Any = {"type": "http.response.body", "body": chunk, "more_body": True}
                await send(message)
        if not gone.done():
            end: Any = {"type": "http.response.body", "body": b""}
            await send(end)
    finally:
        gone.cancel()


async def _next(chunks: AsyncGenerator[bytes, None], gone: asyncio.Future[None]) -> bytes | None:
    """Give the next chunk; None at the end, or as soon as the caller is gone."""
    coming = asyncio.ensure_future(_step(chunks))
    try:
        await asyncio.wait((coming, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait((coming,))  # a generator is closed only when it stands still
    if not gone.done():
        return coming.result()
    if not coming.cancelled():
        coming.exception()  # nobody is there to hear of it
    return None


async def _step(chunks: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(chunks, None)


async def _caller_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
