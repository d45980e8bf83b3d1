# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to whichever rows is found, and no earlier entry than the first bad one is blamed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.database import Writer, open_database
from hub.messagelog import MessageLog, Tampering
from tests.hub.messagelog.conftest import ORIGIN, RunningLog
from tests.hub.messagelog.intruder import Intruder, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIZE = 37
SEALED = (6, 7, 16, 29)
ABOUT_ENTRIES = {
    Tampering.ENTRY_CHANGED,
    Tampering.ENTRY_OR_HASH_CHANGED,
    Tampering.ENTRY_MISSING,
    Tampering.ENTRY_INSERTED,
    Tampering.ENTRIES_SWAPPED,
    Tampering.TRUNCATED,
    Tampering.REWRITTEN,
    Tampering.NODE_STRAY,
}
Rows = dict[int, tuple[object, ...]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLog]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from hub.tlog import NoteSigner

    file = tmp_path_factory.mktemp("log") / "hub.sqlite"
    engine = open_database(f"sqlite:///{file}")
    writer = Writer(engine)
    signer = NoteSigner(ORIGIN, Ed25519PrivateKey.generate())
    yield filled(RunningLog(engine, writer, signer, MessageLog(engine, writer, signer, ORIGIN)), SEALED, SIZE)
    writer.close()
    engine.dispose()


@dataclass(frozen=True)
class Deed:
    """One thing an intruder does, to entry `one` and perhaps `other`."""

    name: str
    one: int
    other: int

    def commit(self, intruder: Intruder) -> None:
        rows = intruder.rows()
        one, other = self.one % len(rows), self.other % len(rows)
        deeds: dict[str, Callable[[], None]] = {
            "change": lambda: intruder.change(rows[one][0]),
            "change_with_hash": lambda: intruder.change(rows[one][0], with_hash=True),
            "hash": lambda: intruder.run(
                "UPDATE log_entries SET leaf_hash = zeroblob(32) WHERE leaf_index = :i", i=rows[one][0]
            ),
            "node": lambda: intruder.run(
                "UPDATE log_nodes SET hash = zeroblob(32) WHERE position = :p", p=2 * one + 1
            ),
            "delete": lambda: intruder.run("DELETE FROM log_entries WHERE leaf_index = :i", i=rows[one][0]),
            "hide": lambda: intruder.run(
                "UPDATE log_entries SET message_id = 'x' WHERE leaf_index = :i", i=rows[one][0]
            ),
            "swap": lambda: intruder.swap(one, other),
            "take_out": lambda: intruder.take_out(one),
        }
        deeds[self.name]()


NAMES = ["change", "change_with_hash", "hash", "node", "delete", "hide", "swap", "take_out"]
deeds = st.builds(Deed, st.sampled_from(NAMES), st.integers(0, SIZE - 2), st.integers(0, SIZE - 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


@settings(max_examples=150, deadline=None)
@given(done=st.lists(deeds, min_size=1, max_size=3), is_anew=st.booleans())
def test_whatever_is_done_is_found_and_no_earlier_entry_is_blamed(
    original: RunningLog, folder: Path, done: list[Deed], *, is_anew: bool
) -> None:
    file = folder / "hub.sqlite"
    for each in folder.iterdir():
        each.unlink()
    with closing(sqlite3.connect(str(original.engine.url.database))) as source:
        source.execute("VACUUM INTO ?", (str(file),))
    before = tables(file)
    engine = open_database(f"sqlite:///{file}")
    writer = Writer(engine)
    log = MessageLog(engine, writer, original.signer, ORIGIN)
    intruder = Intruder(str(file))
    for deed in done:
        deed.commit(intruder)
    if is_anew:
        intruder.compute_tree_anew()
    after = tables(file)
    findings = log.audit().run().findings
    writer.close()
    engine.dispose()

    entries, others = first_difference(before[0], after[0], 1), first_difference(before[0], after[0])
    is_provable = entries is not None and (not is_anew or entries < SEALED[-1])
    if is_provable:
        assert entries is not None
        blamed = [each for each in findings if each.kind in ABOUT_ENTRIES]
        # Where the other entry below the same hash is gone, this one cannot be checked any more, nor can the
        # last one when the end was cut off right behind it: then only the gap or the cut is seen.
        is_open = entries ^ 1 not in after[0] and entries in after[0]
        enclosed = any(within(each.first, entries, each.last) for each in blamed)
        assert enclosed or (is_open and blamed), (entries, findings)
        # Whether the entry or only its hash is wrong stays open there, so it need not be the first bad entry.
        blamed = [each for each in blamed if each.kind is not Tampering.ENTRY_OR_HASH_CHANGED]
        assert all(each.last is not None and each.last >= entries for each in blamed), (entries, findings)
    elif entries is None and (others is not None or after[1] != before[1]):
        assert findings
    if after == before:
        assert not findings


def within(start: int | None, index: int, end: int | None) -> bool:
    return start is not None and end is not None and start <= index <= end


def tables(file: Path) -> tuple[Rows, Rows]:
    with closing(sqlite3.connect(file)) as database:
        entries = database.execute("SELECT * FROM log_entries ORDER BY leaf_index").fetchall()
        nodes = database.execute("SELECT * FROM log_nodes ORDER BY position").fetchall()
    return {row[0]: row for row in entries}, {row[0]: row for row in nodes}


def first_difference(before: Rows, after: Rows, column: int | None = None) -> int | None:
    for index in sorted(before.keys() | after.keys()):
        old, new = before.get(index), after.get(index)
        if old is None or new is None or (old != new if column is None else old[column] != new[column]):
            return index
    return None
