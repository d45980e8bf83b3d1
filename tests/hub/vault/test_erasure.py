# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.errors import HubError, VaultError
from hub.tlog import EntryEvent, leaf_hash, verify_inclusion
from hub.vault import ContainerState, HoldKind, KeyId
from hub.vault.erasure import MOST_ROWS_AT_A_TIME
from tests.hub.vault.conftest import an_envelope

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from hub.envelope import Envelope
    from tests.hub.vault.conftest import OpenVault

MARCH = KeyId.parse("2026-03_P10Y_1")
MARCH_SHORT = KeyId.parse("2026-03_P30D_1")
MAY = datetime(2026, 5, 2, tzinfo=UTC)
LATER = datetime(2036, 4, 1, tzinfo=UTC)
CONVERSATION = "01960000-0000-7000-8000-000000000001"


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(HubError) as refused:
        work()
    return refused.value.code


def erase(opened: OpenVault, key_id: KeyId = MARCH) -> str:
    return opened.eraser.erase(key_id, reason="plan 2036-04", by="operator").erased_at


@pytest.fixture
def kept(opened: OpenVault) -> list[Envelope]:
    """Keep three containers in March: two for ten years, one for thirty days."""
    envelopes = [an_envelope(str(number)) for number in range(3)]
    opened.keep(*envelopes[:2])
    opened.keep(envelopes[2], retention="P30D")
    return envelopes


def test_what_is_erased_cannot_be_read_and_says_when_and_why(opened: OpenVault, kept: list[Envelope]) -> None:
    opened.clock.move_to(LATER)
    assert erase(opened) == "2036-04-01T00:00:00.000Z"
    for envelope in kept[:2]:
        for vault in (opened.vault, opened.again()):
            with pytest.raises(VaultError) as refused:
                vault.read(envelope.container_sha256)
            assert refused.value.code == "vault.erased"
            assert refused.value.detail == "2036-04-01T00:00:00.000Z: plan 2036-04"
        assert opened.vault.state(envelope.container_sha256) is ContainerState.ERASED
    assert opened.vault.read(kept[2].container_sha256) == kept[2].raw, "another retention, another key"


def test_what_was_made_of_the_contents_is_forgotten_with_them(
    opened: OpenVault, kept: list[Envelope]
) -> None:
    opened.clock.move_to(LATER)
    erase(opened)
    assert sorted(opened.derived.forgotten) == sorted(each.container_sha256 for each in kept[:2])


def test_an_erasure_cut_off_while_it_forgets_is_ended_at_the_next_look(
    opened: OpenVault, kept: list[Envelope]
) -> None:
    """The key goes last: as long as it is there, the next start sees that something is left to do."""
    opened.clock.move_to(LATER)
    opened.derived.fails_at = 0
    with pytest.raises(InterruptedError):
        erase(opened)
    opened.derived.fails_at = None

    assert opened.eraser.resume() == (MARCH,)

    assert sorted(opened.derived.forgotten) == sorted(each.container_sha256 for each in kept[:2])
    assert opened.vault.state(kept[0].container_sha256) is ContainerState.ERASED
    assert [each.key_id for each in opened.eraser.done()] == [MARCH]


def test_the_key_and_the_content_are_gone_the_digest_stays(
    opened: OpenVault, kept: list[Envelope], tmp_path: Path
) -> None:
    opened.clock.move_to(LATER)
    erase(opened)
    assert sorted(each.name for each in (tmp_path / "keys").iterdir()) == [
        f"{MARCH}.erased",
        f"{MARCH_SHORT}.key",
    ]
    query = text("SELECT sha256 FROM containers WHERE content IS NULL ORDER BY sha256")
    with opened.engine.connect() as connection:
        left = connection.execute(query).scalars().all()
    assert left == sorted(each.container_sha256 for each in kept[:2])


def test_a_backup_of_the_database_shows_nothing_once_the_key_is_destroyed(
    opened: OpenVault, kept: list[Envelope]
) -> None:
    query = text("SELECT content FROM containers WHERE sha256 = :wanted")
    with opened.engine.connect() as connection:
        backup = connection.execute(query, {"wanted": kept[0].container_sha256}).scalar_one()
    opened.clock.move_to(LATER)
    erase(opened)
    restore = text("UPDATE containers SET content = :content WHERE sha256 = :wanted")
    forget = text("DROP TABLE vault_erasures")
    with opened.engine.begin() as connection:
        connection.execute(restore, {"content": backup, "wanted": kept[0].container_sha256})
        connection.execute(forget)
    from hub.database import metadata

    metadata.create_all(opened.engine)
    # The restored database knows nothing of the erasure; the key folder does.
    assert code_of(lambda: opened.again().read(kept[0].container_sha256)) == "vault.erased"


