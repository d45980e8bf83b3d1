# SPDX-License-Identifier: Apache-2.0
"""Containers signed and verified on one core with every row of the table of algorithms."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hub.envelope import Payload, open_envelope, seal_envelope, verify_signature
from hub.trust import ALGORITHMS, ANY_ALGORITHM, SM2_SM3
from tests.bench.containers import PAYLOAD_BYTES, request_header
from tests.bench.timing import on_one_core, rate_once
from tests.hub.envelope.signers import throwaway_key
from tests.hub.trust.sm2_pki import make_signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.trust import SignatureAlgorithm, SigningKey


def measure(folder: Path) -> Iterator[str]:
    """Measure whole containers with a payload of 1.7 KB, row by row."""
    payloads = (Payload("request.json", "application/json", b'{"text":"' + b"x" * PAYLOAD_BYTES + b'"}'),)
    header = request_header(payloads)
    for row in ALGORITHMS:
        if row is SM2_SM3 and shutil.which("openssl") is None:
            continue
        key = _key(row, folder)
        sealed = seal_envelope(header, payloads, key)
        with on_one_core():
            sign = rate_once(partial(seal_envelope, header, payloads, key))
            verify = rate_once(partial(_verify, sealed.raw))
        size = len(sealed.signature)
        yield f"{row.name:<30}{sign:>8.0f} signed/s{verify:>8.0f} verified/s{size:>7} bytes of signature"


def _verify(raw: bytes) -> None:
    verify_signature(open_envelope(raw), ANY_ALGORITHM)


def _key(row: SignatureAlgorithm, folder: Path) -> SigningKey:
    if row is SM2_SM3:
        place = folder / "sm2"
        place.mkdir()
        return make_signer(place)
    return replace(throwaway_key(row.id), algorithm=row)
