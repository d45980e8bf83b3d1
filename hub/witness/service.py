# SPDX-License-Identifier: Apache-2.0
"""Deciding on a checkpoint: cosigned when it grew out of the last one, refused and kept otherwise.

Reading what is known, deciding, signing and remembering are one unit of the database's writer, and only one
transaction writes at a time, whichever process it is of: of two requests at the same moment the second sees
what the first left, so no answer can take back an earlier one.

Source: C2SP tlog-witness, "add-checkpoint".
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.tlog import EMPTY_ROOT, timestamp_of, verify_consistency
from hub.witness import store
from hub.witness.store import Evidence, EvidenceKind, Head
from hub.witness.submissions import Submission, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from hub.alarms import AlarmSink
    from hub.clock import Clock
    from hub.database import Writer
    from hub.tlog import Checkpoint, Cosigner, HoldingSignature, VerifierKey
    from hub.witness.logs import WitnessedLog

_FORKED = "log.witnessed_log_forked"
_UNPROVEN = "log.witnessed_log_unproven"


class OutdatedError(LogError):
    """The proof starts from another size than the one known here, which is said in the answer."""

    def __init__(self, known_size: int) -> None:
        super().__init__("log.submission_outdated", f"the latest checkpoint known here has {known_size}")
        self.known_size = known_size


@dataclass(frozen=True)
class WitnessedState:
    """How far a witnessed log is known.

    Attributes:
        origin: its name.
        size: of the latest cosigned checkpoint; None before the first.
        cosigned_at: when that was first cosigned.
        evidence: checkpoints that did not fit, oldest first.
    """

    origin: str
    size: int | None
    cosigned_at: datetime | None
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class _Signed:
    """A checkpoint that its log signed."""

    submission: Submission
    checkpoint: Checkpoint
    text: str
    signatures: tuple[HoldingSignature, ...]

    def note(self, cosignature: str = "") -> str:
        """Return the checkpoint with what is known to hold, and nothing that a stranger put below it."""
        return f"{self.text}\n{''.join(each.line for each in self.signatures)}{cosignature}"

    def bare(self) -> bytes:
        """Return the request as the log could have sent it."""
        return Submission(self.submission.old_size, self.submission.proof, self.note()).encode()


@dataclass(frozen=True)
class _Decision:
    """What comes of it: the cosignature's line, or the refusal; what was noticed."""

    cosignature: str | None = None
    refusal: LogError | None = None
    noticed: tuple[EvidenceKind, str] | None = None
    is_all_proven: bool = False


