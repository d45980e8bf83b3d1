# SPDX-License-Identifier: Apache-2.0
"""What hub and gateways hold: kept in a table or a folder, added to while they run, watched for its age."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from hub.alarms import LoggedAlarms
from hub.database import Writer, open_database
from hub.errors import TrustError
from hub.trustlist import GRACE, FolderStore, TableStore, TrustListArchive, VersionStore
from hub.trustlist.table import trust_lists
from tests.hub.trustlist.versions import (
    DAY_ONE,
    VALID_FOR,
    ListSigner,
    content,
    version,
    versions,
    weak_root,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

KEY = ListSigner()
PINNED = (KEY.certificate,)
MADE = versions(KEY, 4)
LATER = MADE[-1].document.issued_at + timedelta(hours=1)


@pytest.fixture
def database(database_url: str) -> Iterator[tuple[Engine, Writer]]:
    engine = open_database(database_url)
    writer = Writer(engine)
    yield engine, writer
    writer.close()
    engine.dispose()


@pytest.fixture(params=["table", "folder"])
def reopen(
    request: pytest.FixtureRequest, tmp_path: Path, database: tuple[Engine, Writer]
) -> Callable[[], VersionStore]:
    """Open the same store once more, as another process would."""
    if request.param == "table":
        return lambda: TableStore(*database)
    return lambda: FolderStore(tmp_path / "lists")


def archive_in(store: VersionStore, *seeds: bytes) -> TrustListArchive:
    return TrustListArchive(store, PINNED, seeds=seeds or (MADE[0].raw,), now=LATER)


def code(caught: pytest.ExceptionInfo[TrustError]) -> str:
    return caught.value.code


def test_versions_are_kept_and_in_force_at_once(reopen: Callable[[], VersionStore]) -> None:
    archive = archive_in(reopen())
    before = archive.of(LATER)
    assert archive.add(MADE[1].raw, by="administrator", now=LATER)
    assert archive.of(LATER) is not before
    assert archive.current.sequence == 2
    assert not archive.add(MADE[1].raw, by="administrator", now=LATER)
    assert archive_in(reopen()).current.raw == MADE[1].raw
    assert reopen().read(after=1) == [MADE[1].raw]


def test_what_is_installed_is_taken_over_once_and_must_be_what_is_kept(
    reopen: Callable[[], VersionStore],
) -> None:
    assert archive_in(reopen(), *(each.raw for each in MADE)).current.sequence == 4
    assert archive_in(reopen(), MADE[0].raw, MADE[1].raw).current.sequence == 4, "nothing goes back"
    fork = version(MADE[0], KEY)
    for seeds in ([MADE[0].raw, fork.raw], [version(None, KEY).raw]):
        with pytest.raises(TrustError) as caught:
            archive_in(reopen(), *seeds)
        assert code(caught) == "trust.trust_list_forked"


def test_a_history_that_does_not_begin_at_its_beginning_is_not_enough_to_run_with(
    reopen: Callable[[], VersionStore],
) -> None:
    with pytest.raises(TrustError) as caught:
        archive_in(reopen(), MADE[1].raw, MADE[2].raw)
    assert code(caught) == "trust.trust_list_not_next"
    with pytest.raises(TrustError) as caught:
        archive_in(reopen(), version(None, ListSigner()).raw)
    assert code(caught) == "trust.trust_list_untrusted"


def test_two_processes_follow_each_other_and_cannot_fork(reopen: Callable[[], VersionStore]) -> None:
    one, other = archive_in(reopen()), archive_in(reopen())
    one.add(MADE[1].raw, by="one", now=LATER)
    assert other.current.sequence == 1
    with pytest.raises(TrustError) as caught:
        other.add(version(MADE[0], KEY).raw, by="other", now=LATER)
    assert code(caught) == "trust.trust_list_forked"
    assert other.add(MADE[2].raw, by="other", now=LATER), "it looked what the other had"
    assert one.refresh()
    assert one.current.raw == MADE[2].raw
    assert not one.refresh()


def test_a_store_lets_no_second_version_of_a_number_in(reopen: Callable[[], VersionStore]) -> None:
    store = reopen()
    store.append(MADE[0], by="test", at=LATER)
    store.append(MADE[0], by="test", at=LATER)
    with pytest.raises(TrustError) as caught:
        store.append(version(None, KEY), by="test", at=LATER)
    assert code(caught) == "trust.trust_list_forked"
    assert store.read() == [MADE[0].raw]


def test_the_database_itself_keeps_versions_as_they_are(database: tuple[Engine, Writer]) -> None:
    engine, writer = database
    archive_in(TableStore(engine, writer))
    for statement in (update(trust_lists).values(sha256="0" * 64), delete(trust_lists)):
        with pytest.raises(DBAPIError, match="append-only"):
            writer.run(lambda connection, each=statement: connection.execute(each))  # type: ignore[misc]  # bound now


def test_a_file_changed_in_the_folder_is_noticed(tmp_path: Path) -> None:
    archive_in(FolderStore(tmp_path), *(each.raw for each in MADE))
    file = tmp_path / "trust-list-000002.asice"
    damaged = bytearray(file.read_bytes())
    damaged[-500] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(TrustError) as caught:
        archive_in(FolderStore(tmp_path))
    assert code(caught) == "trust.trust_list_invalid"
    file.unlink()
    with pytest.raises(TrustError) as caught:
        archive_in(FolderStore(tmp_path))
    assert code(caught) == "trust.trust_list_not_next"


@pytest.mark.parametrize("kind", ["short key", "short curve"])
def test_a_version_with_a_weak_root_does_not_come_into_force(tmp_path: Path, kind: str) -> None:
    archive = archive_in(FolderStore(tmp_path))
    weak = weak_root(kind)
    rows = (*MADE[0].document.authorities, weak)
    with pytest.raises(TrustError) as caught:
        archive.add(version(MADE[0], KEY, content(KEY, authorities=rows)).raw, by="test", now=LATER)
    assert code(caught) == "trust.algorithm_not_allowed"
    assert caught.value.finding is not None
    assert kind in caught.value.finding.subject
    assert archive.current.sequence == 1


def test_a_version_that_was_strong_on_its_day_stays_readable(tmp_path: Path) -> None:
    """When the table of algorithms becomes stricter one day, old evidence keeps its list."""
    rows = (*MADE[0].document.authorities, weak_root("short key"))
    old = version(None, KEY, content(KEY, authorities=rows))
    assert archive_in(FolderStore(tmp_path), old.raw).of(DAY_ONE) is not None


def test_a_version_from_the_future_waits(tmp_path: Path) -> None:
    archive = archive_in(FolderStore(tmp_path))
    issued_at = MADE[1].document.issued_at
    with pytest.raises(TrustError) as caught:
        archive.add(MADE[1].raw, by="test", now=issued_at - timedelta(minutes=6))
    assert code(caught) == "trust.trust_list_not_next"
    assert archive.add(MADE[1].raw, by="test", now=issued_at - timedelta(minutes=4)), "clocks differ"


class Alarms(LoggedAlarms):
    def __init__(self) -> None:
        super().__init__()
        self.open: set[tuple[str, str]] = set()

    def raise_alarm(self, code: str, subject: str, detail: str) -> None:
        assert detail
        self.open.add((code, subject))

    def clear(self, code: str, subject: str) -> None:
        self.open.discard((code, subject))


def test_an_overdue_list_raises_an_alarm_and_is_relied_on_a_while_longer(tmp_path: Path) -> None:
    archive, alarms = archive_in(FolderStore(tmp_path)), Alarms()
    due = DAY_ONE + VALID_FOR
    archive.watch(due - timedelta(seconds=1), alarms)
    assert alarms.open == set()
    archive.watch(due, alarms)
    assert alarms.open == {("trust.trust_list_outdated", "trust-list")}
    assert archive.of(due).sequence == 1
    with pytest.raises(TrustError) as caught:
        archive.of(due + GRACE)
    assert code(caught) == "trust.trust_list_outdated"

    late = version(MADE[0], KEY, issued_at=due + GRACE + timedelta(days=1))
    archive.add(late.raw, by="test", now=late.document.issued_at)
    archive.watch(late.document.issued_at, alarms)
    assert alarms.open == set()
    assert archive.of(late.document.issued_at).sequence == 2
