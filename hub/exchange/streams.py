# SPDX-License-Identifier: Apache-2.0
"""Bytes from a connection into a file, by threads that hash, encrypt and write while the loop goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from hub.vault import Incomer

_GATHERED_BYTES = 256 * 1024


async def take_all(incomer: Incomer, chunks: AsyncIterator[bytes], *, silence_seconds: float) -> None:
    """Take what a connection brings, to its end; what came stays, however it ends.

    Args:
        incomer: where it goes.
        chunks: what comes.
        silence_seconds: after how long without a byte the connection is given up.

    Raises:
        TimeoutError: it was silent.
        EnvelopeError, VaultError: as `Incomer.take`.
    """
    gathered = bytearray()
    try:
        while True:
            async with asyncio.timeout(silence_seconds):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            gathered += chunk
            if len(gathered) >= _GATHERED_BYTES:
                taken, gathered = bytes(gathered), bytearray()
                await _take(incomer, taken)
    finally:
        if gathered:
            await _take(incomer, bytes(gathered))


async def surely(work: Callable[[], None]) -> None:
    """Do something in a thread and wait for its end, cancelled or not: a file is one thread's at a time."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces that are read by a thread, one at a time."""
    while True:
        piece = await asyncio.to_thread(next, pieces, None)
        if piece is None:
            return
        yield piece


async def _take(incomer: Incomer, content: bytes) -> None:
    await surely(lambda: incomer.take(content))
