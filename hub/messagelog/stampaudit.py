# SPDX-License-Identifier: Apache-2.0
"""Auditing the time stamps of checkpoints: each must be about the checkpoint it is stored for.

A time stamp remembers what a checkpoint was when it was stamped. Whoever rewrites the log and signs it anew
with the stolen key cannot have it stamped as of then.
"""

from __future__ import annotations

from hashlib import new as new_hash
from typing import TYPE_CHECKING

from sqlalchemy import select

from hub.clock import parse_instant
from hub.errors import HubError
from hub.messagelog import stamps
from hub.messagelog.store import log_checkpoints, read_note
from hub.messagelog.tampering import Finding, Tampering
from hub.trust import read_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row


def judge_stamps(connection: Connection) -> Iterator[Finding]:
    """Name the time stamps that are about something else, do not hold, or are missing."""
    largest = -1
    for row in connection.execute(select(stamps.log_stamps).order_by(stamps.log_stamps.c.size)):
        largest = row.size
        note = read_note(connection, row.size)
        if note is None:
            detail = f"a time stamp is stored for a checkpoint of {row.size} entries, which is not there"
            yield Finding(kind=Tampering.CHECKPOINT_DELETED, detail=detail, size=row.size)
        else:
            yield from _judge(row, note)
    yield from _judge_last(connection, largest)


def _judge(row: Row[int, bytes, str, str], note: str) -> Iterator[Finding]:
    try:
        token = read_token(row.token)
    except HubError as exc:
        yield Finding(kind=Tampering.STAMP_CHANGED, detail=f"{exc.code}: {exc.detail}", size=row.size)
        return
    if new_hash(token.digest_algorithm, note.encode("utf-8")).digest() != token.digest:
        detail = f"at {row.stamped_at} another checkpoint of {row.size} entries was stamped"
        yield Finding(kind=Tampering.STAMP_OTHER, detail=detail, size=row.size)
    elif parse_instant(row.stamped_at) != token.at:
        detail = f"the table says {row.stamped_at}, the token {token.at.isoformat()}"
        yield Finding(kind=Tampering.STAMP_CHANGED, detail=detail, size=row.size)


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
