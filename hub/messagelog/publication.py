# SPDX-License-Identifier: Apache-2.0
"""What the log tells everybody: its checkpoints with their cosignatures, its entries, and proofs of both.

Source: C2SP tlog-checkpoint, tlog-proof and tlog-policy.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from hub.errors import LogError
from hub.messagelog import cosignatures, store
from hub.messagelog.health import WitnessState
from hub.tlog import (
    NO_WITNESS,
    Checkpoint,
    Note,
    PolicyLog,
    ProofFile,
    SignedCheckpoint,
    Span,
    TrustPolicy,
    inclusion_spans,
    leaf_hash,
    prove,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from hub.messagelog.service import MessageLog
    from hub.tlog import VerifierKey

FRESH_SECONDS = 5.0
"""Asked by anybody, the log signs no more often than this."""

# Of those that enough witnesses cosigned, though not the right ones.
_FEW_LOOKED_AT = 4
_MOST_LOOKED_AT = 1_000
_MOST_REMEMBERED = 64
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Shown:
    """A checkpoint with the cosignatures it has, and whether they make the quorum."""

    signed: SignedCheckpoint
    is_witnessed: bool


class PublishedLog:
    """A log as it is shown to everybody: as much of it as a checkpoint was signed for.

    Args:
        engine: the log's.
        log: signs and proves.
        policy: names the log's witnesses and their quorum; None when it has none.
        monotonic: counts seconds, for `fresh_checkpoint`.
    """

    def __init__(
        self,
        engine: Engine,
        log: MessageLog,
        policy: TrustPolicy | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._log = log
        given = policy or TrustPolicy((), (), NO_WITNESS)
        # What is claimed of this log names this log alone, and each public key once.
        by_key = {each.public_key.public_bytes_raw(): each for each in reversed(log.verifiers)}
        logs = tuple(PolicyLog(each) for each in reversed(by_key.values()))
        self._policy = TrustPolicy(logs, given.witnesses, given.quorum, given.groups)
        self._monotonic = monotonic
        self._signing = threading.Lock()
        self._signed_at: float | None = None
        self._remembering = threading.Lock()
        self._remembered: dict[tuple[int, int], _Shown] = {}

    @property
    def policy(self) -> TrustPolicy:
        """The log's key, its witnesses and their quorum, as the log claims them."""
        return self._policy

    def checkpoint(self) -> SignedCheckpoint:
        """Return the largest signed checkpoint, with the cosignatures it has by now.

        Raises:
            LogError: `log.entry_unknown`: none was signed yet.
        """
        with self._engine.connect() as connection:
            return self._shown(connection, store.read_largest(connection)).signed

    def checkpoint_of(self, size: int) -> SignedCheckpoint:
        """Return the signed checkpoint of exactly this size, with the cosignatures it has by now.

        Raises:
            LogError: `log.entry_unknown`: none was signed at that size.
        """
        with self._engine.connect() as connection:
            return self._shown(connection, size).signed

    def fresh_checkpoint(self) -> SignedCheckpoint:
        """Return a checkpoint over all that was durable some seconds ago, with the cosignatures it has.

        Anybody may ask for it, and every checkpoint is kept, time-stamped and cosigned for good: one is
        signed no more often than every `FRESH_SECONDS`, however many ask.

        Raises:
            LogError: `log.corrupt`: the log does not match what was signed before; nothing is signed.
        """
        # While one caller waits for a signature, the others are shown what there is, once there is anything.
        if self._signing.acquire(blocking=self._signed_at is None):
            try:
                now = self._monotonic()
                if self._signed_at is None or now - self._signed_at >= FRESH_SECONDS:
                    self._log.checkpoint()
                    self._signed_at = now
            finally:
                self._signing.release()
        return self.checkpoint()

    def witnessed_checkpoint(self, least: int = 0) -> SignedCheckpoint:
        """Return the largest checkpoint of at least `least` entries that the quorum of witnesses cosigned.

        Raises:
            LogError: `log.not_witnessed`: there is none yet, or the log has no witnesses.
        """
        with self._engine.connect() as connection:
            found = self._witnessed(connection, least)
        if found is None:
            detail = f"no checkpoint of {least} entries or more has the quorum {self._policy.quorum} yet"
            raise LogError("log.not_witnessed", detail)
        return found

    def entry(self, index: int) -> bytes:
        """Return an entry's bytes, the leaf of the tree.

        Raises:
            LogError: `log.entry_unknown`: there is none, or no checkpoint covers it yet; `log.corrupt`: it
                was changed.
        """
        with self._engine.connect() as connection:
            self._require_signed(connection, index + 1)
            new = next(iter(store.read_leaves(connection, Span(index, index + 1))), None)
        if new is None or leaf_hash(new.leaf) != new.leaf_hash:
            raise LogError("log.corrupt", f"entry {index} is missing or was changed")
        return new.leaf

    def proof(self, index: int, checkpoint: SignedCheckpoint | None = None) -> ProofFile:
        """Prove that an entry is in the log.

        Args:
            index: the entry's.
            checkpoint: to be proven against; without one, the largest that the quorum cosigned, or else the
                largest.

        Raises:
            LogError: `log.entry_unknown`: there is no such entry, or no checkpoint covers it yet.
        """
        with self._engine.connect() as connection:
            if checkpoint is None:
                self._require_signed(connection, index + 1)
                checkpoint = self._witnessed(connection, index + 1)
            if checkpoint is None:
                checkpoint = self._shown(connection, store.read_largest(connection)).signed
            spans = inclusion_spans(index, checkpoint.checkpoint.size)
            hashes = store.read_hashes(connection, (each for span in spans for each in span.subtrees()))
        return ProofFile(index, prove(spans, hashes.__getitem__), checkpoint.note)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Prove that the tree of `new` entries starts with that of `old`.

        Raises:
            LogError: `log.entry_unknown`: no checkpoint covers `new` entries, or `old` is larger.
        """
        with self._engine.connect() as connection:
            self._require_signed(connection, new)
        return self._log.consistency_proof(old, new)

    def witnesses(self) -> tuple[WitnessState, ...]:
        """Return how far each witness of the log has come, in the policy's order."""
        states = []
        with self._engine.connect() as connection:
            for each in self._policy.witnesses:
                last = cosignatures.read_last_cosignature(connection, each.key)
                states.append(
                    WitnessState(
                        name=each.name,
                        size=last.size if last else None,
                        cosigned_at=last.cosigned_at if last else None,
                    )
                )
        return tuple(states)

    def _witnessed(self, connection: Connection, least: int) -> SignedCheckpoint | None:
        if self._policy.quorum == NO_WITNESS:
            return None
        fewest = self._policy.fewest_cosigners()
        # Nearly always it is among the first few.
        for most in (_FEW_LOOKED_AT, _MOST_LOOKED_AT):
            sizes = cosignatures.read_cosigned_sizes(connection, least, fewest=fewest, most=most)
            for size in sizes:
                shown = self._shown(connection, size)
                if shown.is_witnessed:
                    return shown.signed
            if len(sizes) < most:
                return None
        return None

    def _shown(self, connection: Connection, size: int) -> _Shown:
        lines = cosignatures.read_lines(connection, size)
        # Lines are only added, so their number tells what was seen of them.
        seen = (size, len(lines))
        with self._remembering:
            if seen in self._remembered:
                return self._remembered[seen]
        note = store.read_note(connection, size)
        if note is None:
            raise LogError("log.entry_unknown", f"no checkpoint of {size} entries was signed")
        shown = self._show(note, lines)
        with self._remembering:
            while len(self._remembered) >= _MOST_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[seen] = shown
        return shown

    def _show(self, note: str, lines: Sequence[str]) -> _Shown:
        text, names, holding = Note.decode(note).text, set(), ""
        for line in lines:
            for witness in self._policy.witnesses:
                if _holds(text, line, witness.key):
                    names.add(witness.name)
                    holding += line
        signed = SignedCheckpoint(Checkpoint.from_text(text), note + holding)
        return _Shown(signed, is_witnessed=self._policy.is_met_by(names))

    def _require_signed(self, connection: Connection, size: int) -> None:
        if size > store.read_largest(connection):
            raise LogError("log.entry_unknown", "no checkpoint signed by now covers it")


def _holds(text: str, line: str, witness: VerifierKey) -> bool:
    """Say whether a kept cosignature is this witness's; one that does not hold would spoil the whole note."""
    try:
        return bool(Note.decode(f"{text}\n{line}").verify([witness]))
    except LogError as exc:
        _logger.warning("log.cosignature_damaged", code=exc.code, detail=exc.detail)
        return False
