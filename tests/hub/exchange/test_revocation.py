# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from hub.alarms import Alarms
from hub.clock import FixedClock, SystemClock
from hub.database import Writer, open_database
from hub.exchange import OwnAnswers, RevocationAnswers
from hub.trust import AnswerKind, HeldRevocation, OnlineRevocation, Use, ValidatedPath, Validator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Engine

    from tests.pki import ServedPki

LABEL = "labour-sign"


class Kept(NamedTuple):
    engine: Engine
    writer: Writer
    answers: RevocationAnswers

    def rows(self, table: str) -> int:
        with self.engine.connect() as connection:
            count: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608 - ours
            return count


@pytest.fixture
def kept(database_url: str) -> Iterator[Kept]:
    engine = open_database(database_url)
    writer = Writer(engine)
    yield Kept(engine, writer, RevocationAnswers(engine, writer))
    writer.close()
    engine.dispose()


def believed(pki: ServedPki, at: datetime, label: str = LABEL) -> ValidatedPath:
    """Validate anew: OCSP gives another answer every time, CRLs the same ones."""
    validator = Validator(pki.approved(), OnlineRevocation())
    return validator.validate(pki.certificates(label), use=Use.ENVELOPE, at=at)


def taken(kept: Kept, path: ValidatedPath) -> None:
    future = kept.answers.take(path)
    assert future is not None
    future.result()


def test_what_was_relied_on_can_be_had_again_and_proves_the_same_offline(kept: Kept, pki: ServedPki) -> None:
    now = SystemClock().now()
    path = believed(pki, now)
    taken(kept, path)
    found = kept.answers.of(path.leaf, now)
    assert {each.der for each in found} == {each.der for each in path.revocation}
    held = HeldRevocation(
        [each.der for each in found if each.kind is AnswerKind.OCSP],
        [each.der for each in found if each.kind is AnswerKind.CRL],
    )
    again = Validator(pki.approved(), held).validate(pki.certificates(LABEL), use=Use.ENVELOPE, at=now)
    assert again.path == path.path


def test_the_same_path_is_taken_once_and_the_same_answer_kept_once(kept: Kept, pki: ServedPki) -> None:
    now = SystemClock().now()
    path = believed(pki, now)
    taken(kept, path)
    assert kept.answers.take(path) is None
    answers = kept.rows("revocation_answers")
    another_process = kept._replace(answers=RevocationAnswers(kept.engine, kept.writer))
    taken(another_process, path)
    assert (kept.rows("revocation_answers"), kept.rows("revocation_beliefs")) == (answers, 1)


def test_each_instant_gets_the_answers_of_its_time(kept: Kept, pki: ServedPki) -> None:
    now = SystemClock().now()
    first, second = believed(pki, now), believed(pki, now + timedelta(seconds=30))
    taken(kept, first)
    taken(kept, second)

    def ders(at: datetime) -> set[bytes]:
        return {each.der for each in kept.answers.of(first.leaf, at)}

    earlier, later = ({each.der for each in path.revocation} for path in (first, second))
    assert earlier != later
    assert ders(now + timedelta(seconds=29)) == earlier
    assert ders(now + timedelta(seconds=30)) == later
    # Before the first time, and long after an answer was due to be replaced, there is what came next.
    assert ders(now - timedelta(seconds=1)) == earlier
    assert ders(now + timedelta(days=3000)) == later


def test_of_a_certificate_never_believed_there_are_no_answers(kept: Kept, pki: ServedPki) -> None:
    taken(kept, believed(pki, SystemClock().now()))
    assert kept.answers.of(pki.certificates("federation-sign")[0], SystemClock().now()) == ()


@pytest.mark.parametrize(
    ("table", "column"), [("revocation_answers", "kind"), ("revocation_beliefs", "answers")]
)
def test_nothing_that_was_kept_can_be_changed_or_removed(
    kept: Kept, pki: ServedPki, table: str, column: str
) -> None:
    taken(kept, believed(pki, SystemClock().now()))
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = ''"):  # noqa: S608 - ours
        with kept.engine.connect() as connection, pytest.raises(DatabaseError, match="append-only"):
            connection.execute(text(statement))


def test_what_could_not_be_written_is_tried_again_with_the_next_message(kept: Kept, pki: ServedPki) -> None:
    path = believed(pki, SystemClock().now())
    with kept.engine.connect() as connection:
        connection.execute(text("ALTER TABLE revocation_beliefs RENAME TO elsewhere"))
        connection.commit()
    future = kept.answers.take(path)
    assert future is not None
    assert future.exception() is not None
    with kept.engine.connect() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO revocation_beliefs"))
        connection.commit()
    taken(kept, path)
    assert kept.answers.of(path.leaf, path.checked_at)


class GrowingLog:
    size = 0

    def __call__(self) -> int:
        return self.size


def test_the_hubs_own_certificate_is_asked_about_whenever_the_log_grew(kept: Kept, pki: ServedPki) -> None:
    clock, size = FixedClock(SystemClock().now()), GrowingLog()
    own = OwnAnswers(
        key=pki.signer("hub-sign"),
        validator=Validator(pki.approved(), OnlineRevocation()),
        answers=kept.answers,
        log_size=size,
        alarms=Alarms(kept.engine, kept.writer, clock),
        clock=clock,
    )
    leaf = pki.certificates("hub-sign")[0]
    own.look()
    kept.writer.run(lambda _connection: None)
    assert kept.answers.of(leaf, clock.now())
    clock.move_to(clock.now() + timedelta(minutes=6))
    own.look()
    kept.writer.run(lambda _connection: None)
    assert kept.rows("revocation_beliefs") == 1
    size.size += 1
    own.look()
    kept.writer.run(lambda _connection: None)
    assert kept.rows("revocation_beliefs") == 2


def test_receipts_that_may_not_be_provable_raise_an_alarm_until_they_are(kept: Kept, pki: ServedPki) -> None:
    clock = SystemClock()
    alarms = Alarms(kept.engine, kept.writer, clock)
    online, nobody = OnlineRevocation(), HeldRevocation([], [])
    asked: list[Validator] = [Validator(pki.approved(), nobody), Validator(pki.approved(), online)]
    codes = []
    for validator in asked:
        OwnAnswers(
            key=pki.signer("hub-sign"),
            validator=validator,
            answers=kept.answers,
            log_size=lambda: 1,
            alarms=alarms,
            clock=clock,
        ).look()
        kept.writer.run(lambda _connection: None)
        codes.append([each.kind.code for each in alarms.alarms()])
    assert codes == [["trust.own_certificate_unproven"], []]
