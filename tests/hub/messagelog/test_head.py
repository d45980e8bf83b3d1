# SPDX-License-Identifier: Apache-2.0
"""A database that is not the one whose log was published signs nothing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.database import Writer, open_database
from hub.errors import LogError
from hub.messagelog import MessageLog, Tampering
from hub.tlog import NoteSigner, SignedCheckpoint
from tests.hub.messagelog.conftest import ORIGIN, RunningLog
from tests.hub.messagelog.intruder import Intruder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from hub.tlog import VerifierKey
    from tests.postgresql import DatabaseCopies

OTHER_ORIGIN = "hub.chenghua.example/log-after-the-fire"


@pytest.fixture(scope="module")
def signer() -> NoteSigner:
    return NoteSigner(ORIGIN, Ed25519PrivateKey.generate())


@dataclass(frozen=True)
class Site:
    """Where a log is: its database, and the file that remembers its head."""

    url: str
    head: Path


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Site:
    return Site(database_url, tmp_path / "log-head.txt")


@contextmanager
def opened(
    site: Site,
    signer: NoteSigner,
    *,
    former_keys: Sequence[VerifierKey] = (),
) -> Iterator[RunningLog]:
    engine = open_database(site.url)
    writer = Writer(engine)
    log = MessageLog(engine, writer, signer, signer.name, former_keys, site.head)
    yield RunningLog(engine, writer, signer, log)
    writer.close()
    engine.dispose()


def grow(running: RunningLog, count: int) -> SignedCheckpoint:
    running.append_many(count)
    return running.log.checkpoint()


def test_the_head_is_the_checkpoint_that_was_signed_last(site: Site, signer: NoteSigner) -> None:
    with opened(site, signer) as running:
        assert running.log.read_head() is None
        for count in (3, 4):
            signed = grow(running, count)
            assert running.log.read_head() == signed
            assert site.head.read_text(encoding="utf-8") == signed.note
    with opened(site, signer) as running:
        running.log.require_head()
        assert grow(running, 1).checkpoint.size == 8
        assert running.log.audit().run().compared == ("head",)


def test_a_database_put_back_signs_nothing_and_takes_no_message(
    site: Site, copies: DatabaseCopies, signer: NoteSigner
) -> None:
    with opened(site, signer) as running:
        grow(running, 5)
        old = copies.take()
        published = grow(running, 4)
    copies.put_back(old)
    with opened(site, signer) as running:
        for ask in (running.log.require_head, running.log.checkpoint, running.append):
            with pytest.raises(LogError, match=r"log\.rolled_back"):
                ask()
        assert running.log.read_head() == published
        finding = running.log.audit().run().first
        assert finding is not None
        assert (finding.kind, finding.first, finding.size) == (Tampering.ROLLED_BACK, 5, 9)


def test_a_database_put_back_and_continued_signs_nothing(
    site: Site, copies: DatabaseCopies, signer: NoteSigner
) -> None:
    with opened(site, signer) as running:
        grow(running, 5)
        old = copies.take()
        grow(running, 4)
    copies.put_back(old)
    with opened(site, signer) as running:
        # Messages came in before anybody looked.
        running.append_many(6)
        for ask in (running.log.require_head, running.log.checkpoint, running.append):
            with pytest.raises(LogError, match=r"log\.forked"):
                ask()
        first = running.log.audit().run().first
        assert first is not None
        assert (first.kind, first.first, first.last) == (Tampering.REWRITTEN, 5, 8)


def test_a_checkpoint_that_a_crash_kept_from_being_stored_is_signed_again(
    site: Site, signer: NoteSigner
) -> None:
    with opened(site, signer) as running:
        grow(running, 5)
        running.append_many(2)
        with pytest.raises(KeyError):
            running.writer.run(lambda connection: sign_and_crash(running, connection))
        held = running.log.read_head()
        last = running.log.last_checkpoint()
        assert held is not None
        assert last is not None
        assert (held.checkpoint.size, last.checkpoint.size) == (7, 5)
        assert running.log.audit().run().holds
    with opened(site, signer) as running:
        running.log.require_head()
        assert running.log.checkpoint() == held
        assert grow(running, 1).checkpoint.size == 8


def sign_and_crash(running: RunningLog, connection: Connection) -> None:
    from hub.messagelog import store

    frontier = store.read_frontier(connection, store.read_size(connection))
    running.log._sign(connection, frontier)  # noqa: SLF001 (what a crash interrupts)
    raise KeyError("the power goes before the commit")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"nothing\n"])
def test_a_head_that_was_changed_is_refused(site: Site, signer: NoteSigner, content: bytes) -> None:
    with opened(site, signer) as running:
        grow(running, 3)
        site.head.write_bytes(content)
        with pytest.raises(LogError, match=r"log\.head_invalid"):
            running.log.checkpoint()
        report = running.log.audit().run()
        assert [finding.kind for finding in report.findings] == [Tampering.HEAD_CHANGED]


def test_a_head_signed_by_another_key_is_refused(site: Site, signer: NoteSigner) -> None:
    with opened(site, signer) as running:
        grow(running, 3)
    stranger = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    with opened(site, stranger) as running, pytest.raises(LogError, match=r"log\.head_invalid"):
        running.log.require_head()


def test_the_head_never_goes_back(site: Site, signer: NoteSigner) -> None:
    with opened(site, signer) as running:
        earlier, later = grow(running, 3), grow(running, 3)
        running.log._keep_head(earlier)  # noqa: SLF001 (what a slower process would do)
        assert running.log.read_head() == later


def test_a_restored_log_goes_on_under_a_new_name_only(
    site: Site, copies: DatabaseCopies, signer: NoteSigner
) -> None:
    with opened(site, signer) as running:
        grow(running, 5)
        old = copies.take()
        published = grow(running, 4)
    copies.put_back(old)
    heir = NoteSigner(OTHER_ORIGIN, Ed25519PrivateKey.generate())
    with opened(site, heir, former_keys=[signer.verifier]) as running:
        running.log.require_head()
        signed = grow(running, 2)
        assert (signed.checkpoint.origin, signed.checkpoint.size) == (OTHER_ORIGIN, 7)
        assert running.log.read_head() == signed
        assert running.log.audit().run().holds
        assert running.log.check() == 7
    # What was published under the former name is kept.
    assert site.head.with_name("log-head.txt.former-1").read_text(encoding="utf-8") == published.note


def test_a_database_that_lost_entries_but_not_its_checkpoints_is_refused(
    site: Site, signer: NoteSigner
) -> None:
    with opened(site, signer) as running:
        grow(running, 6)
        Intruder(running).run("DELETE FROM log_entries WHERE leaf_index >= 4")
        with pytest.raises(LogError, match=r"log\.rolled_back"):
            running.log.checkpoint()
