# SPDX-License-Identifier: Apache-2.0
"""A proof, typeset and sealed once a session."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hub.documents import DocumentSealer, typeset_proof
from hub.trust import OnlineRevocation, TrustList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pki import ServedPki

EXAMPLE = Path(__file__).parents[3] / "contracts/disability-employment-proof/v1/examples/response.json"
NOTICE = "演示文件 无法律效力 DEMONSTRATION"


def read_example() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(EXAMPLE.read_bytes())
    return data


@contextmanager
def open_sealer(
    pki: ServedPki, label: str, time_stamp_url: str | None = None, *, trust_list: TrustList | None = None
) -> Iterator[DocumentSealer]:
    """Make a sealer with the key of a label, and close its connections afterwards."""
    revocation = OnlineRevocation()
    urls = [time_stamp_url or pki.time_stamp_url]
    approved = trust_list or pki.approved()
    sealer = DocumentSealer(pki.signer(label), approved, revocation, urls, notice="演示 DEMO")
    try:
        yield sealer
    finally:
        sealer.close()
        revocation.close()


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def proof_data() -> dict[str, Any]:
    return read_example()


@pytest.fixture(scope="session")
def typeset() -> bytes:
    return typeset_proof(read_example(), notice=NOTICE)


@pytest.fixture(scope="session")
def trust_list(pki: ServedPki) -> TrustList:
    return pki.approved()


@pytest.fixture(scope="session")
def sealer(pki: ServedPki) -> Iterator[DocumentSealer]:
    with open_sealer(pki, "labour-seal") as opened:
        yield opened


@pytest.fixture(scope="session")
def sealed(sealer: DocumentSealer, typeset: bytes) -> bytes:
    return sealer.seal(typeset, reason="颁发残疾人按比例就业情况证明", location="成都市成华区")
