# SPDX-License-Identifier: Apache-2.0
"""A process that is killed while it appends loses nothing it acknowledged."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hub.tlog import verify_consistency

if TYPE_CHECKING:
    from tests.hub.messagelog.conftest import RunningLog

APPENDS_BEFORE_THE_KILL = 120

APPENDING = """
import sys, threading
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hub.database import Writer, open_database
from hub.messagelog import MessageLog
from hub.tlog import NoteSigner
from tests.hub.messagelog.conftest import ORIGIN, an_entry

engine = open_database(sys.argv[1])
writer = Writer(engine)
log = MessageLog(engine, writer, NoteSigner(ORIGIN, Ed25519PrivateKey.generate()), ORIGIN)
speaking = threading.Lock()

def append_for_ever():
    while True:
        entry = an_entry()
        position = writer.run(lambda connection: log.append(connection, entry))
        with speaking:
            print(position.index, entry.message_id, flush=True)

for _ in range(8):
    threading.Thread(target=append_for_ever).start()
"""


def test_every_acknowledged_entry_survives_kill_9(running: RunningLog, database_url: str) -> None:
    running.append()
    before = running.log.checkpoint().checkpoint
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", APPENDING, database_url], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert child.stdout is not None
    acknowledged = []
    for line in child.stdout:
        acknowledged.append(line)
        if len(acknowledged) == APPENDS_BEFORE_THE_KILL:
            child.send_signal(signal.SIGKILL)
    child.stdout.close()
    assert child.wait(timeout=30) == -signal.SIGKILL
    assert len(acknowledged) >= APPENDS_BEFORE_THE_KILL

    for line in acknowledged:
        if not line.endswith("\n"):
            continue
        index, message_id = line.split()
        assert running.log.entry(int(index)).entry.message_id == message_id
    size = running.log.check()
    assert size > APPENDS_BEFORE_THE_KILL
    after = running.log.checkpoint().checkpoint
    proof = running.log.consistency_proof(before.size, after.size)
    verify_consistency(before.size, after.size, before.root, after.root, proof)
    assert running.append().index == size
