# SPDX-License-Identifier: Apache-2.0
"""Several processes append to one log on PostgreSQL, and some are killed: one tree, without gaps."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hub.database import Writer, open_database
from hub.messagelog import MessageLog
from hub.tlog import NoteSigner, open_checkpoint, verify_consistency
from tests.hub.messagelog.conftest import ORIGIN, RunningLog, an_entry
from tests.postgresql import on_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

PROCESSES = 4
THREADS = 4
APPENDS = 60

# Appends, says what it appended, and signs checkpoints in between; ends after so many, or never.
APPENDING = f"""
import sys, threading
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hub.database import Writer, open_database
from hub.messagelog import MessageLog
from hub.tlog import NoteSigner
from tests.hub.messagelog.conftest import ORIGIN, an_entry

url, appends = sys.argv[1], int(sys.argv[2])
key = load_pem_private_key(sys.stdin.buffer.read(), None)
engine = open_database(url)
writer = Writer(engine)
log = MessageLog(engine, writer, NoteSigner(ORIGIN, key), ORIGIN)
speaking = threading.Lock()

def say(*words):
    with speaking:
        print(*words, flush=True)

def append():
    done = 0
    while done != appends:
        entry = an_entry()
        position = writer.run(lambda connection: log.append(connection, entry))
        say("entry", position.index, entry.message_id)
        done += 1
        if done % 7 == 0:
            say("note", log.checkpoint().note.encode().hex())

threads = [threading.Thread(target=append) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
writer.close()
engine.dispose()
"""

HOLDING = """
import sys, time
from hub.database import Writer, open_database

def hold(connection):
    print("holding", flush=True)
    time.sleep(60)

Writer(open_database(sys.argv[1])).run(hold)
"""


@dataclass(frozen=True)
class KeyedLog(RunningLog):
    """A log whose key other processes can be given."""

    key: Ed25519PrivateKey


@pytest.fixture
def running(database_url: str) -> Iterator[KeyedLog]:
    engine = open_database(database_url)
    writer = Writer(engine)
    key = Ed25519PrivateKey.generate()
    signer = NoteSigner(ORIGIN, key)
    yield KeyedLog(engine, writer, signer, MessageLog(engine, writer, signer, ORIGIN), key)
    writer.close()
    engine.dispose()


def start(running: KeyedLog, url: str, appends: int) -> subprocess.Popen[str]:
    key = running.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    process = run(APPENDING, url, str(appends), stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(key)
    process.stdin.close()
    return process


def run(program: str, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def heard(process: subprocess.Popen[str]) -> list[list[str]]:
    """Return what a process said until it ended; a last line that was cut off was never said."""
    assert process.stdout is not None
    lines = [line.split() for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait(30)
    return lines


def require_one_tree(running: KeyedLog, said: list[list[str]]) -> None:
    entries = {int(words[1]): words[2] for words in said if words[0] == "entry"}
    assert len(entries) == sum(words[0] == "entry" for words in said), "two entries at one place"
    for index, message_id in entries.items():
        assert running.log.entry(index).entry.message_id == message_id
    assert running.log.check() == running.log.size()
    last = running.log.checkpoint().checkpoint
    by_size: dict[int, str] = {}
    for words in said:
        if words[0] == "note":
            note = bytes.fromhex(words[1]).decode("utf-8")
            signed = open_checkpoint(note, [running.log.verifier], origin=ORIGIN).checkpoint
            assert by_size.setdefault(signed.size, note) == note, "two checkpoints of one size"
            proof = running.log.consistency_proof(signed.size, last.size)
            verify_consistency(signed.size, last.size, signed.root, last.root, proof)
    assert by_size


@on_postgresql
def test_processes_append_at_the_same_time_to_one_tree_without_gaps(
    running: KeyedLog, database_url: str
) -> None:
    processes = [start(running, database_url, APPENDS) for _ in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        said = [words for lines in pool.map(heard, processes) for words in lines]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    expected = PROCESSES * THREADS * APPENDS
    assert sorted(int(words[1]) for words in said if words[0] == "entry") == list(range(expected))
    require_one_tree(running, said)


def test_processes_killed_while_they_append_and_seal_leave_one_tree(
    running: KeyedLog, database_url: str
) -> None:
    """Each is killed at a random moment: while it waits, appends, commits or signs a checkpoint."""
    luck = random.Random(4)  # noqa: S311 - spreads kills, protects nothing
    said = []
    for _ in range(5):
        before = running.log.size()
        process = start(running, database_url, -1)
        while running.log.size() == before:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(luck.uniform(0.0, 0.4))
        process.send_signal(signal.SIGKILL)
        said += heard(process)
        size = running.log.size()
        assert running.append().index == size
        assert running.log.checkpoint().checkpoint.size == size + 1
    require_one_tree(running, said)


@on_postgresql
def test_a_process_killed_while_it_holds_the_lock_frees_it(running: KeyedLog, database_url: str) -> None:
    process = run(HOLDING, database_url)
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    append = running.writer.submit(lambda connection: running.log.append(connection, an_entry()))
    time.sleep(0.3)
    assert not append.done()
    process.send_signal(signal.SIGKILL)
    assert append.result(20).index == 0
    heard(process)


@on_postgresql
def test_what_reads_does_not_wait_for_what_writes(running: KeyedLog, database_url: str) -> None:
    running.append()
    process = run(HOLDING, database_url)
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    assert running.log.size() == 1
    assert running.log.check() == 1
    process.kill()
    heard(process)


@on_postgresql
def test_a_connection_that_breaks_fails_the_units_on_it_and_no_later_ones(running: KeyedLog) -> None:
    def lose(connection: Connection) -> None:
        backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with running.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:backend)"), {"backend": backend})
        running.log.append(connection, an_entry())

    with pytest.raises(SQLAlchemyError):
        running.writer.run(lose)
    assert running.log.size() == 0
    assert running.append().index == 0
