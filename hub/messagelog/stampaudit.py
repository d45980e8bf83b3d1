# SPDX-License-Identifier: Apache-2.0
"""Auditing the time stamps of checkpoints: each must be about the checkpoint it is stored for.

A time stamp remembers what a checkpoint was when it was stamped. Whoever rewrites the log and signs it anew
with the stolen key cannot have it stamped as of then.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import select

from hub.clock import format_instant
from hub.errors import HubError
from hub.messagelog import evidencestore, stamps
from hub.messagelog.store import log_checkpoints, read_note
from hub.messagelog.tampering import Finding, Tampering
from hub.preservation import HashTree
from hub.trust import read_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from hub.messagelog.evidencestore import Batch

_BATCHES_AT_A_TIME = 500


def judge_stamps(connection: Connection) -> Iterator[Finding]:
    """Name the time stamps that are about something else, do not hold, or are missing."""
    largest = stamp = -1
    while batches := evidencestore.read_batches(connection, stamp, _BATCHES_AT_A_TIME):
        for batch in batches:
            stamp = batch.stamp
            if batch.size is None or batch.note_sha256 is None:
                continue
            largest = max(largest, batch.size)
            note = read_note(connection, batch.size)
            if note is None:
                detail = (
                    f"a time stamp is stored for a checkpoint of {batch.size} entries, which is not there"
                )
                yield Finding(kind=Tampering.CHECKPOINT_DELETED, detail=detail, size=batch.size)
            else:
                yield from _judge(connection, batch, note)
    yield from _judge_last(connection, largest)


def _judge(connection: Connection, batch: Batch, note: str) -> Iterator[Finding]:
    """Compare the checkpoint with what was stamped: the root of the hash tree of its batch."""
    stored = evidencestore.read_stamp(connection, batch.stamp)
    try:
        token = read_token(stored.token)
    except HubError as exc:
        yield Finding(kind=Tampering.STAMP_CHANGED, detail=f"{exc.code}: {exc.detail}", size=batch.size)
        return
    groups = [each.hashes for each in evidencestore.read_members(connection, batch)]
    is_same = batch.note_sha256 == sha256(note.encode("utf-8")).hexdigest()
    if not is_same or HashTree(token.digest_algorithm, groups).root != token.digest:
        detail = (
            f"at {format_instant(stored.stamped_at)} another checkpoint of {batch.size} entries was stamped"
        )
        yield Finding(kind=Tampering.STAMP_OTHER, detail=detail, size=batch.size)
    elif stored.stamped_at != token.at:
        detail = f"the table says {format_instant(stored.stamped_at)}, the token {token.at.isoformat()}"
        yield Finding(kind=Tampering.STAMP_CHANGED, detail=detail, size=batch.size)


def _judge_last(connection: Connection, largest_stamped: int) -> Iterator[Finding]:
    """The largest checkpoint covers all others: it must be stamped, or wait.

    One that was signed this moment waits in the next, so one may be missing; and a log that was never stamped
    has nothing to miss.
    """
    waiting = [each.size for each in stamps.read_waiting(connection)]
    if largest_stamped < 0 and not waiting:
        return
    query = select(log_checkpoints.c.size).where(log_checkpoints.c.size > max([largest_stamped, *waiting]))
    missed = list(connection.execute(query.order_by(log_checkpoints.c.size)).scalars())
    if len(missed) > 1:
        detail = f"{len(missed)} checkpoints, up to {missed[-1]} entries, are neither stamped nor wait for it"
        yield Finding(kind=Tampering.STAMP_MISSING, detail=detail, size=missed[0], count=len(missed))
