# SPDX-License-Identifier: Apache-2.0
"""What a hub needs to do its work, each looked at the way it is used."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from hub.operations import store
from hub.telemetry import Condition, Readiness, State, disk_condition
from hub.trustlist import GRACE

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.database import Writer
    from hub.messagelog import MessageLog
    from hub.outbox import Outbox
    from hub.trust import SigningKey
    from hub.trustlist import TrustListArchive

WORKER = "worker"
"""What a process marks every few seconds that delivers from the outbox."""

_WRITE_SECONDS = 3.0
_WORKER_SECONDS = 60
_PROOF = b"heliograph readiness: proves that the key signs, and nothing else"


def database_condition(writer: Writer, clock: Clock) -> Condition:
    """Write something, the way messages are written."""

    def work(connection: Connection) -> None:
        store.mark(connection, "readiness", clock.now())

    future = writer.submit(work)
    try:
        future.result(_WRITE_SECONDS)
    except FutureTimeoutError:
        # It need not be done any more: what waits longer would be done for nobody.
        future.cancel()
        return Condition(State.FAILED, f"nothing was written within {_WRITE_SECONDS:.0f} seconds")
    return Condition()


def log_condition(log: MessageLog) -> Condition:
    """Compare the database with what was published."""
    log.require_head()
    return Condition()


def keys_condition(key: SigningKey) -> Condition:
    """Sign with the key of this moment, whose certificate has to be valid."""
    key.snapshot().sign(_PROOF)
    return Condition()


def trust_list_condition(lists: TrustListArchive, clock: Clock) -> Condition:
    """See whether the trust list's next version is due."""
    now, document = clock.now(), lists.current.document
    if now < document.next_update:
        return Condition()
    detail = f"version {document.sequence}: the next one was due at {document.next_update.isoformat()}"
    return Condition(State.FAILED if now >= document.next_update + GRACE else State.IMPAIRED, detail)


def outbox_condition(engine: Engine, clock: Clock, outbox: Outbox) -> Condition:
    """See whether anybody delivers what waits."""
    with engine.connect() as connection:
        seen_at = store.read_mark(connection, WORKER)
    if seen_at is not None and clock.now() - seen_at <= timedelta(seconds=_WORKER_SECONDS):
        return Condition()
    waiting = sum(each.waiting for each in outbox.depth().values())
    if not waiting:
        return Condition()
    # Whoever asks and waits is served all the same: taking this process away would only make it worse.
    return Condition(State.IMPAIRED, f"{waiting} deliveries wait, and no worker takes them up")


def hub_readiness(  # noqa: PLR0913 - its dependencies
    *,
    engine: Engine,
    writer: Writer,
    clock: Clock,
    log: MessageLog,
    key: SigningKey,
    trust_lists: TrustListArchive,
    data_folder: Path,
    disk_alarm_mebibytes: int,
    outbox: Outbox,
) -> Readiness:
    """Return what looks at everything a hub, or a worker of it, needs."""
    return Readiness(
        {
            "database": partial(database_condition, writer, clock),
            "log_head": partial(log_condition, log),
            "keys": partial(keys_condition, key),
            "trust_list": partial(trust_list_condition, trust_lists, clock),
            "outbox": partial(outbox_condition, engine, clock, outbox),
            "disk": partial(disk_condition, data_folder, least_mebibytes=disk_alarm_mebibytes),
        }
    )
