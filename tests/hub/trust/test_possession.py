# SPDX-License-Identifier: Apache-2.0
"""A proof of possession by every kind of key the table of algorithms knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.errors import TrustError
from hub.identifiers import MemberId, MessageId
from hub.registry.certificates import key_digest
from hub.trust import ALGORITHMS, SM2_SM3, algorithms_of, prove_possession, require_possession
from hub.trust.algorithms import ANY_ALGORITHM
from tests.hub.envelope.signers import NOW, throwaway_key
from tests.hub.trust.sm2_pki import make_signer, needs_openssl

if TYPE_CHECKING:
    from pathlib import Path

    from hub.trust import SigningKey

MEMBER = MemberId("13510108MB1A00003J")
MESSAGE = MessageId("019ca8a4-5a7b-7000-8000-000000000001")


def first_rows() -> list[str]:
    """Name the row each kind of key signs with by default."""
    first = {row.key: row for row in reversed(ALGORITHMS)}
    return sorted(row.id for row in first.values() if row is not SM2_SM3)


def assert_proves(key: SigningKey) -> None:
    leaf = key.certificate_chain[0]
    assert next(iter(algorithms_of(leaf, ANY_ALGORITHM))) is key.algorithm
    assert len(key_digest(leaf)) == 64
    proof = prove_possession(key, MEMBER, MESSAGE)
    require_possession(leaf, proof, member=MEMBER, message=MESSAGE, at=NOW)
    for member, message in (
        (MemberId("11510108MB1A00002M"), MESSAGE),
        (MEMBER, MessageId("019ca8a4-5a7b-7000-8000-000000000002")),
    ):
        with pytest.raises(TrustError) as refused:
            require_possession(leaf, proof, member=member, message=message, at=NOW)
        assert refused.value.code == "trust.possession_unproven"


@pytest.mark.parametrize("algorithm", first_rows())
def test_a_key_proves_itself_for_one_member_and_one_message(algorithm: str) -> None:
    assert_proves(throwaway_key(algorithm))


@needs_openssl
def test_a_key_of_sm2_proves_itself_too(tmp_path: Path) -> None:
    assert_proves(make_signer(tmp_path))
