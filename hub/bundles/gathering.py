# SPDX-License-Identifier: Apache-2.0
"""Everything that is kept of one exchange: its containers, the log's entries about it, and who signed.

Source: docs/protocols/evidence-bundle.md sections 4 and 5.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hub.bundles.missing import Missing, Why, why_not_read
from hub.bundles.model import PARTS, GatheredMessage, Piece, Signer, container_path, folder_of, leaf_path
from hub.envelope import open_envelope, read_receipt, verify_signature
from hub.errors import EnvelopeError, HubError
from hub.exchange import ExchangeState
from hub.tlog import EntryEvent
from hub.trust import ANY_ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.envelope import Envelope, Signature
    from hub.exchange import Archive, ExchangeRecord
    from hub.messagelog import MessageLog
    from hub.tlog import LoggedEntry

_MOST_ENTRIES = 100


class Records(Protocol):
    """Adds evidence records to containers."""

    def exported(self, container: bytes, sha256: str) -> tuple[bytes, Why | None]:
        """Return a container with its evidence record in it, or as it is and why there is none."""
        ...


@dataclass(frozen=True)
class Gatherer:
    """Gathers one exchange at a time; holds nothing between two.

    Args:
        archive: exchanges and containers.
        log: what is logged about them.
        records: evidence records.
    """

    archive: Archive
    log: MessageLog
    records: Records

    def gather(self, record: ExchangeRecord) -> GatheredMessage:
        """Gather all there is of an exchange."""
        missing: list[Missing] = []
        envelopes: dict[str, Envelope] = {}
        signers: list[Signer] = []
        pieces: list[Piece] = []
        for part in PARTS:
            path = container_path(record.message_id, part)
            try:
                envelopes[part], signature = self._open(record, part)
            except _NotThereError as exc:
                missing.append(Missing(path, exc.why))
                continue
            signers.append(_signer(part, signature, record))
            content, why = self.records.exported(envelopes[part].raw, envelopes[part].container_sha256)
            if why is not None:
                missing.append(Missing(f"{path}#META-INF/evidencerecord001.ers", why))
            pieces.append(Piece(path, content))
        entries = self._entries(record, envelopes)
        if not _are_complete(record, entries):
            # An answer is logged under its own id, which only the answer and the receipt know.
            why = Why.NO_ENTRY if {"answer", "receipt"} & envelopes.keys() else missing[-1].why
            missing.append(Missing(f"{folder_of(record.message_id)}/entries", why))
        pieces += [
            Piece(leaf_path(record.message_id, each.position.index), each.entry.to_bytes())
            for each in entries
        ]
        return GatheredMessage(
            record=record,
            pieces=tuple(pieces),
            containers={
                part: container_path(record.message_id, part) if part in envelopes else None for part in PARTS
            },
            headers={part: envelope.header for part, envelope in envelopes.items()},
            entries=entries,
            signers=tuple(signers),
            missing=tuple(missing),
        )

    def _open(self, record: ExchangeRecord, part: str) -> tuple[Envelope, Signature]:
        """Read a part; one whose bytes are not those that were exchanged is not given to anybody."""
        digests = _digests_of(record)
        digest = digests[part]
        if digest is None:
            raise _NotThereError(_why_never_signed(record))
        try:
            content = self.archive.container(digest)
        except HubError as exc:
            raise _NotThereError(why_not_read(exc)) from exc
        if hashlib.sha256(content).hexdigest() != digest:
            raise _NotThereError(Why.UNREADABLE)
        try:
            envelope = open_envelope(content)
            # Whatever was allowed when it passed; the reader judges it anew.
            return envelope, verify_signature(envelope, ANY_ALGORITHM)
        except EnvelopeError as exc:
            raise _NotThereError(Why.UNREADABLE) from exc

    def _entries(self, record: ExchangeRecord, envelopes: Mapping[str, Envelope]) -> tuple[LoggedEntry, ...]:
        """Return the entries about these containers; others may have the id, written by anybody."""
        ids = [record.message_id]
        last = None
        if "receipt" in envelopes:
            receipt = read_receipt(envelopes["receipt"])
            last = receipt.log.index if receipt.log else None
            # An answer is logged under its own id.
            ids += [receipt.answer.id] if receipt.answer else []
        elif "answer" in envelopes:
            ids.append(envelopes["answer"].header.id)
        digests = {record.request_sha256, record.answer_sha256}
        found = {
            logged.position.index: logged
            for message_id in ids
            for logged in self.log.entries_of(message_id)
            if logged.entry.container_sha256 in digests
            and logged.entry.event is not EntryEvent.DUPLICATE
            and (last is None or logged.position.index <= last)
        }
        # Copies sent again and again must not make a bundle endless; the last are those of the last try.
        return tuple(found[index] for index in sorted(found)[-_MOST_ENTRIES:])


class _NotThereError(Exception):
    """A container cannot be given."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


_UNENDED = {ExchangeState.IN_PROGRESS, ExchangeState.QUEUED, ExchangeState.DEFERRED}


def _digests_of(record: ExchangeRecord) -> dict[str, str | None]:
    return {
        "request": record.request_sha256,
        "answer": record.answer_sha256,
        "receipt": record.receipt_sha256,
    }


def _why_never_signed(record: ExchangeRecord) -> Why:
    return Why.IN_PROGRESS if record.state in _UNENDED else Why.INTERRUPTED


def _signer(part: str, signature: Signature, record: ExchangeRecord) -> Signer:
    """Tell by when the hub had believed a signer: a request's when it came, the others' when it ended."""
    ended_at = record.concluded_at or record.received_at
    relied_at = record.received_at if part == "request" else ended_at
    return Signer(signature.chain, signature.signed_at, relied_at)


def _are_complete(record: ExchangeRecord, entries: tuple[LoggedEntry, ...]) -> bool:
    """Tell whether the log says of an exchange what its state says."""
    said = {(each.entry.event, each.entry.container_sha256) for each in entries}
    accepted = (EntryEvent.ACCEPTED, record.request_sha256)
    if record.state is ExchangeState.PROCESSED:
        ends = {(event, record.answer_sha256) for event in (EntryEvent.ANSWERED, EntryEvent.DELIVERED)}
        return accepted in said and bool(ends & said)
    if record.state is ExchangeState.REFUSED and record.receipt_sha256 is not None:
        ends = {(event, record.request_sha256) for event in (EntryEvent.REFUSED, EntryEvent.FAILED)}
        return bool(ends & said)
    return accepted in said
