# SPDX-License-Identifier: Apache-2.0
"""Evidence records on one core: a container taken along, a batch's tree, one record, and verifying it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from hub.clock import SystemClock
from hub.database import Writer, open_database
from hub.messagelog import EvidenceRecords
from hub.preservation import (
    EvidenceRecord,
    HashTree,
    archive_time_stamp,
    group_of,
    verify_record,
    with_record,
    write_crypto_infos,
)
from tests.bench.timing import on_one_core, rate
from tests.hub.envelope.signers import request_envelope
from tests.hub.preservation.authorities import Authorities

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

_BATCH = 1000


def measure(folder: Path) -> Iterator[str]:
    """Measure with batches of a thousand containers and one CRL in each record."""
    now = datetime.now(UTC)
    authorities = Authorities()
    key = authorities.authority("tsa", now - timedelta(days=1), now + timedelta(days=900))
    envelope = request_envelope()
    group = group_of(envelope)
    groups = [group] * _BATCH
    with on_one_core():
        grouping = rate(lambda: group_of(envelope))
        taken = _taken_per_second(folder)
        tree = HashTree("sha256", groups)
        building = rate(lambda: HashTree("sha256", groups), at_a_time=1)
        token = authorities.stamp(key, tree.root, now)
        answers = authorities.answers(now)

        def write() -> bytes:
            stamp = archive_time_stamp("sha256", tree.reduce(_BATCH // 2), token)
            return EvidenceRecord.of(((stamp,),), write_crypto_infos(answers)).encode()

        record = write()
        writing = rate(write)
        judge = authorities.judge()
        verify = partial(verify_record, record, lambda digest: group_of(envelope, digest), judge, at=now)
        verifying = rate(verify, at_a_time=1)
    exported = with_record(envelope.raw, record)
    yield f"hashes of a container    {1e6 / grouping:>8.1f} us"
    yield f"row of a container       {1e6 / taken:>8.1f} us, in units of {_BATCH}"
    each = 1e6 / building / _BATCH
    yield f"tree of {_BATCH}             {1000 / building:>8.2f} ms, {each:.1f} us a container"
    yield f"record put together      {1e6 / writing:>8.1f} us, {len(record)} bytes"
    yield f"record verified          {1000 / verifying:>8.2f} ms, offline, after another of its batch"
    yield f"added to a container     {len(exported) - len(envelope.raw):>8} bytes"


def _taken_per_second(folder: Path) -> float:
    """Return how many containers one unit takes along in a second of processor time, commit included."""
    engine = open_database(f"sqlite:///{folder / 'records.sqlite'}")
    writer = Writer(engine)
    records = EvidenceRecords(engine, SystemClock())
    envelopes = [request_envelope() for _ in range(_BATCH)]
    # The exchange has it computed before.
    assert len({each.container_sha256 for each in envelopes}) == _BATCH

    def work(connection: Connection) -> None:
        for each in envelopes:
            records.take(connection, each)

    begun = time.process_time()
    writer.run(work)
    elapsed = time.process_time() - begun
    writer.close()
    engine.dispose()
    return _BATCH / elapsed
