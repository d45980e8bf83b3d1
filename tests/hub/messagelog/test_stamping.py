# SPDX-License-Identifier: Apache-2.0
"""Checkpoints are stamped by authorities that answer over HTTP, and wait, bounded, while none does."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from base64 import b64decode
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError

from hub.alarms import Alarm, Alarms
from hub.clock import FixedClock
from hub.errors import LogError
from hub.messagelog import CheckpointStamper, CheckpointStamps, EvidenceRecords, stamp_routes
from hub.problems import install_problems
from hub.tlog import verify_consistency
from hub.trust import (
    OnlineRevocation,
    TimeStampAuthority,
    TimeStampClient,
    Validator,
    verify_time_stamp,
)
from tests.tsa import Authority, Behaviour, authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hub.messagelog.conftest import RunningLog
    from tests.pki import ServedPki

MOST = 5
UNREACHABLE, WAITING = "trust.tsa_unreachable", "trust.stamps_waiting"


@pytest.fixture(scope="module")
def validator(pki: ServedPki) -> Iterator[Validator]:
    source = OnlineRevocation()
    yield Validator(pki.approved(), source)
    source.close()


@dataclass(frozen=True)
class Stamping:
    """A log, two authorities, and a stamper that knows both."""

    running: RunningLog
    first: Authority
    second: Authority
    stamps: CheckpointStamps
    records: EvidenceRecords
    stamper: CheckpointStamper
    alarms: Alarms
    clock: FixedClock
    honest: Behaviour
    validator: Validator

    def another(self) -> CheckpointStamper:
        """The stamper of a hub that was started anew."""
        http = httpx2.Client(timeout=httpx2.Timeout(2), trust_env=False)
        listed = [TimeStampAuthority(each.url, each.url) for each in (self.first, self.second)]
        return CheckpointStamper(
            engine=self.running.engine,
            writer=self.running.writer,
            authorities=TimeStampClient(listed, self.validator, self.clock, client=http),
            alarms=self.alarms,
            clock=self.clock,
            most_waiting=MOST,
            longest_wait=timedelta(hours=1),
        )

    def seal(self) -> int:
        """Log one more entry and sign a checkpoint over it."""
        self.running.append()
        return self.running.log.checkpoint().checkpoint.size

    def go_down(self) -> None:
        for each in (self.first, self.second):
            each.behaviour = replace(each.behaviour, status="rejection")

    def come_back(self) -> None:
        for each in (self.first, self.second):
            each.behaviour = self.honest

    def open_alarms(self) -> dict[str, Alarm]:
        self.running.writer.run(lambda _connection: None)
        return {alarm.kind.code: alarm for alarm in self.alarms.alarms()}

    def stamped(self) -> list[int]:
        return [each.size for each in self.stamps.stamps(0, 1_000)]

    def pass_time(self, **duration: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(**duration))


@pytest.fixture
def stamping(running: RunningLog, pki: ServedPki, validator: Validator) -> Iterator[Stamping]:
    honest = Behaviour(pki.signer("tsa"))
    clock = FixedClock(datetime.now(UTC))
    alarms = Alarms(running.engine, running.writer, clock)
    stamps = CheckpointStamps(running.engine)
    records = EvidenceRecords(running.engine, clock)
    with authority(honest) as first, authority(honest) as second:
        made: Any = Stamping(running, first, second, stamps, records, None, alarms, clock, honest, validator)  # type: ignore[arg-type]  # follows
        made = replace(made, stamper=made.another())
        yield made
        made.stamper.stop()


def test_each_new_checkpoint_is_stamped_as_published(stamping: Stamping) -> None:
    sizes = [stamping.seal(), stamping.seal()]
    assert stamping.stamper.work() <= 1
    assert stamping.stamped() == sizes
    assert stamping.stamps.waiting() == ()
    for size in sizes:
        stamp = stamping.stamps.stamp(size)
        note = stamping.stamps.checkpoint(size)
        digest = hashlib.sha256(note.encode()).digest()
        # Nothing else was kept, so the checkpoint's digest is the root of its hash tree.
        given = verify_time_stamp(stamp.token, digest, stamping.validator, judged_at=datetime.now(UTC))
        assert (given.at, "CN=Heliograph 开发用时间戳" in stamp.authority) == (stamp.stamped_at, True)
    assert stamping.open_alarms() == {}


def test_a_checkpoint_is_stamped_once(stamping: Stamping) -> None:
    stamping.seal()
    for _ in range(3):
        stamping.stamper.work()
    stamping.running.log.checkpoint()
    stamping.stamper.work()
    assert len(stamping.first.requests) == 1


def test_when_the_first_authority_is_down_the_second_stamps_and_there_is_no_alarm(stamping: Stamping) -> None:
    stamping.first.behaviour = replace(stamping.honest, http_status=503)
    size = stamping.seal()
    stamping.stamper.work()
    assert stamping.stamped() == [size]
    assert stamping.open_alarms() == {}


def test_through_a_long_outage_the_log_goes_on_and_waiting_stays_bounded(stamping: Stamping) -> None:
    stamping.seal()
    stamping.stamper.work()
    stamping.go_down()
    began = stamping.clock.now()
    for _ in range(40):
        # Every entry is accepted and every checkpoint signed, as if nothing were the matter.
        stamping.seal()
        stamping.stamper.work()
        assert len(stamping.stamps.waiting()) <= MOST
        stamping.pass_time(minutes=10)
    assert stamping.running.log.size() == 41
    assert stamping.running.log.check() == 41
    waiting = stamping.stamps.waiting()
    assert [each.size for each in waiting] == [41, 40, 39, 38, 37]
    assert waiting[-1].since == began, "the smallest stands for those that were dropped"
    assert stamping.stamped() == [1]
    alarms = stamping.open_alarms()
    assert alarms.keys() == {UNREACHABLE, WAITING}
    assert alarms[UNREACHABLE].raised_at == began
    assert len(stamping.alarms.alarms(with_cleared=True)) == 2, "each was raised once"

    stamping.clock.move_to(datetime.now(UTC))
    stamping.come_back()
    stamping.stamper.work()
    assert stamping.stamped() == [1, 37, 38, 39, 40, 41]
    assert stamping.stamps.waiting() == ()
    assert stamping.open_alarms() == {}
    # What was dropped is covered: a proof leads from each smaller checkpoint to one that is stamped.
    covering = stamping.stamps.stamps(20, 1)[0].size
    old, new = (stamping.stamps.checkpoint(size).split("\n")[2] for size in (20, covering))
    proof = stamping.running.log.consistency_proof(20, covering)
    verify_consistency(20, covering, b64decode(old), b64decode(new), proof)


def test_the_largest_checkpoint_is_stamped_first_because_it_covers_the_others(stamping: Stamping) -> None:
    sizes = [stamping.seal() for _ in range(3)]
    answered = stamping.first.answers

    def once(answer: bytes) -> bytes:
        return b"" if answered else answer

    for each in (stamping.first, stamping.second):
        each.behaviour = replace(stamping.honest, answer=once)
    stamping.stamper.work()
    assert stamping.stamped() == sizes[-1:]
    assert [each.size for each in stamping.stamps.waiting()] == sizes[1::-1]


def test_waiting_too_long_is_an_alarm_of_its_own(stamping: Stamping) -> None:
    stamping.go_down()
    stamping.seal()
    stamping.stamper.work()
    assert stamping.open_alarms().keys() == {UNREACHABLE}
    stamping.pass_time(minutes=59, seconds=59)
    stamping.stamper.work()
    assert stamping.open_alarms().keys() == {UNREACHABLE}
    stamping.pass_time(seconds=1)
    stamping.stamper.work()
    assert stamping.open_alarms().keys() == {UNREACHABLE, WAITING}


def test_pauses_grow_are_never_the_same_and_end_at_five_minutes(stamping: Stamping) -> None:
    stamping.go_down()
    stamping.seal()
    pauses = [stamping.stamper.work() for _ in range(12)]
    for failures, pause in enumerate(pauses):
        ceiling = min(2.0 * 2**failures, 300.0)
        assert ceiling / 2 <= pause <= ceiling
    assert len(set(pauses)) == 12
    stamping.come_back()
    assert stamping.stamper.work() <= 1
    stamping.go_down()
    stamping.seal()
    assert stamping.stamper.work() <= 2


def test_what_waits_survives_a_restart(stamping: Stamping) -> None:
    stamping.go_down()
    size = stamping.seal()
    stamping.stamper.work()
    since = stamping.stamps.waiting()[0].since
    stamping.pass_time(minutes=3)
    another = stamping.another()
    another.work()
    assert [(each.size, each.since) for each in stamping.stamps.waiting()] == [(size, since)]
    stamping.clock.move_to(datetime.now(UTC))
    stamping.come_back()
    another.work()
    another.stop()
    assert stamping.stamped() == [size]
    assert stamping.open_alarms() == {}


def test_of_an_old_logs_many_checkpoints_the_newest_are_stamped(stamping: Stamping) -> None:
    for _ in range(12):
        stamping.seal()
    stamping.stamper.work()
    assert stamping.stamped() == [8, 9, 10, 11, 12]


def test_two_processes_stamp_one_checkpoint_without_a_quarrel(stamping: Stamping) -> None:
    size = stamping.seal()
    behaviour = stamping.honest
    another = stamping.another()

    def meanwhile(answer: bytes) -> bytes:
        stamping.first.behaviour = behaviour
        another.work()
        return answer

    stamping.first.behaviour = replace(behaviour, answer=meanwhile)
    stamping.stamper.work()
    another.stop()
    assert stamping.stamped() == [size]
    assert len(stamping.first.requests) == 2
    assert stamping.open_alarms() == {}


def test_a_stamp_that_is_kept_cannot_be_changed(stamping: Stamping) -> None:
    stamping.seal()
    stamping.stamper.work()
    for statement in ("UPDATE evidence_stamps SET authority = ''", "DELETE FROM evidence_batches"):
        with (
            pytest.raises(DBAPIError, match="append-only"),
            stamping.running.engine.begin() as connection,
        ):
            connection.exec_driver_sql(statement)


def test_a_thread_stamps_what_is_signed_and_ends_at_once_while_an_authority_hangs(stamping: Stamping) -> None:
    thread = threading.Thread(target=stamping.stamper.run, daemon=True)
    size = stamping.seal()
    thread.start()
    for _ in range(200):
        if stamping.stamped() == [size]:
            break
        threading.Event().wait(0.05)
    assert stamping.stamped() == [size]
    for each in (stamping.first, stamping.second):
        each.behaviour = replace(stamping.honest, hangs=threading.Event())
    asked = len(stamping.first.requests)
    stamping.seal()
    for _ in range(200):
        if len(stamping.first.requests) > asked:
            break
        threading.Event().wait(0.05)
    stamping.stamper.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def http(stamping: Stamping) -> Iterator[TestClient]:
    app = FastAPI()
    install_problems(app)
    app.include_router(stamp_routes(stamping.stamps, stamping.records))
    with TestClient(app) as client:
        yield client


def test_anybody_reads_checkpoints_and_their_stamps(stamping: Stamping, http: TestClient) -> None:
    for _ in range(3):
        stamping.seal()
    stamping.stamper.work()
    listed = http.get("/log/stamps").json()
    assert [each["size"] for each in listed] == [1, 2, 3]
    assert listed[0].keys() == {"size", "stamped_at", "authority"}
    assert [each["size"] for each in http.get("/log/stamps?first=2&most=1").json()] == [2]
    token = http.get("/log/stamps/2")
    assert token.headers["content-type"] == "application/vnd.etsi.timestamp-token"
    note = http.get("/log/checkpoints/2")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    digest = hashlib.sha256(note.content).digest()
    given = verify_time_stamp(token.content, digest, stamping.validator, judged_at=datetime.now(UTC))
    assert given.at == stamping.stamps.stamp(2).stamped_at
    for path, code in (("/log/stamps/4", "log.stamp_unknown"), ("/log/checkpoints/4", "log.entry_unknown")):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert http.get("/log/stamps/-1").status_code == 400


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_confirms_a_stamp_over_the_file_of_a_checkpoint(
    stamping: Stamping, pki: ServedPki, tmp_path: Path
) -> None:
    size = stamping.seal()
    stamping.stamper.work()
    note = stamping.stamps.checkpoint(size).encode()
    (tmp_path / "checkpoint.txt").write_bytes(note)
    (tmp_path / "checkpoint.tst").write_bytes(stamping.stamps.stamp(size).token)
    authorities = pki.certificate("root").read_bytes() + pki.certificate("seal-ca").read_bytes()
    (tmp_path / "authorities.pem").write_bytes(authorities)
    command = ["openssl", "ts", "-verify", "-data", "checkpoint.txt", "-in", "checkpoint.tst", "-token_in"]
    for content, is_right in ((note, True), (note.replace(b"\n1\n", b"\n2\n"), False)):
        (tmp_path / "checkpoint.txt").write_bytes(content)
        done = subprocess.run(
            [*command, "-CAfile", "authorities.pem"], cwd=tmp_path, capture_output=True, check=False
        )
        assert (done.returncode == 0) == is_right, done.stderr


def test_what_was_not_stamped_has_no_stamp(stamping: Stamping) -> None:
    with pytest.raises(LogError) as refused:
        stamping.stamps.stamp(1)
    assert refused.value.code == "log.stamp_unknown"
    assert refused.value.is_retryable
    assert stamping.stamper.work() <= 1
    assert stamping.stamps.last_stamps(5) == ()
