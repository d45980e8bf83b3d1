# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from hub.database import Writer, open_database
from hub.errors import LogError
from hub.identifiers import new_message_id
from hub.messagelog import MessageLog
from hub.tlog import (
    EMPTY_ROOT,
    LogPosition,
    NoteSigner,
    leaf_hash,
    open_checkpoint,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.hub.messagelog.conftest import NOW, ORIGIN, RunningLog, an_entry
from tests.hub.messagelog.intruder import Intruder

if TYPE_CHECKING:
    from sqlalchemy import Connection


def leaves_of(running: RunningLog) -> list[bytes]:
    return [leaf_hash(running.log.entry(index).entry.to_bytes()) for index in range(running.log.size())]


def force(running: RunningLog, *statements: str) -> None:
    """Do what an intruder with all rights would: drop the guards, then write."""
    Intruder(running).run(*statements)


def test_an_appended_entry_is_found_by_index_and_by_message(running: RunningLog) -> None:
    message_id = new_message_id(NOW)
    first, _other, second = (
        running.append(entry) for entry in (an_entry(message_id), an_entry(), an_entry(message_id))
    )
    assert (first.index, second.index) == (0, 2)
    assert running.log.entry(2).position == second
    assert [logged.position for logged in running.log.entries_of(message_id)] == [first, second]
    assert running.log.entries_of(new_message_id(NOW)) == ()


def test_an_entry_that_is_not_there_is_unknown(running: RunningLog) -> None:
    running.append()
    for index in (1, -1):
        with pytest.raises(LogError, match=r"log\.entry_unknown"):
            running.log.entry(index)


def test_a_unit_that_fails_leaves_no_gap(running: RunningLog) -> None:
    def fail(connection: Connection) -> None:
        running.log.append(connection, an_entry())
        running.log.append(connection, an_entry())
        raise KeyError("the unit fails after it appended")

    # One transaction: the writer is held until all units are queued.
    is_queued = threading.Event()
    running.writer.submit(lambda _connection: is_queued.wait(10))
    works = [running.writer.submit(lambda c: running.log.append(c, an_entry())) for _ in range(3)]
    failure = running.writer.submit(fail)
    works += [running.writer.submit(lambda c: running.log.append(c, an_entry())) for _ in range(3)]
    is_queued.set()
    with pytest.raises(KeyError):
        failure.result()
    assert [work.result().index for work in works] == list(range(6))
    assert running.log.size() == running.log.check() == 6


def test_the_first_unit_of_a_transaction_may_fail(running: RunningLog) -> None:
    def fail(connection: Connection) -> None:
        running.log.append(connection, an_entry())
        raise KeyError("the unit fails after it appended")

    def both(connection: Connection) -> LogPosition:
        with pytest.raises(KeyError), connection.begin_nested():
            fail(connection)
        return running.log.append(connection, an_entry())

    assert running.writer.run(both).index == 0
    assert running.log.check() == 1


def test_a_savepoint_inside_a_unit_takes_only_its_own_entries_back(running: RunningLog) -> None:
    def work(connection: Connection) -> list[int]:
        indexes = [running.log.append(connection, an_entry()).index]
        with connection.begin_nested():
            indexes.append(running.log.append(connection, an_entry()).index)
        nested = connection.begin_nested()
        for _ in range(5):
            running.log.append(connection, an_entry())
        nested.rollback()
        indexes.append(running.log.append(connection, an_entry()).index)
        return indexes

    assert running.writer.run(work) == [0, 1, 2]
    assert running.log.check() == 3


def test_an_append_outside_a_transaction_is_refused(running: RunningLog) -> None:
    with running.engine.connect() as connection, pytest.raises(RuntimeError, match="unit"):
        running.log.append(connection, an_entry())


def test_an_append_outside_the_writer_is_refused(running: RunningLog) -> None:
    with (
        running.engine.connect() as connection,
        connection.begin(),
        pytest.raises(RuntimeError, match="unit"),
    ):
        running.log.append(connection, an_entry())


def test_a_transaction_that_is_rolled_back_appends_nothing(running: RunningLog) -> None:
    def refuse(_connection: Connection) -> None:
        raise OSError("the disk is gone")

    event.listen(running.engine, "commit", refuse)
    with pytest.raises(OSError, match="the disk is gone"):
        running.append()
    event.remove(running.engine, "commit", refuse)
    assert running.log.size() == 0
    assert running.append().index == 0


def test_two_processes_share_one_log(running: RunningLog, database_url: str) -> None:
    engine = open_database(database_url)
    writer = Writer(engine)
    other = RunningLog(engine, writer, running.signer, MessageLog(engine, writer, running.signer, ORIGIN))
    indexes = [each.append().index for _ in range(5) for each in (running, other)]
    assert indexes == list(range(10))
    assert running.log.checkpoint() == other.log.checkpoint()
    writer.close()
    engine.dispose()


def test_many_threads_append_densely_in_few_commits(running: RunningLog) -> None:
    with ThreadPoolExecutor(32) as pool:
        positions = list(pool.map(lambda _number: running.append(), range(400)))
    assert sorted(position.index for position in positions) == list(range(400))
    assert running.log.check() == 400
    for position in positions[::40]:
        assert running.log.entry(position.index).position == position


def test_every_proof_of_the_stored_tree_verifies(running: RunningLog) -> None:
    running.append_many(21)
    leaves = leaves_of(running)
    for size in range(1, 22):
        root = root_of(leaves[:size])
        for index in range(size):
            proof = running.log.inclusion_proof(index, size)
            verify_inclusion(leaves[index], index, size, proof, root)
        for old in range(size + 1):
            proof = running.log.consistency_proof(old, size)
            verify_consistency(old, size, root_of(leaves[:old]), root, proof)


def test_no_proof_is_given_for_a_size_the_log_has_not(running: RunningLog) -> None:
    running.append_many(3)
    for ask in (running.log.inclusion_proof, running.log.consistency_proof):
        with pytest.raises(LogError, match=r"log\.entry_unknown"):
            ask(1, 4)


def test_a_checkpoint_states_size_and_root_and_is_kept(running: RunningLog) -> None:
    assert running.log.last_checkpoint() is None
    running.append_many(7)
    signed = running.log.checkpoint()
    assert open_checkpoint(signed.note, [running.log.verifier], origin=ORIGIN) == signed
    assert (signed.checkpoint.size, signed.checkpoint.root) == (7, root_of(leaves_of(running)))
    assert running.log.last_checkpoint() == signed
    assert running.log.checkpoint() == signed


def test_an_empty_log_has_a_checkpoint_too(running: RunningLog) -> None:
    assert running.log.checkpoint().checkpoint.root == EMPTY_ROOT


def test_later_checkpoints_are_consistent_with_earlier_ones(running: RunningLog) -> None:
    signed = []
    for count in (1, 2, 5, 1, 30):
        running.append_many(count)
        signed.append(running.log.checkpoint().checkpoint)
    for old, new in pairwise(signed):
        proof = running.log.consistency_proof(old.size, new.size)
        verify_consistency(old.size, new.size, old.root, new.root, proof)


def test_checkpoints_asked_for_while_others_append_agree(running: RunningLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        appends = [pool.submit(running.append) for _ in range(60)]
        signed = [each.result() for each in [pool.submit(running.log.checkpoint) for _ in range(20)]]
        for append in appends:
            append.result()
    by_size = {each.checkpoint.size: each.note for each in signed}
    assert {(each.checkpoint.size, each.note) for each in signed} == set(by_size.items())
    assert running.log.check() == 60


def test_a_new_key_continues_the_log_of_a_former_one(running: RunningLog) -> None:
    running.append()
    running.log.checkpoint()
    running.append()
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    stranger = MessageLog(running.engine, running.writer, signer, ORIGIN)
    with pytest.raises(LogError, match=r"log\.corrupt"):
        stranger.checkpoint()
    heir = MessageLog(running.engine, running.writer, signer, ORIGIN, [running.log.verifier])
    assert heir.checkpoint().checkpoint.size == 2


@pytest.mark.parametrize("table", ["log_entries", "log_nodes", "log_checkpoints"])
@pytest.mark.parametrize(
    ("database_url", "statement"),
    [
        *(
            (kind, word)
            for kind in ("sqlite", "postgresql")
            for word in ("DELETE FROM {0}", "UPDATE {0} SET {1} = {1}")
        ),
        ("sqlite", "REPLACE INTO {0} SELECT * FROM {0}"),
        ("postgresql", "TRUNCATE {0}"),
    ],
    indirect=["database_url"],
)
def test_the_database_itself_refuses_to_change_what_was_logged(
    running: RunningLog, table: str, statement: str
) -> None:
    running.append_many(4)
    running.log.checkpoint()
    key = {"log_entries": "leaf_index", "log_nodes": "position", "log_checkpoints": "size"}[table]
    with running.engine.connect() as connection, pytest.raises(DBAPIError, match=f"{table} is append-only"):
        connection.execute(text(statement.format(table, key)))
    assert running.log.check() == 4


TAMPERINGS = {
    "an entry was changed": (
        "UPDATE log_entries SET entry = cast(replace(entry, 'accepted', 'answered') AS BLOB)"
        " WHERE leaf_index = 5"
    ),
    "an entry is gone": "DELETE FROM log_entries WHERE leaf_index = 5",
    "the end is gone": "DELETE FROM log_entries WHERE leaf_index >= 6",
    "an entry hides from its message": "UPDATE log_entries SET message_id = NULL WHERE leaf_index = 5",
    "a leaf hash was changed": "UPDATE log_entries SET leaf_hash = zeroblob(32) WHERE leaf_index = 5",
    "a node was changed": "UPDATE log_nodes SET hash = zeroblob(32) WHERE position = 9",
    "a node is gone": "DELETE FROM log_nodes WHERE position = 9",
    "two entries changed places": (
        "UPDATE log_entries SET entry = (SELECT o.entry FROM log_entries o WHERE o.leaf_index = 5)"
        ", leaf_hash = (SELECT o.leaf_hash FROM log_entries o WHERE o.leaf_index = 5)"
        ", message_id = (SELECT o.message_id FROM log_entries o WHERE o.leaf_index = 5) WHERE leaf_index = 4"
    ),
}

# Cutting off the end is beyond proof as long as nobody signed it.
PROVABLE = {name: tampering for name, tampering in TAMPERINGS.items() if name != "the end is gone"}


@pytest.mark.parametrize(
    ("name", "signed"),
    [*((name, signed) for name in PROVABLE for signed in (0, 4, 7)), ("the end is gone", 7)],
)
def test_a_log_that_was_tampered_with_is_found_out(running: RunningLog, name: str, signed: int) -> None:
    running.append_many(signed)
    running.log.checkpoint()
    running.append_many(7 - signed)
    force(running, TAMPERINGS[name])
    with pytest.raises(LogError, match=r"log\.corrupt"):
        running.log.check()


@pytest.mark.parametrize("tampering", PROVABLE.values(), ids=PROVABLE.keys())
def test_nothing_is_signed_over_entries_changed_since_the_last_checkpoint(
    running: RunningLog, tampering: str
) -> None:
    running.append_many(4)
    signed = running.log.checkpoint()
    running.append_many(5)
    force(running, tampering)
    with pytest.raises(LogError, match=r"log\.corrupt"):
        running.log.checkpoint()
    assert running.log.last_checkpoint() == signed


@pytest.mark.parametrize("size", [4, 6])
def test_no_other_history_is_signed(running: RunningLog, size: int) -> None:
    running.append_many(4)
    running.log.checkpoint()
    # A whole other tree, consistent in itself.
    force(running, "DELETE FROM log_entries", "DELETE FROM log_nodes")
    running.append_many(size)
    with pytest.raises(LogError, match=r"log\.corrupt"):
        running.log.checkpoint()


def test_a_log_shorter_than_what_was_signed_is_found_out(running: RunningLog) -> None:
    running.append_many(4)
    running.log.checkpoint()
    force(running, "DELETE FROM log_entries", "DELETE FROM log_nodes")
    for ask in (running.log.checkpoint, running.log.check):
        with pytest.raises(LogError, match=r"log\.corrupt"):
            ask()


@pytest.mark.parametrize(
    "tampering",
    ["UPDATE log_checkpoints SET note = replace(note, '4', '3')", "UPDATE log_checkpoints SET size = 3"],
)
def test_a_stored_checkpoint_that_was_changed_is_found_out(running: RunningLog, tampering: str) -> None:
    running.append_many(4)
    running.log.checkpoint()
    force(running, tampering)
    with pytest.raises(LogError, match=r"log\.corrupt"):
        running.log.check()


def test_a_changed_entry_is_not_shown(running: RunningLog) -> None:
    message_id = new_message_id(NOW)
    running.append(an_entry(message_id))
    force(running, "UPDATE log_entries SET entry = cast(replace(entry, 'accepted', 'answered') AS BLOB)")
    with pytest.raises(LogError, match=r"log\.corrupt"):
        running.log.entry(0)
    with pytest.raises(LogError, match=r"log\.corrupt"):
        running.log.entries_of(message_id)
