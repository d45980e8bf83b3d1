# SPDX-License-Identifier: Apache-2.0
"""Auditing the exchanges against the log: each must have ended as the log says, and none may be missing.

The log is what is proven; the table of exchanges only says where each stands. Both are read into a temporary
database beside each other, because the log knows an answer by its container's digest only.

The receipts help the log in turn: each names one entry's number and leaf hash over the hub's signature. So
where entries and hashes were changed together, they tell which entry it was.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hub.envelope import open_envelope, read_receipt, verify_signature
from hub.errors import HubError
from hub.exchange import store
from hub.messagelog import AuditReport, Finding, Tampering, with_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Engine

    from hub.identifiers import SubsystemId
    from hub.messagelog import Claim, MessageLog, Mirror
    from hub.tlog import Span
    from hub.vault import Vault

_PORTION = 5_000
_MOST_RECEIPTS = 2_000
_TABLES = """
CREATE TABLE exchange (id TEXT PRIMARY KEY, sender, recipient, service, state, code, concluded, request,
    answer, receipt);
CREATE TABLE entry (number INTEGER PRIMARY KEY, event, message, digest, sender, recipient, service, code);
"""
_INDEXES = """
CREATE INDEX entry_by_message ON entry (message);
CREATE INDEX entry_by_digest ON entry (digest);
CREATE INDEX exchange_by_answer ON exchange (answer);
"""
# What comes out of each question is wrong: the number of an entry, the id of a message, and the facts.
_QUESTIONS: tuple[tuple[Tampering, str], ...] = (
    (
        Tampering.EXCHANGE_UNLOGGED,
        """
        SELECT (SELECT min(number) FROM entry WHERE message = x.id AND event = 'accepted'), x.id,
            'it is said to be processed, and no such answer was logged'
        FROM exchange x WHERE x.state = 'processed'
            AND NOT EXISTS (SELECT 1 FROM entry
                WHERE digest = x.answer AND event IN ('answered', 'delivered'))
            -- An event nobody is sent is processed without anybody's answer.
            AND NOT (x.answer IS NULL AND x.service LIKE x.sender || '/%')
        """,
    ),
    (
        Tampering.EXCHANGE_UNLOGGED,
        """
        SELECT NULL, x.id, 'it is there, and its request was never logged'
        FROM exchange x WHERE NOT EXISTS (SELECT 1 FROM entry WHERE message = x.id)
        """,
    ),
    (
        Tampering.EXCHANGE_UNLOGGED,
        """
        SELECT (SELECT min(number) FROM entry WHERE message = x.id), x.id,
            'it is said to be refused with ' || coalesce(x.code, 'no code') || ', which was not logged'
        FROM exchange x WHERE x.state = 'refused' AND x.concluded IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM entry WHERE message = x.id AND event IN ('refused', 'failed') AND code = x.code)
        """,
    ),
    (
        Tampering.EXCHANGE_CHANGED,
        """
        SELECT number, x.id, 'it is said to be refused, and its answer was logged'
        FROM exchange x JOIN entry ON digest = x.answer AND event IN ('answered', 'delivered')
        WHERE x.state = 'refused'
        """,
    ),
    (
        Tampering.EXCHANGE_CHANGED,
        """
        SELECT number, x.id, 'parties, service or the digest of the request are not those that were logged'
        FROM exchange x JOIN entry e ON e.message = x.id AND e.event = 'accepted'
        WHERE (e.digest, e.sender, e.recipient, e.service) <> (x.request, x.sender, x.recipient, x.service)
        """,
    ),
    (
        Tampering.EXCHANGE_MISSING,
        """
        SELECT number, message, 'its request was accepted' FROM entry
        WHERE event = 'accepted' AND number < :known
            AND NOT EXISTS (SELECT 1 FROM exchange WHERE id = message)
        """,
    ),
)


@dataclass(frozen=True, kw_only=True)
class HubAudit:
    """An audit of the log with all that the hub has beside it.

    Attributes:
        engine: the database.
        log: the log.
        vault: holds the receipts.
        hub: the subsystem that signs receipts.
    """

    engine: Engine
    log: MessageLog
    vault: Vault
    hub: SubsystemId

    def run(
        self,
        *,
        kept: Sequence[Claim] = (),
        mirror: Mirror | None = None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> AuditReport:
        """Audit the log, and the exchanges against it; the arguments are those of `LogAudit.run`."""
        with (
            tempfile.TemporaryDirectory(prefix="heliograph-audit-") as folder,
            closing(sqlite3.connect(Path(folder) / "audit.sqlite", isolation_level=None)) as beside,
        ):
            known = self._load(beside)
            report = self.log.audit().run(
                kept=kept, mirror=mirror, known=lambda span: self._receipts(beside, span), progress=progress
            )
            findings = list(_ask(beside, known))
        return with_findings(report, findings, "exchanges")

    def _load(self, beside: sqlite3.Connection) -> int:
        """Read exchanges and entries; return how many entries surely have their exchange."""
        beside.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES} BEGIN")
        # What is appended meanwhile has an exchange that is not read here; what an exchange says was logged
        # before it was read here.
        known = self.log.size()
        with self.engine.connect() as connection:
            for record in store.all_exchanges(connection):
                values = (
                    record.message_id,
                    record.sender,
                    record.recipient,
                    record.service,
                    record.state.value,
                    record.code,
                    None if record.concluded_at is None else 1,
                    record.request_sha256,
                    record.answer_sha256,
                    record.receipt_sha256,
                )
                beside.execute("INSERT INTO exchange VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        rows = (_entry_row(number, leaf) for number, leaf in self.log.stored_leaves(_PORTION))
        beside.executemany("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        # Python ends the open transaction before it runs a script.
        beside.executescript(_INDEXES)
        return known

    def _receipts(self, beside: sqlite3.Connection, span: Span) -> Mapping[int, bytes]:
        """Return the leaf hashes that receipts name for a span's entries.

        An exchange whose answer is not in the log is asked too: its receipt may name the entry that was
        changed.
        """
        rows = beside.execute(
            "SELECT x.receipt FROM exchange x JOIN entry e ON e.digest IN (x.answer, x.request)"
            " OR e.message = x.id WHERE e.number >= ? AND e.number < ? AND x.receipt IS NOT NULL"
            " UNION SELECT receipt FROM exchange x WHERE receipt IS NOT NULL AND state = 'processed'"
            " AND NOT EXISTS (SELECT 1 FROM entry WHERE digest = x.answer) LIMIT ?",
            (span.start, span.end, _MOST_RECEIPTS),
        )
        named = (each for (digest,) in rows.fetchall() for each in self._named_by(digest))
        return {number: leaf for number, leaf in named if span.start <= number < span.end}

    def _named_by(self, receipt_sha256: str) -> Iterator[tuple[int, bytes]]:
        try:
            envelope = open_envelope(self.vault.read(receipt_sha256))
            verify_signature(envelope)
            receipt = read_receipt(envelope)
        except HubError:
            # Erased, lost or not signed: it says nothing.
            return
        place = receipt.log
        if place is not None and envelope.header.sender == self.hub and place.origin == self.log.origin:
            yield place.index, bytes.fromhex(place.leaf_sha256)


def _entry_row(number: int, leaf: bytes) -> tuple[object, ...]:
    try:
        fields = json.loads(leaf)
        names = ("event", "message_id", "container_sha256", "sender", "recipient", "service", "code")
        return (number, *(fields[name] for name in names))
    except (ValueError, TypeError, KeyError):
        # The log's own audit names what is no entry.
        return (number, *[None] * 7)


def _ask(beside: sqlite3.Connection, known: int) -> Iterator[Finding]:
    told: set[str] = set()
    for kind, question in _QUESTIONS:
        values = {"known": known} if ":known" in question else {}
        for number, message_id, detail in beside.execute(question, values):
            if message_id not in told:
                told.add(message_id)
                yield Finding(kind=kind, detail=detail, first=number, last=number, message_id=message_id)
