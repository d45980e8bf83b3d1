# SPDX-License-Identifier: Apache-2.0
"""Stored answers offline, answers that may not be believed, and what openssl says of the same material."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx2
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from adapters.simulators.pki import TIME_HEADER
from hub.errors import TrustError
from hub.trust import OnlineRevocation, StoredRevocation, Use, Validator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pki import ServedPki

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def crl(pki: ServedPki, name: str, at: datetime | None = None) -> bytes:
    headers = {TIME_HEADER: at.isoformat()} if at else {}
    response = httpx2.get(f"{pki.url}/{name}/latest.crl", headers=headers, trust_env=False)
    response.raise_for_status()
    return response.content


def ocsp_answer(pki: ServedPki, label: str, service: str) -> bytes:
    certificate, issuer = pki.certificates(label)[:2]
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256()).build()
    body = request.public_bytes(serialization.Encoding.DER)
    url = f"{pki.url}/development/ocsp/{service}"
    response = httpx2.post(url, content=body, trust_env=False)
    response.raise_for_status()
    return response.content


def store_crls(pki: ServedPki, folder: Path, at: datetime | None = None) -> Path:
    for name in ("root", "envelope-ca"):
        (folder / f"{name}.crl").write_bytes(crl(pki, f"development/crls/{name}", at))
    return folder


def offline(pki: ServedPki, folder: Path) -> Validator:
    return Validator(pki.approved(), StoredRevocation(folder))


def test_the_answers_a_validation_relied_on_repeat_it_offline(pki: ServedPki, tmp_path: Path) -> None:
    at = datetime.now(UTC)
    chain = pki.certificates("labour-sign")
    online = Validator(pki.approved(), OnlineRevocation())
    path = online.validate(chain, use=Use.ENVELOPE, at=at)
    for index, answer in enumerate(path.revocation):
        (tmp_path / f"{index}.{answer.kind}").write_bytes(answer.der)

    again = offline(pki, tmp_path).validate(chain, use=Use.ENVELOPE, at=at)
    assert again.path == path.path
    assert [answer.der for answer in again.revocation] == [answer.der for answer in path.revocation]


def test_stored_answers_hold_at_their_time_and_at_no_other(pki: ServedPki, tmp_path: Path) -> None:
    then = datetime.now(UTC) - timedelta(days=40)
    validator = offline(pki, store_crls(pki, tmp_path, then))
    chain = pki.certificates("labour-sign")

    assert validator.validate(chain, use=Use.ENVELOPE, at=then).checked_at == then
    for elsewhen in (then - timedelta(days=2), then + timedelta(days=2)):
        with pytest.raises(TrustError) as refused:
            validator.validate(chain, use=Use.ENVELOPE, at=elsewhen)
        assert refused.value.code == "trust.revocation_unknown"


def test_what_was_signed_before_the_revocation_is_still_believed_for_that_time(
    pki: ServedPki, tmp_path: Path
) -> None:
    before = datetime.now(UTC) - timedelta(days=40)  # revoked ten days ago
    (tmp_path / "then").mkdir()
    chain = pki.certificates("labour-revoked")
    then = offline(pki, store_crls(pki, tmp_path / "then", before))
    assert then.validate(chain, use=Use.ENVELOPE, at=before).leaf == chain[0]

    (tmp_path / "today").mkdir()
    today = offline(pki, store_crls(pki, tmp_path / "today"))
    with pytest.raises(TrustError) as refused:
        today.validate(chain, use=Use.ENVELOPE, at=datetime.now(UTC))
    assert refused.value.code == "trust.certificate_revoked"


@pytest.mark.parametrize("forger", ["development/crls/forged", "rogue/crls/envelope-ca"])
def test_a_crl_somebody_else_signed_in_the_authority_s_name_is_not_believed(
    pki: ServedPki, tmp_path: Path, forger: str
) -> None:
    store_crls(pki, tmp_path)
    (tmp_path / "envelope-ca.crl").write_bytes(crl(pki, forger))
    for label in ("labour-sign", "labour-revoked"):
        with pytest.raises(TrustError) as refused:
            offline(pki, tmp_path).validate(pki.certificates(label), use=Use.ENVELOPE, at=datetime.now(UTC))
        assert refused.value.code == "trust.revocation_unknown"


def test_a_crl_with_a_changed_byte_is_not_believed(pki: ServedPki, tmp_path: Path) -> None:
    store_crls(pki, tmp_path)
    changed = bytearray((tmp_path / "envelope-ca.crl").read_bytes())
    changed[-1] ^= 1
    (tmp_path / "envelope-ca.crl").write_bytes(changed)
    with pytest.raises(TrustError) as refused:
        offline(pki, tmp_path).validate(
            pki.certificates("labour-sign"), use=Use.ENVELOPE, at=datetime.now(UTC)
        )
    assert refused.value.code == "trust.revocation_unknown"


@pytest.mark.parametrize("service", ["stranger", "usurper"])
def test_an_ocsp_answer_of_an_unappointed_responder_is_not_believed(
    pki: ServedPki, tmp_path: Path, service: str
) -> None:
    (tmp_path / "root.crl").write_bytes(crl(pki, "development/crls/root"))
    (tmp_path / "leaf.ocsp").write_bytes(ocsp_answer(pki, "labour-sign", service))
    chain = pki.certificates("labour-sign")
    with pytest.raises(TrustError) as refused:
        offline(pki, tmp_path).validate(chain, use=Use.ENVELOPE, at=datetime.now(UTC))
    assert refused.value.code == "trust.revocation_unknown"

    (tmp_path / "leaf.ocsp").write_bytes(ocsp_answer(pki, "labour-sign", "envelope-ca"))
    path = offline(pki, tmp_path).validate(chain, use=Use.ENVELOPE, at=datetime.now(UTC))
    assert path.leaf == chain[0]


def test_an_ocsp_answer_about_another_certificate_says_nothing(pki: ServedPki, tmp_path: Path) -> None:
    (tmp_path / "root.crl").write_bytes(crl(pki, "development/crls/root"))
    (tmp_path / "leaf.ocsp").write_bytes(ocsp_answer(pki, "tax-sign", "envelope-ca"))
    with pytest.raises(TrustError) as refused:
        offline(pki, tmp_path).validate(
            pki.certificates("labour-sign"), use=Use.ENVELOPE, at=datetime.now(UTC)
        )
    assert refused.value.code == "trust.revocation_unknown"


def test_the_newer_of_two_stored_answers_decides(pki: ServedPki, tmp_path: Path) -> None:
    """A good answer from just before a revocation does not hide the one from just after it."""
    certificate, issuer = pki.certificates("labour-revoked-soon")
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256()).build()
    body = request.public_bytes(serialization.Encoding.DER)
    revoked_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    for name, at in (("a-good", datetime.now(UTC)), ("b-revoked", revoked_at), ("c-good", datetime.now(UTC))):
        response = httpx2.post(
            f"{pki.url}/development/ocsp/envelope-ca",
            content=body,
            headers={TIME_HEADER: at.replace(microsecond=0).isoformat()},
            trust_env=False,
        )
        (tmp_path / f"{name}.ocsp").write_bytes(response.content)
    (tmp_path / "root.crl").write_bytes(crl(pki, "development/crls/root", revoked_at))
    with pytest.raises(TrustError) as refused:
        offline(pki, tmp_path).validate([certificate, issuer], use=Use.ENVELOPE, at=revoked_at)
    assert refused.value.code == "trust.certificate_revoked"


def test_unreadable_stored_answers_are_reported(pki: ServedPki, tmp_path: Path) -> None:
    store_crls(pki, tmp_path)
    (tmp_path / "broken.crl").write_bytes(b"rubbish")
    with pytest.raises(TrustError, match="no CRL"):
        StoredRevocation(tmp_path)


@needs_openssl
@pytest.mark.parametrize(
    "label",
    [
        "labour-sign",
        "labour-p384",
        "labour-rsa",
        "labour-ed25519",
        "labour-revoked",
        "labour-revoked-crl-only",
        "labour-expired",
        "labour-not-yet-valid",
        "labour-under-revoked-ca",
        "rogue/labour-sign",
    ],
)
def test_openssl_verify_comes_to_the_same_result(pki: ServedPki, tmp_path: Path, label: str) -> None:
    chain_names = ["root", "envelope-ca", "revoked-ca"]
    for name in chain_names:
        url = f"{pki.url}/development/crls/{name}/latest.crl.pem"
        (tmp_path / f"{name}.pem").write_bytes(httpx2.get(url, trust_env=False).content)
        (tmp_path / f"{name}.crl").write_bytes(crl(pki, f"development/crls/{name}"))
    lists = [part for name in chain_names for part in ("-CRLfile", str(tmp_path / f"{name}.pem"))]
    command = ["openssl", "verify", "-CAfile", str(pki.certificate("root")), "-crl_check_all", *lists]
    command += ["-untrusted", str(pki.chain(label)), str(pki.certificate(label))]
    theirs = subprocess.run(command, capture_output=True, text=True, check=False)

    try:
        offline(pki, tmp_path).validate(pki.certificates(label), use=Use.ENVELOPE, at=datetime.now(UTC))
        is_believed = True
    except TrustError:
        is_believed = False
    assert is_believed == (theirs.returncode == 0), theirs.stderr
    assert is_believed == (label in {"labour-sign", "labour-p384", "labour-rsa", "labour-ed25519"})


@needs_openssl
@pytest.mark.parametrize(("label", "status"), [("labour-sign", "good"), ("labour-revoked", "revoked")])
def test_openssl_ocsp_believes_the_same_responder(pki: ServedPki, label: str, status: str) -> None:
    certificate = str(pki.certificate(label))
    command = ["openssl", "ocsp", "-issuer", str(pki.certificate("envelope-ca")), "-cert", certificate]
    command += ["-url", f"{pki.url}/development/ocsp/envelope-ca", "-CAfile", str(pki.certificate("root"))]
    command += ["-verify_other", str(pki.certificate("envelope-ca")), "-no_nonce"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Response verify OK" in done.stderr, done.stderr
    assert f"{certificate}: {status}" in done.stdout