class Witness:
    """Cosigns the checkpoints of some logs.

    Args:
        engine: opened by `hub.database.open_database`.
        writer: the engine's writer.
        cosigner: the hub's key as a witness.
        logs: by origin, whose checkpoints are cosigned.
        alarms: are told of a log that does not fit together.
        clock: says when a checkpoint was seen.
    """

    def __init__(  # noqa: PLR0913 (its dependencies)
        self,
        *,
        engine: Engine,
        writer: Writer,
        cosigner: Cosigner,
        logs: Mapping[str, WitnessedLog],
        alarms: AlarmSink,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._cosigner = cosigner
        self._logs = dict(logs)
        self._origins = {sha256(origin.encode()).hexdigest(): origin for origin in self._logs}
        self._alarms = alarms
        self._clock = clock

    @property
    def verifier(self) -> VerifierKey:
        """What others need to check the cosignatures."""
        return self._cosigner.verifier

    def add_checkpoint(self, body: bytes) -> str:
        """Cosign a checkpoint; returns the cosignature's line.

        Raises:
            LogError: `log.submission_malformed`; `log.log_unknown`; `log.submission_untrusted`: the log did
                not sign it; `log.submission_outdated` (`OutdatedError`): another size is known here;
                `log.submission_inconsistent`: it does not grow out of what is known.
        """
        submission = Submission.decode(body)
        log = self._logs.get(submission.origin)
        if log is None:
            raise LogError("log.log_unknown", "unknown log: its origin is not witnessed here")
        note = submission.open_note()
        signatures = log.verify(note)
        checkpoint = read_checkpoint(note.text)
        if submission.old_size > checkpoint.size:
            raise LogError("log.submission_malformed", "the old size is larger than the checkpoint's")
        signed = _Signed(submission, checkpoint, note.text, signatures)
        decision = self._writer.run(lambda connection: self._decide(connection, signed))
        self._tell(checkpoint.origin, decision)
        if decision.cosignature is None:
            raise decision.refusal or RuntimeError("a decision without an outcome")
        return decision.cosignature

    def latest(self, origin_hash: str) -> str:
        """Return the latest cosigned checkpoint of the log whose origin has this SHA-256, in hex.

        Raises:
            LogError: `log.log_unknown`: no such log is witnessed, or nothing of it was cosigned yet.
        """
        origin = self._origins.get(origin_hash)
        if origin is not None:
            with self._engine.connect() as connection:
                head = store.read_head(connection, origin)
            if head.root is not None:
                return head.note
        raise LogError("log.log_unknown", "no checkpoint of such a log was cosigned here")

    def states(self) -> tuple[WitnessedState, ...]:
        """Return how far each log is known, by origin."""
        with self._engine.connect() as connection:
            return tuple(_state(connection, origin) for origin in sorted(self._logs))

    def _decide(self, connection: Connection, signed: _Signed) -> _Decision:
        checkpoint, old_size = signed.checkpoint, signed.submission.old_size
        head = store.read_head(connection, checkpoint.origin)
        roots = store.read_roots(connection, checkpoint.origin, checkpoint.size)
        is_forked = bool((roots.cosigned | roots.refused) - {checkpoint.root})
        if old_size != head.size:
            kind = EvidenceKind.SMALLER if checkpoint.size < head.size else None
            refusal: LogError = OutdatedError(head.size)
        else:
            kind = EvidenceKind.UNPROVEN
            try:
                self._require_growth(signed, head)
            except LogError as exc:
                refusal = LogError("log.submission_inconsistent", f"bad consistency proof: {exc.detail}")
            else:
                line = self._cosign(connection, signed, head)
                noticed = self._keep(connection, signed, head, EvidenceKind.FORKED) if is_forked else None
                return _Decision(line, None, noticed, not store.has_unproven(connection, checkpoint.origin))
        # What was cosigned here is merely shown again.
        if is_forked:
            kind = EvidenceKind.FORKED
        elif checkpoint.root in roots.cosigned:
            kind = None
        return _Decision(None, refusal, self._keep(connection, signed, head, kind) if kind else None)

    def _require_growth(self, signed: _Signed, head: Head) -> None:
        known, checkpoint = head.root or EMPTY_ROOT, signed.checkpoint
        verify_consistency(head.size, checkpoint.size, known, checkpoint.root, signed.submission.proof)

    def _cosign(self, connection: Connection, signed: _Signed, head: Head) -> str:
        now = self._clock.now()
        # A clock set back must not let a later statement seem to precede an earlier one.
        at = max(now, head.cosigned_at) if head.cosigned_at else now
        line = self._cosigner.cosign(signed.text, timestamp_of(at))
        if head.root is None or signed.checkpoint.size > head.size:
            cosigned = Head(signed.checkpoint.size, signed.checkpoint.root, signed.note(line), at)
            store.insert_checkpoint(connection, signed.checkpoint.origin, cosigned)
        return line

    def _keep(
        self, connection: Connection, signed: _Signed, head: Head, kind: EvidenceKind
    ) -> tuple[EvidenceKind, str]:
        checkpoint = signed.checkpoint
        evidence = Evidence(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=checkpoint.root,
            kind=kind,
            known_size=head.size,
            submission=signed.bare(),
            shown_at=self._clock.now(),
        )
        store.keep_evidence(connection, evidence)
        known = f"{head.size} entries were known" if head.root else "nothing was known"
        return kind, f"it signed {checkpoint.size} entries with root {checkpoint.root.hex()}; {known}"

    def _tell(self, origin: str, decision: _Decision) -> None:
        if decision.noticed is not None:
            kind, detail = decision.noticed
            # A smaller checkpoint alone is no alarm: anybody may send an old one again.
            if kind is EvidenceKind.FORKED:
                self._alarms.raise_alarm(_FORKED, origin, detail)
            elif kind is EvidenceKind.UNPROVEN:
                self._alarms.raise_alarm(_UNPROVEN, origin, detail)
        if decision.is_all_proven:
            self._alarms.clear(_UNPROVEN, origin)


def _state(connection: Connection, origin: str) -> WitnessedState:
    head = store.read_head(connection, origin)
    size = None if head.root is None else head.size
    return WitnessedState(origin, size, head.cosigned_at, store.read_evidence(connection, origin))
