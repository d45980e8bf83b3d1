# SPDX-License-Identifier: Apache-2.0
"""Putting a bundle together, file by file, while it is sent.

    1  each exchange: containers with their evidence records, log entries, what makes its signers believed
    2  one checkpoint that covers every entry, with its record, and the proofs against it
    3  the trust lists of the days concerned
    4  what people read
    5  bundle.json, which names all others with their digests

One exchange is held at a time; of the others only what the index says of them.

Source: docs/protocols/evidence-bundle.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from hub.bundles.facts import SummaryFacts
from hub.bundles.html import write_html
from hub.bundles.model import (
    CHECKPOINT_NAME,
    CHECKPOINT_RECORD_NAME,
    FORMAT,
    INDEX_NAME,
    MOST_MEMBERS,
    MOST_MESSAGES,
    POLICY_NAME,
    Piece,
    Selection,
    proof_path,
)
from hub.bundles.pdf import write_pdf
from hub.bundles.readme import write_readme
from hub.bundles.summary import compose
from hub.bundles.trusting import CERTIFICATES, LISTS, REVOCATION, TrustMaterial, TrustSources
from hub.bundles.zipstream import ZipStream
from hub.canonical import encode_canonical
from hub.clock import format_instant
from hub.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import BinaryIO

    from hub.bundles.gathering import Gatherer
    from hub.bundles.missing import Missing
    from hub.bundles.proofs import ChosenCheckpoint, LogProofs
    from hub.bundles.selecting import Selector
    from hub.bundles.telling import Names
    from hub.clock import Clock
    from hub.exchange import ExchangeRecord
    from hub.identifiers import MessageId, SubsystemId

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class EvidenceBundles:
    """Makes evidence bundles.

    Attributes:
        selector: finds the exchanges.
        gatherer: gathers what is kept of one.
        proofs: proves log entries.
        trust: where certificates, answers and lists come from.
        names: what ids are called.
        hub: the hub's subsystem.
        clock: says when a bundle is made.
    """

    selector: Selector
    gatherer: Gatherer
    proofs: LogProofs
    trust: TrustSources
    names: Names
    hub: SubsystemId
    clock: Clock

    def prepare(self, selection: Selection) -> PreparedBundle:
        """Find the exchanges, so that what cannot be had is refused before anything is sent.

        Raises:
            BundleError: `bundle.too_many_messages`.
            ExchangeError: `exchange.message_unknown`: the one message asked for is not there.
        """
        records = self.selector.select(selection, MOST_MESSAGES + 1)
        if len(records) > MOST_MESSAGES:
            raise BundleError("bundle.too_many_messages", f"at most {MOST_MESSAGES} go into one bundle")
        return PreparedBundle(self, selection, records)

    def write(self, selection: Selection, out: BinaryIO) -> PreparedBundle:
        """Write a bundle to a file; returns what was put together.

        Raises:
            BundleError: `bundle.too_many_messages`.
            HubError: something could not be read.
        """
        prepared = self.prepare(selection)
        out.writelines(prepared.stream())
        return prepared


@dataclass(frozen=True)
class PreparedBundle:
    """Exchanges that were found, ready to be sent."""

    bundles: EvidenceBundles
    selection: Selection
    records: tuple[ExchangeRecord, ...]

    @property
    def file_name(self) -> str:
        """What the file may be called."""
        return f"evidence-{self.selection.label}.zip"

    def stream(self) -> Iterator[bytes]:
        """Put the bundle together and give its bytes as they come.

        Raises:
            HubError: something could not be read; what was given so far is no ZIP file.
        """
        return _Assembly(self.bundles, self.selection, self.bundles.clock.now()).stream(self.records)


class _Assembly:
    """One bundle while it is made."""

    def __init__(self, bundles: EvidenceBundles, selection: Selection, now: datetime) -> None:
        self._bundles = bundles
        self._selection = selection
        self._now = now
        self._zip = ZipStream(now)
        self._trust = TrustMaterial(bundles.trust, now)
        self._facts = SummaryFacts(selection, now, bundles.hub, bundles.proofs.log.origin)
        self._lines: list[dict[str, object]] = []
        self._indexes: list[tuple[MessageId, int]] = []
        self._missing: list[Missing] = []

    def stream(self, records: tuple[ExchangeRecord, ...]) -> Iterator[bytes]:
        for record in records:
            yield from self._messages(record)
        end = max((index for _, index in self._indexes), default=-1) + 1
        checkpoint = self._bundles.proofs.choose(end) if self._indexes else None
        if checkpoint is not None:
            yield from self._log(checkpoint)
        yield self._add(Piece(POLICY_NAME, self._bundles.proofs.policy()))
        for piece in self._trust.lists():
            yield self._add(piece)
        self._missing = sorted({*self._missing, *self._trust.missing})
        yield from self._for_people(checkpoint)
        yield self._zip.add(INDEX_NAME, encode_canonical(self._index(checkpoint)))
        yield self._zip.finish()
        _logger.info("evidence.bundle_made", messages=len(records), missing=len(self._missing))

    def _add(self, piece: Piece) -> bytes:
        if len(self._zip) >= MOST_MEMBERS:
            raise BundleError("bundle.too_many_messages", f"they have more than {MOST_MEMBERS} files")
        return self._zip.add(piece.path, piece.content)

    def _messages(self, record: ExchangeRecord) -> Iterator[bytes]:
        message = self._bundles.gatherer.gather(record)
        for piece in message.pieces:
            yield self._add(piece)
        for signer in message.signers:
            for piece in self._trust.of(signer):
                yield self._add(piece)
        self._missing += message.missing
        self._facts.take(message)
        self._lines.append(message.to_json())
        self._indexes += [(record.message_id, each.position.index) for each in message.entries]

    def _log(self, checkpoint: ChosenCheckpoint) -> Iterator[bytes]:
        for message_id, index in self._indexes:
            proof = self._bundles.proofs.prove(index, checkpoint)
            yield self._add(Piece(proof_path(message_id, index), proof))
        yield self._add(Piece(CHECKPOINT_NAME, checkpoint.plain.encode("utf-8")))
        if checkpoint.record is not None:
            yield self._add(Piece(CHECKPOINT_RECORD_NAME, checkpoint.record))
        self._missing += checkpoint.missing

    def _for_people(self, checkpoint: ChosenCheckpoint | None) -> Iterator[bytes]:
        self._facts.missing = tuple(self._missing)
        if checkpoint is not None:
            self._facts.checkpoint_size = checkpoint.size
            self._facts.stamped_at = checkpoint.stamped_at
            self._facts.witnesses = checkpoint.witnesses
        page = compose(self._facts, self._bundles.names)
        yield self._add(Piece("README.txt", write_readme(self._facts)))
        yield self._add(Piece("summary.html", write_html(page)))
        yield self._add(Piece("summary.pdf", write_pdf(page, self._now)))

    def _index(self, checkpoint: ChosenCheckpoint | None) -> dict[str, object]:
        bundles = self._bundles
        has_record = checkpoint is not None and checkpoint.record is not None
        return {
            "format": FORMAT,
            "created_at": format_instant(self._now),
            "hub": {"subsystem": bundles.hub, "log_origin": bundles.proofs.log.origin},
            "selection": self._selection.to_json(),
            "messages": self._lines,
            "checkpoint": CHECKPOINT_NAME if checkpoint else None,
            "checkpoint_record": CHECKPOINT_RECORD_NAME if has_record else None,
            "policy": POLICY_NAME,
            "trust_lists": self._below(LISTS),
            "certificates": self._below(CERTIFICATES),
            "revocation": self._below(REVOCATION),
            "missing": [each.to_json() for each in self._missing],
            "files": {
                name: {"sha256": digest.sha256, "bytes": digest.size}
                for name, digest in self._zip.digests.items()
            },
        }

    def _below(self, folder: str) -> list[str]:
        return [path for path in self._trust.paths if path.startswith(f"{folder}/")]
