# SPDX-License-Identifier: Apache-2.0
"""An envelope signed by SM2 from end to end: sender, authorities and revocation lists, all of SM2.

Everything is made by the `openssl` command and judged here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.custody import load_signing_key
from hub.envelope import open_envelope, seal_envelope, verify_signature
from hub.errors import EnvelopeError, TrustError
from hub.trust import (
    SM2_SM3,
    Authority,
    HeldRevocation,
    RevocationPolicy,
    TrustList,
    Use,
    Validator,
    policies_allowing,
)
from tests.hub.envelope.signers import REQUEST, header_for
from tests.hub.trust.sm2_pki import PASSPHRASE, USER_ID, Sm2Signer, make_signer, needs_openssl, openssl

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from hub.envelope import Envelope
    from hub.trust import SigningKey

pytestmark = needs_openssl

MEMBER = "13510108MB1A00003J"
_CA = """
[ca]
default_ca = one
[one]
database = {name}.index
certificate = {name}.pem
private_key = {name}.key
default_md = sm3
default_crl_days = 7
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sm2paths")


@pytest.fixture(scope="module")
def signer(folder: Path) -> Sm2Signer:
    return make_signer(folder, f"/C=CN/O=成华区残疾人联合会/2.5.4.97=NTRCN-{MEMBER}/CN=envelopes")


def now_of(signer: Sm2Signer) -> datetime:
    """An instant after everything was made, however long the other tests take."""
    return signer.certificate_chain[0].not_valid_before_utc + timedelta(hours=1)


@pytest.fixture(scope="module")
def key(signer: Sm2Signer, folder: Path) -> SigningKey:
    """The key as a gateway loads it: encrypted in a file, with its chain."""
    (folder / "signer.key").chmod(0o600)
    chain = (folder / "signer.pem").read_bytes() + (folder / "authority.pem").read_bytes()
    (folder / "chain.pem").write_bytes(chain)
    opened = load_signing_key(folder / "signer.key", folder / "chain.pem", PASSPHRASE)
    assert opened.certificate_chain == signer.certificate_chain
    return opened


def crl(folder: Path, issuer: str, revoked: str = "") -> bytes:
    """Make a revocation list of an authority, signed by SM2 with SM3."""
    (folder / f"{issuer}.cnf").write_text(_CA.format(name=issuer), encoding="utf-8")
    (folder / f"{issuer}.index").write_text("", encoding="utf-8")
    command = ("ca", "-config", f"{issuer}.cnf", "-passin", f"pass:{PASSPHRASE.decode()}", "-sigopt", USER_ID)
    if revoked:
        openssl(folder, *command, "-revoke", f"{revoked}.pem")
    openssl(folder, *command, "-gencrl", "-out", f"{issuer}.crl")
    return openssl(folder, "crl", "-in", f"{issuer}.crl", "-outform", "DER")


def validator(signer: Sm2Signer, *crls: bytes, is_allowed: bool = True) -> Validator:
    begin = now_of(signer) - timedelta(days=1)
    authorities = tuple(
        Authority(certificate, is_root, frozenset({Use.ENVELOPE}), begin, None, RevocationPolicy.CRL)
        for certificate, is_root in ((signer.root, True), (signer.certificate_chain[1], False))
    )
    policies = policies_allowing([SM2_SM3] if is_allowed else [])
    return Validator(TrustList(authorities), HeldRevocation((), crls), policies=policies)


@pytest.fixture(scope="module")
def sealed(key: SigningKey, signer: Sm2Signer) -> Envelope:
    now = now_of(signer)
    header = header_for((REQUEST,), sent_at=now, expires_at=now + timedelta(hours=1))
    return seal_envelope(header, (REQUEST,), key)


def test_an_envelope_of_sm2_is_believed_down_to_its_root(
    sealed: Envelope, signer: Sm2Signer, folder: Path
) -> None:
    judge = validator(signer, crl(folder, "root"), crl(folder, "authority"))

    for _ in range(2):  # The second time the signer has been met before.
        signature = verify_signature(open_envelope(sealed.raw), judge.algorithms(Use.ENVELOPE))
        assert signature.algorithm == "SM2 with SM3"
    path = judge.validate(signature.chain, use=Use.ENVELOPE, at=now_of(signer))

    assert path.member_id == MEMBER
    assert path.path == (*signer.certificate_chain, signer.root)
    assert [answer.kind for answer in path.revocation] == ["crl", "crl"]


def test_it_is_refused_where_no_policy_names_sm2(sealed: Envelope, signer: Sm2Signer, folder: Path) -> None:
    judge = validator(signer, crl(folder, "root"), crl(folder, "authority"), is_allowed=False)

    with pytest.raises(EnvelopeError) as refused:
        verify_signature(open_envelope(sealed.raw), judge.algorithms(Use.ENVELOPE))
    assert refused.value.code == "envelope.algorithm_not_allowed"
    with pytest.raises(TrustError) as doubted:
        judge.validate(signer.certificate_chain, use=Use.ENVELOPE, at=now_of(signer))
    assert doubted.value.code == "trust.algorithm_not_allowed"
    assert "SM2" in doubted.value.detail


def test_every_kind_of_byte_of_it_is_guarded(sealed: Envelope, signer: Sm2Signer) -> None:
    allowed = validator(signer).algorithms(Use.ENVELOPE)
    for position in range(0, len(sealed.signature), 5):
        flipped = bytearray(sealed.signature)
        flipped[position] ^= 1 << (position % 8)
        with pytest.raises(EnvelopeError):
            verify_signature(replace(sealed, signature=bytes(flipped)), allowed)


def test_a_revoked_certificate_of_sm2_is_refused(signer: Sm2Signer, folder: Path) -> None:
    judge = validator(signer, crl(folder, "root"), crl(folder, "authority", revoked="signer"))

    with pytest.raises(TrustError) as refused:
        judge.validate(signer.certificate_chain, use=Use.ENVELOPE, at=now_of(signer))
    assert refused.value.code == "trust.certificate_revoked"


def test_a_revocation_list_of_another_authority_of_the_same_name_proves_nothing(
    signer: Sm2Signer, folder: Path, tmp_path: Path
) -> None:
    make_signer(tmp_path)
    judge = validator(signer, crl(folder, "root"), crl(tmp_path, "authority"))

    with pytest.raises(TrustError) as refused:
        judge.validate(signer.certificate_chain, use=Use.ENVELOPE, at=now_of(signer))
    assert refused.value.code == "trust.revocation_unknown"


def test_an_authority_of_the_same_name_and_another_key_is_not_believed(
    signer: Sm2Signer, folder: Path, tmp_path: Path
) -> None:
    forger = make_signer(tmp_path, f"/C=CN/O=forger/2.5.4.97=NTRCN-{MEMBER}/CN=envelopes")
    judge = validator(signer, crl(folder, "root"), crl(folder, "authority"))

    for chain in (forger.certificate_chain, (forger.certificate_chain[0], signer.certificate_chain[1])):
        with pytest.raises(TrustError) as refused:
            judge.validate(chain, use=Use.ENVELOPE, at=now_of(signer))
        assert refused.value.code in {"trust.unknown_authority", "trust.path_invalid"}
