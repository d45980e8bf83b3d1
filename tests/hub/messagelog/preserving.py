# SPDX-License-Identifier: Apache-2.0
"""A log, a vault, and authorities of any age: containers are kept, stamped and renewed while decades pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from hub.alarms import Alarms
from hub.clock import FixedClock
from hub.envelope import Payload
from hub.errors import TrustError
from hub.messagelog import CheckpointStamper, CheckpointStamps, EvidenceRecords, EvidenceRenewal
from hub.preservation import NO_ENDS, DigestEnds, VerifiedRecord, digest_of, group_of, verify_record
from hub.trust import TimeStamp, verify_time_stamp
from hub.vault import Eraser, Holds
from tests.hub.envelope.signers import request_envelope
from tests.hub.messagelog.conftest import an_entry
from tests.hub.preservation.authorities import Authorities, TimeStampKey
from tests.vaults import a_vault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from hub.envelope import Envelope
    from hub.preservation import Answers
    from hub.vault import HoldKind, Vault
    from tests.hub.messagelog.conftest import RunningLog

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
LIFE = timedelta(days=365 * 5)
_numbers = count()


def a_container() -> Envelope:
    """Seal a request that is like no other."""
    content = b'{"number":%d}' % next(_numbers)
    return request_envelope(payloads=[Payload("request.json", "application/json", content)])


class Stamps:
    """Gives tokens of the present key at the time of a clock; or none, or late."""

    def __init__(self, authorities: Authorities, key: TimeStampKey, clock: FixedClock) -> None:
        self.authorities = authorities
        self.key = key
        self.clock = clock
        self.asked: list[bytes] = []
        self.is_down = False
        self.meanwhile: Callable[[], None] = lambda: None

    def stamp(self, digest: bytes, digest_algorithm: str = "sha256") -> TimeStamp:
        self.asked.append(digest)
        if self.is_down:
            raise TrustError("trust.timestamp_unavailable", "the line is cut")
        now = self.clock.now()
        token = self.authorities.stamp(self.key, digest, now, digest_algorithm)
        answers: Answers = self.authorities.answers(now)
        given = verify_time_stamp(token, digest, self.authorities.judge().validator(answers))
        self.meanwhile()
        return given

    def close(self) -> None:
        """Hold nothing."""


class NoCases:
    """Knows no case."""

    def containers_of(self, kind: HoldKind, subject: str) -> list[str]:
        del kind, subject
        return []


class NothingMade:
    """Nothing was made of any container."""

    def forget(self, connection: Connection, digests: Sequence[str]) -> None:
        """Forget nothing."""


@dataclass
class Preserving:
    """Everything that keeps, stamps and renews."""

    running: RunningLog
    vault: Vault
    stamps: Stamps
    records: EvidenceRecords
    alarms: Alarms
    clock: FixedClock
    kept: list[Envelope] = field(default_factory=list)

    @property
    def checkpoints(self) -> CheckpointStamps:
        return CheckpointStamps(self.running.engine)

    def stamper(self, most_objects: int = 1000) -> CheckpointStamper:
        return CheckpointStamper(
            engine=self.running.engine,
            writer=self.running.writer,
            authorities=self.stamps,
            alarms=self.alarms,
            clock=self.clock,
            most_objects=most_objects,
        )

    def renewal(self, ends: DigestEnds = NO_ENDS) -> EvidenceRenewal:
        return EvidenceRenewal(
            engine=self.running.engine,
            writer=self.running.writer,
            records=EvidenceRecords(self.running.engine, self.clock),
            vault=self.vault,
            authorities=self.stamps,
            alarms=self.alarms,
            clock=self.clock,
            ends=ends,
        )

    def keep(self, *envelopes: Envelope, retention: str | None = None) -> None:
        """Keep containers as the exchange does: log entry, vault and evidence in one unit."""

        def work(connection: Connection) -> None:
            for envelope in envelopes:
                self.running.log.append(connection, an_entry())
                self.vault.keep(connection, envelope, retention=retention)
                self.records.take(connection, envelope)

        self.running.writer.run(work)
        self.kept += envelopes

    def seal(self) -> int:
        return self.running.log.checkpoint().checkpoint.size

    def verify(self, envelope: Envelope, at: datetime | None = None) -> VerifiedRecord:
        """Verify a container's record with nothing but itself and who is approved."""
        der = EvidenceRecords(self.running.engine, self.clock).of(envelope.container_sha256)
        judge = self.stamps.authorities.judge()
        return verify_record(der, lambda digest: group_of(envelope, digest), judge, at=at or self.clock.now())

    def verify_checkpoint(self, size: int) -> VerifiedRecord:
        note = self.checkpoints.checkpoint(size).encode()
        der = self.records.of_checkpoint(size)
        judge = self.stamps.authorities.judge()
        return verify_record(der, lambda digest: [digest_of(digest, note)], judge, at=self.clock.now())

    def pass_time(self, **duration: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(**duration))

    def erase(self, envelope: Envelope) -> None:
        """Destroy the key of a container's month and retention."""
        eraser = Eraser(
            self.running.engine,
            self.running.writer,
            self.vault,
            Holds(self.running.engine, self.running.writer, self.vault, NoCases(), self.clock),
            self.running.log,
            self.clock,
            NothingMade(),
        )
        keys = {each.key_id for each in eraser.due(self.clock.now())}
        for key_id in keys:
            eraser.erase(key_id, reason="its time is over", by="a test")
        assert self.vault.state(envelope.container_sha256) == "erased"


def preserving(running: RunningLog, folder: Path) -> Preserving:
    authorities = Authorities()
    clock = FixedClock(BEGIN)
    key = authorities.authority("tsa-1", BEGIN - timedelta(days=1), BEGIN + LIFE)
    return Preserving(
        running=running,
        vault=a_vault(running.engine, folder / "keys", clock),
        stamps=Stamps(authorities, key, clock),
        records=EvidenceRecords(running.engine, clock),
        alarms=Alarms(running.engine, running.writer, clock),
        clock=clock,
    )
