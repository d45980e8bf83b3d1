# SPDX-License-Identifier: Apache-2.0
"""Large messages from their announcement to the outbox.

    announce    the pipeline's checks; a place for the container
    append      bytes at the end of what is there, as often as the connection is cut
    complete    the whole is held to its digest, and the message taken like any other

Source: docs/protocols/exchange.md section 13.1.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from hub.envelope import MOST_BYTES, LargeEnvelope, Limits, open_announcement
from hub.errors import EnvelopeError, ExchangeError, HubError, error_kinds
from hub.exchange import ExchangeState, surely, take_all
from hub.identifiers import member_of
from hub.transfers import store
from hub.transfers.model import Position, TransferLimits, Upload
from hub.vault import Incoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.exchange import Archive, Outcome, Pipeline
    from hub.identifiers import MemberId
    from hub.vault import Vault

_SILENCE_SECONDS = 60.0
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Uploads:
    """Takes large messages in.

    Attributes:
        limits: how much may be under way.
        silence_seconds: after how long without a byte a connection is given up.
    """

    engine: Engine
    writer: Writer
    vault: Vault
    pipeline: Pipeline
    archive: Archive
    clock: Clock
    limits: TransferLimits = field(default_factory=TransferLimits)
    silence_seconds: float = _SILENCE_SECONDS
    _incoming: Incoming = field(init=False)
    _receiving: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_incoming", Incoming(self.vault))

    async def announce(
        self, raw: bytes, *, received_at: datetime, connected_as: MemberId | None = None
    ) -> Position | Outcome:
        """Check an announcement, and return the place for its container, or why there is none.

        Args:
            raw: as received.
            received_at: UTC, by the hub's clock.
            connected_as: the member that the connection's certificate speaks for, where it showed one.

        Raises:
            ExchangeError: `exchange.upload_quota`.
            VaultError: `vault.storage_full`; as `Vault.keep`.
        """
        limits = Limits()
        try:
            envelope = open_announcement(raw[: limits.container_bytes + 1], most_bytes=self._most_bytes)
        except EnvelopeError as error:
            return await self.pipeline.refuse_unopened(raw, error, received_at=received_at)
        checked, refusal = await self.pipeline.examine(
            raw, envelope, received_at=received_at, connected_as=connected_as
        )
        if refusal is not None:
            return refusal
        known = await asyncio.to_thread(self.archive.find, envelope.header.id)
        if (
            known is not None
            and known.state is not ExchangeState.REFUSED
            and known.request_sha256 == envelope.container_sha256
        ):
            # It was here, whole: its sender hears again what it heard then, or should have heard.
            kept = await asyncio.to_thread(self.vault.envelope, known.request_sha256)
            if isinstance(kept, LargeEnvelope):
                return await self.pipeline.take(
                    kept.raw, received_at=received_at, connected_as=connected_as, large=kept
                )
        retention = checked.contract.retention if checked else None
        return await asyncio.to_thread(self._place, envelope, retention.period.text if retention else None)

    def look(self, upload_id: str) -> Position:
        """Tell how far an upload has come.

        Raises:
            ExchangeError: `exchange.upload_unknown`.
        """
        upload = self._require(upload_id)
        return Position(upload.id, self._incoming.size(upload.file), upload.length)

    async def append(self, upload_id: str, offset: int, chunks: AsyncIterator[bytes]) -> Position:
        """Take bytes from an offset on, as many as come; what came stays, however it ends.

        A later connection ends an earlier one: whoever sends again has noticed that it was cut off.

        Raises:
            ExchangeError: `exchange.upload_unknown`, `exchange.upload_offset_mismatch`.
            EnvelopeError: a byte is not as announced; the upload begins anew.
            VaultError: `vault.storage_full`, `vault.storage_failed`, `vault.file_busy`.
        """
        upload = await asyncio.to_thread(self._require, upload_id)
        earlier = self._receiving.get(upload_id)
        if earlier is not None:
            earlier.cancel()
            with suppress(asyncio.CancelledError, HubError):
                await asyncio.shield(asyncio.wait({earlier}))
        task = asyncio.create_task(self._receive(upload, offset, chunks))
        self._receiving[upload_id] = task
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            if self._receiving.get(upload_id) is task:
                del self._receiving[upload_id]
        if task.cancelled():
            raise ExchangeError("exchange.upload_offset_mismatch", "a later connection has taken over")
        task.result()
        return await asyncio.to_thread(self.look, upload_id)

    async def complete(
        self, upload_id: str, *, received_at: datetime, connected_as: MemberId | None = None
    ) -> Outcome:
        """Take the message whose container is there, into the outbox.

        Raises:
            ExchangeError: `exchange.upload_unknown`; `exchange.upload_offset_mismatch`: bytes are missing.
            EnvelopeError: it is another container; the upload begins anew.
            VaultError: as `append`.
        """
        upload = await asyncio.to_thread(self._require, upload_id)
        envelope = await asyncio.to_thread(self._finished, upload)
        outcome = await self.pipeline.take(
            envelope.raw, received_at=received_at, connected_as=connected_as, large=envelope
        )
        if outcome.code is None or not _may_be_tried_again(outcome.code):
            await self.writer.run_async(lambda connection: store.remove(connection, upload_id))
            self._incoming.forget(upload.file)
        return outcome

    def clean(self, now: datetime) -> int:
        """Remove what nobody sends any more; return how many uploads that were."""
        with self.engine.connect() as connection:
            uploads = store.list_all(connection)
        ended = [each for each in uploads if self._is_over(each, now)]
        for upload in ended:
            self.writer.run(lambda connection, upload=upload: store.remove(connection, upload.id))  # type: ignore[misc]  # mypy cannot type a default
            self._incoming.forget(upload.file)
            _logger.info("upload.removed", member=upload.member, length=upload.length)
        with self.engine.connect() as connection:
            in_use = frozenset(each.file for each in store.list_all(connection))
        self.vault.sweep_large(in_use, self.limits.idle.total_seconds(), time.time())
        return len(ended)

    @property
    def _most_bytes(self) -> int:
        return min(self.limits.container_bytes, MOST_BYTES)

    def _require(self, upload_id: str) -> Upload:
        with self.engine.connect() as connection:
            upload = store.read(connection, upload_id)
        if upload is None or upload.expires_at <= self.clock.now():
            raise ExchangeError("exchange.upload_unknown", upload_id[:32])
        return upload

    def _place(self, envelope: LargeEnvelope, retention: str | None) -> Position:
        with self.engine.connect() as connection:
            known = store.find(connection, envelope.container_sha256)
            under_way = store.list_all(connection)
        if known is not None:
            return Position(known.id, self._incoming.size(known.file), known.length)
        waiting = sum(each.length - self._incoming.size(each.file) for each in under_way)
        self.vault.require_room(envelope.size + waiting)
        member = member_of(envelope.header.sender)

        def work(connection: Connection) -> Upload:
            found = store.find(connection, envelope.container_sha256)
            if found is not None:
                return found
            self._require_quota(connection, member, envelope.size)
            upload_id = secrets.token_hex(16)
            file = self.vault.begin_large(connection, retention=retention)
            upload = Upload(
                id=upload_id,
                member=member,
                container_sha256=envelope.container_sha256,
                length=envelope.size,
                file=file,
                announcement=self.vault.seal_beside(file, _subject(upload_id), envelope.raw),
                created_at=self.clock.now(),
                expires_at=envelope.header.expires_at,
            )
            store.enter(connection, upload)
            return upload

        upload = self.writer.run(work)
        return Position(upload.id, self._incoming.size(upload.file), upload.length, is_new=True)

    def _require_quota(self, connection: Connection, member: MemberId, more_bytes: int) -> None:
        number, size = store.count(connection, member)
        if number + 1 > self.limits.member_uploads or size + more_bytes > self.limits.member_bytes:
            detail = f"{number} uploads of {size} bytes are under way"
            most = f"{self.limits.member_uploads} of {self.limits.member_bytes} bytes"
            raise ExchangeError("exchange.upload_quota", f"{detail}, at most {most} may be")

    def _opened(self, upload: Upload) -> LargeEnvelope:
        raw = self.vault.unseal_beside(upload.file, _subject(upload.id), upload.announcement)
        return open_announcement(raw).kept_as(upload.file)

    async def _receive(self, upload: Upload, offset: int, chunks: AsyncIterator[bytes]) -> None:
        incomer = await asyncio.to_thread(lambda: self._incoming.open(self._opened(upload), offset))
        try:
            await take_all(incomer, chunks, silence_seconds=self.silence_seconds)
        except TimeoutError:
            _logger.info("upload.silent", offset=incomer.offset)
        finally:
            # Also when the connection was cut: what came is brought to disk.
            await surely(incomer.close)

    def _finished(self, upload: Upload) -> LargeEnvelope:
        envelope = self._opened(upload)
        there = self._incoming.size(upload.file)
        if there != upload.length:
            raise ExchangeError(
                "exchange.upload_offset_mismatch", f"{there} of {upload.length} bytes are there"
            )
        incomer = self._incoming.open(envelope, there)
        try:
            incomer.finish()
        finally:
            incomer.close()
        return envelope

    def _is_over(self, upload: Upload, now: datetime) -> bool:
        if upload.expires_at <= now:
            return True
        age = self.vault.large_age_seconds(upload.file, time.time())
        if age is None:
            age = (now - upload.created_at).total_seconds()
        return age >= self.limits.idle.total_seconds()


def _may_be_tried_again(code: str) -> bool:
    kind = error_kinds().get(code)
    return kind is not None and kind.retryable


def _subject(upload_id: str) -> str:
    return f"upload:{upload_id}"
