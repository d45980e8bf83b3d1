# SPDX-License-Identifier: Apache-2.0
"""Encrypting and decrypting a container for the vault, beside bare AES-256-GCM; keeping and erasing."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.clock import FixedClock
from hub.database import Writer, open_database
from hub.envelope import Payload
from hub.vault import KeyId
from hub.vault.sealing import DataKey, container_subject
from tests.bench.timing import on_one_core, rate
from tests.hub.envelope.signers import NOW, request_envelope
from tests.vaults import a_vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EXCHANGE_MS = 3.7
"""Processor time of the hub an exchange, docs/performance.md; it keeps four containers."""
_KEPT = 4
_SIZES = (6_000, 20_000, 60_000, 1_000_000)


def measure(folder: Path) -> Iterator[str]:
    """Measure what encryption at rest adds to a container of several sizes, and to an exchange."""
    key = DataKey(KeyId.parse("2026-03_P10Y_1"), os.urandom(32))
    bare, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    with on_one_core():
        for size in _SIZES:
            plain, subject = os.urandom(size), container_subject(os.urandom(32).hex())
            sealed = key.seal(subject, plain)
            at_best = 1e6 / rate(lambda plain=plain: bare.encrypt(nonce, plain, None))  # type: ignore[misc]
            sealing = 1e6 / rate(lambda plain=plain, subject=subject: key.seal(subject, plain))  # type: ignore[misc]
            opening = 1e6 / rate(lambda subject=subject, sealed=sealed: key.open(subject, sealed))  # type: ignore[misc]
            share = _KEPT * sealing / (_EXCHANGE_MS * 1000)
            yield (
                f"{size:>9} octets   sealed {sealing:>7.1f} us, opened {opening:>7.1f} us, bare AES-256-GCM "
                f"{at_best:>7.1f} us; {_KEPT} of them {share:.1%} of an exchange"
            )
        yield from _keeping(folder)


def _keeping(folder: Path) -> Iterator[str]:
    engine = open_database(f"sqlite:///{folder / 'vault.sqlite'}")
    writer = Writer(engine)
    vault = a_vault(engine, folder / "vault-keys", FixedClock(NOW))
    contents = (Payload("request.json", "application/json", f'{{"n":{n}}}'.encode()) for n in range(500))
    envelopes = [request_envelope(payloads=(each,)) for each in contents]

    def keep_all() -> None:
        for envelope in envelopes:
            writer.submit(lambda connection, each=envelope: vault.keep(connection, each))  # type: ignore[misc]
        writer.run(lambda _connection: None)

    begun = time.process_time()
    keep_all()
    kept = (time.process_time() - begun) / len(envelopes)
    begun = time.process_time()
    for envelope in envelopes:
        vault.read(envelope.container_sha256)
    read = (time.process_time() - begun) / len(envelopes)
    writer.close()
    engine.dispose()
    yield f"kept in SQLite     {kept * 1e6:>7.0f} us of processor time a container, with its transaction"
    yield f"read back          {read * 1e6:>7.0f} us"
