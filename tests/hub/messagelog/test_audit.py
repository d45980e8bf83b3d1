# SPDX-License-Identifier: Apache-2.0
"""Whoever changes the database file is found out, and the first bad entry is named.

Every tampering is done in the real file with another SQLite connection, after its guards were dropped.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from hub.errors import LogError
from hub.messagelog import Claim, MessageLog, Mirror, Source, Tampering, open_claim, open_shelf
from hub.tlog import (
    Checkpoint,
    NoteSigner,
    Span,
    Subtree,
    leaf_hash,
)
from tests.hub.messagelog.conftest import ORIGIN, RunningLog, an_entry
from tests.hub.messagelog.intruder import Intruder, filled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.messagelog import AuditReport, Finding
    from tests.postgresql import DatabaseCopies

SEALED = (8, 13, 20)
SIZE = 23


@pytest.fixture
def sealed(running: RunningLog) -> RunningLog:
    """A log of 23 entries with checkpoints over 8, 13 and 20 of them."""
    return filled(running, SEALED, SIZE)


def kept(running: RunningLog) -> Claim:
    """The last checkpoint, as somebody outside keeps it."""
    signed = running.log.last_checkpoint()
    assert signed is not None
    return open_claim(signed.note, [running.log.verifier], ORIGIN, Source.KEPT, "kept.txt")


def audit(running: RunningLog, *claims: Claim, mirror: Mirror | None = None) -> AuditReport:
    return running.log.audit().run(kept=claims, mirror=mirror)


def only(report: AuditReport, kind: Tampering, first: int | None, last: int | None = None) -> Finding:
    """There is one finding, of this kind, and it names this entry or encloses it so closely."""
    assert [finding.kind for finding in report.findings] == [kind], report.findings
    finding = report.findings[0]
    assert (finding.first, finding.last) == (first, first if last is None else last), finding
    return finding


def first(report: AuditReport, kind: Tampering, index: int, last: int | None = None) -> Finding:
    """The first of several findings."""
    assert report.first is not None
    finding = report.first
    assert (finding.kind, finding.first) == (kind, index), report.findings
    assert finding.last == (index if last is None else last), finding
    return finding


def test_a_log_nobody_touched_holds(sealed: RunningLog) -> None:
    report = audit(sealed, kept(sealed))
    assert report.holds
    assert (report.size, report.sealed, report.checkpoints) == (SIZE, 20, 3)
    assert report.compared == ("kept",)


def test_an_empty_log_holds(running: RunningLog) -> None:
    assert audit(running).holds


@pytest.mark.parametrize("index", range(SIZE))
def test_a_changed_entry_is_named(sealed: RunningLog, index: int) -> None:
    message_id = sealed.log.entry(index).entry.message_id
    Intruder(sealed).change(index)
    # Only the very last entry has neither a checkpoint nor a hash above it that tells.
    kind = Tampering.ENTRY_OR_HASH_CHANGED if index == SIZE - 1 else Tampering.ENTRY_CHANGED
    assert only(audit(sealed), kind, index).message_id == message_id


@pytest.mark.parametrize("index", range(SIZE - 1))
def test_an_entry_changed_with_its_hash_is_named_to_a_pair(sealed: RunningLog, index: int) -> None:
    Intruder(sealed).change(index, with_hash=True)
    # Only the hash over both is left, unless a checkpoint parts them.
    pair = (index - index % 2, index - index % 2 + 1)
    # Behind the last checkpoint, it may as well be that hash that was changed.
    kind = Tampering.ENTRY_CHANGED if index < 20 else Tampering.ENTRY_OR_HASH_CHANGED
    only(audit(sealed), kind, *((index, index) if 13 in pair else pair))


@pytest.mark.parametrize("index", range(SIZE - 1))
@pytest.mark.parametrize("told", [0, 1])
def test_an_entry_changed_with_its_hash_is_named_by_a_receipt(
    sealed: RunningLog, index: int, told: int
) -> None:
    known = {place: sealed.log.entry(place).position.leaf_hash for place in range(told, SIZE, 2)}
    Intruder(sealed).change(index, with_hash=True)
    # Behind the last checkpoint, a receipt of its neighbour alone leaves open whether the hash is wrong.
    kind = Tampering.ENTRY_CHANGED if index < 20 or index in known else Tampering.ENTRY_OR_HASH_CHANGED
    only(sealed.log.audit().run(known=lambda span: within(known, span)), kind, index)


def within(known: dict[int, bytes], span: Span) -> dict[int, bytes]:
    return {index: leaf for index, leaf in known.items() if span.start <= index < span.end}


def test_the_last_entry_has_no_hash_above_it_until_it_is_signed_for(sealed: RunningLog) -> None:
    Intruder(sealed).change(SIZE - 1, with_hash=True)
    assert audit(sealed).holds


@pytest.mark.parametrize("index", range(SIZE))
def test_a_changed_hash_beside_an_entry_is_told_from_a_changed_entry(sealed: RunningLog, index: int) -> None:
    Intruder(sealed).run(
        "UPDATE log_entries SET leaf_hash = zeroblob(32) WHERE leaf_index = :index", index=index
    )
    # Only the very last entry has neither a checkpoint nor a hash above it that tells.
    kind = Tampering.ENTRY_OR_HASH_CHANGED if index == SIZE - 1 else Tampering.HASH_CHANGED
    only(audit(sealed), kind, index)


@pytest.mark.parametrize(
    "subtree", [Subtree(1, 2), Subtree(1, 4), Subtree(2, 4), Subtree(3, 0), Subtree(4, 0)]
)
def test_a_changed_node_is_no_changed_entry(sealed: RunningLog, subtree: Subtree) -> None:
    Intruder(sealed).run(
        "UPDATE log_nodes SET hash = zeroblob(32) WHERE position = :position", position=subtree.position
    )
    finding = only(audit(sealed), Tampering.NODE_CHANGED, subtree.number << subtree.level)
    assert finding.count == 1 << subtree.level


def test_a_missing_node_is_named(sealed: RunningLog) -> None:
    Intruder(sealed).run("DELETE FROM log_nodes WHERE position = :p", p=Subtree(2, 1).position)
    only(audit(sealed), Tampering.NODE_MISSING, 4)


@pytest.mark.parametrize("index", range(SIZE - 1))
def test_a_dropped_row_is_named(sealed: RunningLog, index: int) -> None:
    Intruder(sealed).run("DELETE FROM log_entries WHERE leaf_index = :index", index=index)
    only(audit(sealed), Tampering.ENTRY_MISSING, index)


def test_several_dropped_rows_are_one_gap(sealed: RunningLog) -> None:
    Intruder(sealed).run("DELETE FROM log_entries WHERE leaf_index BETWEEN 3 AND 9")
    assert only(audit(sealed), Tampering.ENTRY_MISSING, 3).count == 7


@pytest.mark.parametrize("index", [0, 1, 5, 6, 12, 17])
def test_a_row_taken_out_with_the_rest_moved_up_is_named_to_a_pair(sealed: RunningLog, index: int) -> None:
    Intruder(sealed).take_out(index)
    # The hash of the lost entry is lost with it; the one above tells which pair it belonged to.
    first(audit(sealed), Tampering.ENTRY_MISSING, index - index % 2, index - index % 2 + 1)


@pytest.mark.parametrize("index", [0, 1, 6, 7, 12, 15, 19])
def test_a_row_inserted_in_between_is_named(sealed: RunningLog, index: int) -> None:
    entry = an_entry()
    Intruder(sealed).insert(index, entry)
    assert first(audit(sealed), Tampering.ENTRY_INSERTED, index).message_id == entry.message_id


@pytest.mark.parametrize(("one", "other"), [(2, 3), (3, 4), (1, 17), (8, 19), (0, 12)])
@pytest.mark.parametrize("with_hash", [False, True])
def test_two_rows_that_changed_places_are_named(
    sealed: RunningLog, one: int, other: int, *, with_hash: bool
) -> None:
    Intruder(sealed).swap(one, other, with_hash=with_hash)
    only(audit(sealed), Tampering.ENTRIES_SWAPPED, one)


def test_rows_turned_around_are_named(sealed: RunningLog) -> None:
    intruder = Intruder(sealed)
    rows = intruder.rows()
    rows[4:9] = [(4 + number, *row[1:]) for number, row in enumerate(reversed(rows[4:9]))]
    intruder.write_rows(rows)
    assert only(audit(sealed), Tampering.ENTRIES_SWAPPED, 4).count == 4


@pytest.mark.parametrize("left", [0, 1, 12, 19])
@pytest.mark.parametrize("with_nodes", [False, True])
def test_a_log_cut_off_below_what_was_signed_is_named(
    sealed: RunningLog, left: int, *, with_nodes: bool
) -> None:
    intruder = Intruder(sealed)
    intruder.run("DELETE FROM log_entries WHERE leaf_index >= :left", left=left)
    if with_nodes:
        intruder.compute_tree_anew()
    assert only(audit(sealed), Tampering.TRUNCATED, left).size == 20


def test_an_end_cut_off_behind_the_last_checkpoint_leaves_hashes_behind(sealed: RunningLog) -> None:
    Intruder(sealed).run("DELETE FROM log_entries WHERE leaf_index >= 21")
    only(audit(sealed), Tampering.NODE_STRAY, 21)


def test_an_entry_hidden_from_its_message_is_named(sealed: RunningLog) -> None:
    Intruder(sealed).run("UPDATE log_entries SET message_id = 'another' WHERE leaf_index = 5")
    assert only(audit(sealed), Tampering.MESSAGE_ID_CHANGED, 5).message_id == "another"


def test_a_row_that_is_no_entry_is_named(sealed: RunningLog) -> None:
    intruder = Intruder(sealed)
    intruder.run(
        "UPDATE log_entries SET entry = :entry, leaf_hash = :hash WHERE leaf_index = 9",
        entry=b"nothing",
        hash=leaf_hash(b"nothing"),
    )
    only(audit(sealed), Tampering.ENTRY_CHANGED, 8, 9)
    intruder.compute_tree_anew()
    kinds = {(finding.kind, finding.first) for finding in audit(sealed).findings}
    assert kinds == {(Tampering.REWRITTEN, 8), (Tampering.ENTRY_CHANGED, 9)}


@pytest.mark.parametrize("index", [-5, 40, 10**12])
def test_a_row_far_from_all_others_is_named(sealed: RunningLog, index: int) -> None:
    Intruder(sealed).run("INSERT INTO log_entries VALUES (:index, x'7b7d', zeroblob(32), NULL)", index=index)
    report = audit(sealed)
    assert not report.holds
    place = {finding.first for finding in report.findings}
    assert place <= {index, SIZE}, report.findings


@pytest.mark.parametrize("size", SEALED)
def test_a_forged_checkpoint_is_named(sealed: RunningLog, size: int) -> None:
    # The line of the size alone: its digits stand in the signature too.
    Intruder(sealed).run(
        "UPDATE log_checkpoints SET note = replace(note, :before, :after) WHERE size = :size",
        size=size,
        before=f"\n{size}\n",
        after=f"\n{size + 1}\n",
    )
    assert only(audit(sealed), Tampering.CHECKPOINT_CHANGED, None).size == size


def test_a_checkpoint_signed_by_another_key_is_named(sealed: RunningLog) -> None:
    Intruder(sealed).sign_anew(NoteSigner(ORIGIN, Ed25519PrivateKey.generate()))
    report = audit(sealed)
    assert {finding.kind for finding in report.findings} == {Tampering.CHECKPOINT_FOREIGN_KEY}
    assert [finding.size for finding in report.findings] == [*SEALED]


def test_a_checkpoint_under_another_size_is_named(sealed: RunningLog) -> None:
    Intruder(sealed).run("UPDATE log_checkpoints SET size = 15 WHERE size = 13")
    assert only(audit(sealed), Tampering.CHECKPOINT_MOVED, None).size == 15


def test_a_deleted_checkpoint_is_missed_by_who_kept_it(sealed: RunningLog) -> None:
    claim = kept(sealed)
    Intruder(sealed).run("DELETE FROM log_checkpoints WHERE size = 20")
    assert audit(sealed).holds
    assert only(audit(sealed, claim), Tampering.CHECKPOINT_DELETED, None).size == 20


@pytest.mark.parametrize("index", [0, 7, 8, 11, 13, 19])
def test_a_tree_computed_anew_is_enclosed_by_the_signed_checkpoints(sealed: RunningLog, index: int) -> None:
    intruder = Intruder(sealed)
    intruder.change(index)
    intruder.compute_tree_anew()
    start = max(size for size in (0, *SEALED) if size <= index)
    end = min(size for size in SEALED if size > index)
    assert only(audit(sealed), Tampering.REWRITTEN, start, end - 1).size == end


def test_without_the_key_checkpoints_over_a_new_tree_cannot_be_signed(sealed: RunningLog) -> None:
    claim = kept(sealed)
    intruder = Intruder(sealed)
    intruder.change(9)
    intruder.compute_tree_anew()
    intruder.sign_anew(NoteSigner(ORIGIN, Ed25519PrivateKey.generate()))
    kinds = {finding.kind for finding in audit(sealed).findings}
    assert kinds == {Tampering.CHECKPOINT_FOREIGN_KEY}
    first(audit(sealed, claim), Tampering.REWRITTEN, 0, 19)


def test_a_log_rewritten_with_the_stolen_key_is_shown_by_a_kept_checkpoint(sealed: RunningLog) -> None:
    claim = kept(sealed)
    intruder = Intruder(sealed)
    intruder.change(9)
    intruder.compute_tree_anew()
    intruder.sign_anew(sealed.signer)
    assert audit(sealed).holds
    only(audit(sealed, claim), Tampering.FORKED, 0, 19)


def test_a_log_rewritten_with_the_stolen_key_is_shown_exactly_by_a_mirror(
    sealed: RunningLog, tmp_path: Path
) -> None:
    mirror = copied(sealed, tmp_path / "mirror")
    intruder = Intruder(sealed)
    intruder.change(9)
    intruder.compute_tree_anew()
    intruder.sign_anew(sealed.signer)
    report = audit(sealed, mirror.claim, mirror=mirror)
    assert {finding.kind for finding in report.findings} == {Tampering.FORKED, Tampering.ENTRY_CHANGED}
    assert {(finding.first, finding.last) for finding in report.findings} == {(9, 9)}


def test_a_removed_row_is_shown_exactly_by_a_mirror(sealed: RunningLog, tmp_path: Path) -> None:
    mirror = copied(sealed, tmp_path / "mirror")
    intruder = Intruder(sealed)
    intruder.take_out(11)
    intruder.compute_tree_anew()
    first(audit(sealed, mirror.claim, mirror=mirror), Tampering.ENTRY_MISSING, 11)


def test_a_mirror_whose_tiles_do_not_give_its_checkpoint_is_refused(
    sealed: RunningLog, tmp_path: Path
) -> None:
    copied(sealed, tmp_path / "mirror")
    tile = tmp_path / "mirror" / "tile" / "0" / "000.p" / "20"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    with pytest.raises(LogError, match=r"log\.checkpoint_invalid"):
        Mirror(open_shelf(str(tmp_path / "mirror")), [sealed.log.verifier], ORIGIN)


def test_an_older_database_is_found_by_a_kept_checkpoint(running: RunningLog) -> None:
    filled(running, (8, 13), 13)
    older = {table: dump(running, table) for table in ("log_entries", "log_nodes", "log_checkpoints")}
    filled(running, (20,), 20)
    claim = kept(running)
    intruder = Intruder(running)
    for table, rows in older.items():
        intruder.run(f"DELETE FROM {table}")  # noqa: S608 (our own table)
        for row in rows:
            values = {f"c{number}": value for number, value in enumerate(row)}
            intruder.run(f"INSERT INTO {table} VALUES ({', '.join(f':{name}' for name in values)})", **values)  # noqa: S608 (likewise)
    assert audit(running).holds
    finding = only(audit(running, claim), Tampering.ROLLED_BACK, 13)
    assert (finding.size, finding.count) == (20, 7)


def test_two_databases_that_continue_one_log_are_a_fork(running: RunningLog, copies: DatabaseCopies) -> None:
    filled(running, (8,), 8)
    copied = copies.take()
    common = kept(running)
    filled(running, (13,), 13)
    claim = kept(running)
    with another(running, copied) as copy:
        filled(copy, (14,), 14)
        # Against a stolen key, only what was kept outside proves anything.
        only(audit(copy, claim), Tampering.FORKED, 0, 12)
        only(audit(copy, claim, common), Tampering.FORKED, 8, 12)


def test_a_false_checkpoint_signed_in_between_is_told_from_changed_entries(sealed: RunningLog) -> None:
    note = sealed.signer.sign(Checkpoint(ORIGIN, 13, sha256(b"another tree").digest()).to_text())
    Intruder(sealed).run("UPDATE log_checkpoints SET note = :note WHERE size = 13", note=note)
    only(audit(sealed), Tampering.CHECKPOINT_FALSE, 8, 12)


def test_every_one_of_several_changes_is_named(sealed: RunningLog) -> None:
    intruder = Intruder(sealed)
    for index in (3, 9, 18):
        intruder.change(index)
    intruder.run(
        "UPDATE log_entries SET message_id = NULL WHERE leaf_index = 1",
        "UPDATE log_nodes SET hash = zeroblob(32) WHERE position = 29",
        "DELETE FROM log_entries WHERE leaf_index = 12",
    )
    found = {(finding.first, finding.kind) for finding in audit(sealed).findings}
    assert found == {
        (1, Tampering.MESSAGE_ID_CHANGED),
        (3, Tampering.ENTRY_CHANGED),
        (9, Tampering.ENTRY_CHANGED),
        (12, Tampering.ENTRY_MISSING),
        (14, Tampering.NODE_CHANGED),
        (18, Tampering.ENTRY_CHANGED),
    }


def test_a_large_log_is_read_in_portions(running: RunningLog) -> None:
    filled(running, (3_000,), 5_000)
    told: list[tuple[int, int]] = []
    assert running.log.audit().run(progress=lambda done, total: told.append((done, total))).holds
    assert told[-1] == (5_000, 5_000)
    assert len(told) == 3
    intruder = Intruder(running)
    intruder.change(2_047)
    intruder.change(4_100)
    assert [finding.first for finding in audit(running).findings] == [2_047, 4_100]


def dump(running: RunningLog, table: str) -> list[tuple[Any, ...]]:
    with running.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]  # noqa: S608 (our own table)


def another(running: RunningLog, url: str) -> Any:
    from contextlib import contextmanager

    from hub.database import Writer, open_database

    @contextmanager
    def opened() -> Iterator[RunningLog]:
        engine = open_database(url)
        writer = Writer(engine)
        yield RunningLog(engine, writer, running.signer, MessageLog(engine, writer, running.signer, ORIGIN))
        writer.close()
        engine.dispose()

    return opened()


def copied(running: RunningLog, folder: Path) -> Mirror:
    """A mirror of the log as it is now, up to its last checkpoint."""
    from hub.messagelog import PublishedTree
    from hub.tlog import Place, Tile

    signed = running.log.last_checkpoint()
    assert signed is not None
    folder.mkdir()
    (folder / "checkpoint").write_text(signed.note, encoding="utf-8")
    tree = PublishedTree(running.engine)
    size, level = signed.checkpoint.size, 0
    while size:
        for index in range(-(-size // 256)):
            place = Place(index, min(256, size - 256 * index))
            file = folder / "tile" / str(level) / place.to_path()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(tree.tile(Tile(level, place)))
        size, level = size // 256, level + 1
    return Mirror(open_shelf(str(folder)), [running.log.verifier], ORIGIN)