def test_nobody_erases_silently(opened: OpenVault, kept: list[Envelope]) -> None:
    opened.clock.move_to(LATER)
    erasure = opened.eraser.erase(MARCH, reason="plan 2036-04", by="operator")
    logged = opened.log.entry(0)
    assert logged.entry.event is EntryEvent.ERASED
    assert logged.entry.container_sha256 == hashlib.sha256(erasure.record).hexdigest()
    digests = sorted(each.container_sha256 for each in kept[:2])
    assert json.loads(erasure.record) == {
        "at": "2036-04-01T00:00:00.000Z",
        "before_its_time": False,
        "by": "operator",
        "containers": 2,
        "containers_sha256": hashlib.sha256("".join(f"{each}\n" for each in digests).encode()).hexdigest(),
        "format": "heliograph-erasure/1",
        "key": "2026-03_P10Y_1",
        "reason": "plan 2036-04",
        "retention_ends_at": "2036-04-01T00:00:00.000Z",
    }
    checkpoint = opened.log.checkpoint().checkpoint
    proof = opened.log.inclusion_proof(0, checkpoint.size)
    verify_inclusion(leaf_hash(logged.entry.to_bytes()), 0, checkpoint.size, proof, checkpoint.root)
    for change in ("UPDATE vault_erasures SET reason = 'x'", "DELETE FROM vault_erasures"):
        with pytest.raises(DBAPIError, match="append-only"):
            opened.writer.run(lambda connection, change=change: connection.execute(text(change)))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "at", "code"),
    [
        ("2026-03_P10Y_1", datetime(2036, 3, 31, 23, 59, tzinfo=UTC), "vault.not_due"),
        ("2026-03_P30D_1", datetime(2026, 4, 30, 23, 59, tzinfo=UTC), "vault.not_due"),
        ("2026-03_P10Y_1", datetime(2026, 4, 1, 12, tzinfo=UTC), "vault.key_in_use"),
        ("2026-04_P10Y_1", LATER, "vault.key_unknown"),
    ],
)
def test_what_is_not_due_is_not_erased(
    opened: OpenVault, kept: list[Envelope], key: str, at: datetime, code: str
) -> None:
    opened.clock.move_to(at)
    assert code_of(lambda: erase(opened, KeyId.parse(key))) == code
    assert opened.log.size() == 0
    assert [opened.vault.read(each.container_sha256) for each in kept] == [each.raw for each in kept]


@pytest.mark.usefixtures("kept")
def test_an_early_erasure_says_so_but_a_key_in_use_stays(opened: OpenVault) -> None:
    def early() -> bytes:
        return opened.eraser.erase(MARCH, reason="order 17", by="administrator", before_its_time=True).record

    assert code_of(early) == "vault.key_in_use"
    opened.clock.move_to(MAY)
    assert json.loads(early())["before_its_time"] is True


def test_what_is_permanent_is_never_due(opened: OpenVault) -> None:
    opened.keep(an_envelope(), retention="permanent")
    assert opened.eraser.due(datetime(9000, 1, 1, tzinfo=UTC)) == ()
    opened.clock.move_to(LATER)
    assert code_of(lambda: erase(opened, KeyId.parse("2026-03_permanent_1"))) == "vault.not_due"


def test_due_lists_what_may_be_erased_at_an_instant(opened: OpenVault, kept: list[Envelope]) -> None:
    assert opened.eraser.due(datetime(2026, 4, 30, 23, tzinfo=UTC)) == ()
    [short] = opened.eraser.due(MAY)
    assert (short.key_id, short.containers, short.size) == (MARCH_SHORT, 1, len(kept[2].raw))
    assert [each.key_id for each in opened.eraser.due(LATER)] == [MARCH, MARCH_SHORT]
    opened.clock.move_to(LATER)
    erase(opened)
    assert [each.key_id for each in opened.eraser.due(LATER)] == [MARCH_SHORT]


@pytest.mark.usefixtures("kept")
def test_erasing_twice_changes_nothing_more(opened: OpenVault) -> None:
    opened.clock.move_to(LATER)
    first = erase(opened)
    opened.clock.move_to(datetime(2037, 1, 1, tzinfo=UTC))
    assert erase(opened) == first
    assert opened.log.size() == 1


@pytest.mark.parametrize(
    ("subject", "kind"), [("成残就 2026-12", HoldKind.CASE), (CONVERSATION, HoldKind.CONVERSATION)]
)
def test_a_hold_stops_the_erasure_of_every_key_under_which_something_of_it_lies(
    opened: OpenVault, kept: list[Envelope], subject: str, kind: HoldKind
) -> None:
    opened.cases.containers[subject] = [kept[0].container_sha256, "0" * 64]
    hold = opened.eraser.holds.place(subject, reason="court order 118", by="operator")
    assert hold.kind is kind
    assert set(opened.eraser.holds.keys_of(hold)) == {MARCH}
    opened.clock.move_to(LATER)
    assert code_of(lambda: erase(opened)) == "vault.held"
    assert [len(each.holds) for each in opened.eraser.due(LATER)] == [1, 0]
    erase(opened, MARCH_SHORT)
    [released] = opened.eraser.holds.release(subject, reason="closed", by="operator")
    assert released == hold
    assert opened.eraser.holds.active() == ()
    erase(opened)
    assert set(opened.cases.asked) == {kind}


@pytest.mark.usefixtures("kept")
def test_a_key_may_be_held_by_its_name_also_before_its_time(opened: OpenVault) -> None:
    opened.eraser.holds.place(str(MARCH), reason="audit", by="operator")
    opened.clock.move_to(MAY)
    erase_early = code_of(
        lambda: opened.eraser.erase(MARCH, reason="order", by="administrator", before_its_time=True)
    )
    assert erase_early == "vault.held"
    assert code_of(lambda: opened.eraser.holds.release("other", reason="x", by="x")) == "vault.hold_unknown"


def test_what_is_held_stands_nowhere_in_plain_and_stays_on_record(opened: OpenVault) -> None:
    opened.eraser.holds.place("成残就 2026-12", reason="order 118", by="operator")
    opened.eraser.holds.release("成残就 2026-12", reason="closed", by="operator")
    with opened.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM vault_holds")).all()
    assert len(rows) == 2
    shown = b"".join(
        field if isinstance(field, bytes) else str(field).encode() for row in rows for field in row
    )
    assert all(hidden.encode() not in shown for hidden in ("2026-12", "118", "closed"))
    with pytest.raises(DBAPIError, match="append-only"):
        opened.writer.run(lambda connection: connection.execute(text("DELETE FROM vault_holds")))


@pytest.mark.usefixtures("kept")
def test_an_erasure_that_a_crash_cut_off_is_made_good(opened: OpenVault) -> None:
    opened.clock.move_to(LATER)
    erasure = opened.eraser.erase(MARCH, reason="plan", by="operator")
    # As after a crash between the commit and the destruction of the file.
    (opened.folder.path / f"{MARCH}.erased").unlink()
    opened.folder.create(MARCH, LATER)
    assert opened.eraser.resume() == (MARCH,)
    assert opened.folder.key_ids() == (MARCH_SHORT,)
    assert opened.folder.erasure(MARCH) == erasure.record
    assert opened.eraser.resume() == ()


def test_other_processes_forget_a_destroyed_key(opened: OpenVault, kept: list[Envelope]) -> None:
    other = opened.again()
    assert other.read(kept[0].container_sha256) == kept[0].raw
    opened.clock.move_to(LATER)
    erase(opened)
    assert code_of(lambda: other.read(kept[0].container_sha256)) == "vault.erased"
    other.refresh()
    assert code_of(lambda: other.key(MARCH)) == "vault.erased"


def test_after_an_early_erasure_in_a_month_gone_by_the_same_name_is_never_used_again(
    opened: OpenVault,
) -> None:
    opened.keep(an_envelope("1"))
    opened.clock.move_to(MAY)
    opened.eraser.erase(MARCH, reason="order", by="administrator", before_its_time=True)
    # A clock set back: what is kept now must not be lost.
    opened.clock.move_to(datetime(2026, 3, 20, tzinfo=UTC))
    late = an_envelope("2")
    opened.keep(late)
    assert opened.again().read(late.container_sha256) == late.raw
    assert [str(each) for each in opened.folder.key_ids()] == ["2026-03_P10Y_2"]


def test_messages_go_on_while_much_is_erased_and_wait_for_one_portion_at_most(opened: OpenVault) -> None:
    first = an_envelope("first")
    opened.keep(first)
    fill = text(
        "INSERT INTO containers (sha256, key_id, bytes, content) "
        "SELECT :sha256, key_id, bytes, content FROM containers WHERE sha256 = :like"
    )
    many = MOST_ROWS_AT_A_TIME * 20
    rows = [{"sha256": f"{number:064x}", "like": first.container_sha256} for number in range(many)]
    opened.writer.run(lambda connection: connection.execute(fill, rows))
    opened.clock.move_to(LATER)
    portions: list[int] = []
    waited: list[int] = []
    pending: list[tuple[int, Future[None]]] = []
    fresh = [an_envelope(f"fresh {number}") for number in range(20)]

    def told(dropped: int) -> None:
        assert dropped <= MOST_ROWS_AT_A_TIME
        portions.append(dropped)
        if fresh:
            envelope = fresh.pop()
            begun = len(portions)
            future = opened.writer.submit(lambda connection: opened.vault.keep(connection, envelope))
            future.add_done_callback(lambda _done: waited.append(len(portions) - begun))
            pending.append((begun, future))

    eraser = threading.Thread(
        target=lambda: opened.eraser.erase(MARCH, reason="plan", by="operator", told=told)
    )
    eraser.start()
    eraser.join(timeout=60)
    for _begun, future in pending:
        future.result(timeout=10)
    assert sum(portions) == many + 1
    assert len(pending) == 20
    assert max(waited) <= 1
