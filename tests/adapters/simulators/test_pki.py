# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx2
import pytest
from cryptography import x509

from adapters.simulators.pki import (
    PASSPHRASE_VARIABLE,
    make_development_pki,
    open_development_pki,
    serve,
)
from hub.custody import load_signing_key
from hub.trust import OnlineRevocation, Use, Validator
from tests.pki import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pki import ServedPki

SECRET = b"a secret of this test"


def test_every_key_lies_encrypted_and_readable_by_its_owner_only(pki: ServedPki) -> None:
    keys = list((pki.folder / "keys").rglob("*.pem"))
    assert len(keys) > 20
    for key in keys:
        assert key.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_the_passphrase_is_written_nowhere(pki: ServedPki) -> None:
    for path in pki.folder.rglob("*"):
        if path.is_file():
            assert pki.passphrase not in path.read_bytes(), path


def test_without_test_cases_there_is_nothing_to_refuse(tmp_path: Path) -> None:
    pki = make_development_pki(tmp_path, free_port(), SECRET)

    labels = {path.name.removesuffix(".pem") for path in (tmp_path / "chains").iterdir()}
    assert {"labour-sign", "labour-seal", "hub-sign", "tsa"} <= labels
    assert not any(label.startswith(("labour-revoked", "rogue")) for label in labels)
    assert len(pki.approved().authorities) == 4


def test_a_pki_is_found_again_and_served_by_a_process_of_its_own(tmp_path: Path) -> None:
    made = make_development_pki(tmp_path, free_port(), SECRET)
    pki = open_development_pki(tmp_path)
    assert pki == made
    command = [sys.executable, "-m", "adapters.simulators.pki", str(tmp_path)]
    environment = {**os.environ, PASSPHRASE_VARIABLE: SECRET.decode()}
    with subprocess.Popen(command, env=environment) as process:
        try:
            wait_until_answering(f"{pki.url}/development/crls/root/latest.crl")
            signer = load_signing_key(pki.key("labour-sign"), pki.chain("labour-sign"), SECRET)
            validator = Validator(pki.approved(), OnlineRevocation())
            chain = signer.certificate_chain
            path = validator.validate(chain, use=Use.ENVELOPE, at=datetime.now(UTC))
            assert path.member_id == "11510108MB1A00002M"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10)


def wait_until_answering(url: str) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            httpx2.get(url, trust_env=False).raise_for_status()
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def test_the_process_wants_a_passphrase_and_a_folder() -> None:
    environment = {name: value for name, value in os.environ.items() if name != PASSPHRASE_VARIABLE}
    command = [sys.executable, "-m", "adapters.simulators.pki", "somewhere"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert PASSPHRASE_VARIABLE in done.stderr


def test_serving_again_shows_the_same_certificates(tmp_path: Path) -> None:
    """An authority's answers carry its responder's certificate; it must not be issued anew at each start."""
    pki = make_development_pki(tmp_path, free_port(), SECRET)
    request = _time_stamp_request()
    tokens = []
    for _ in range(2):
        with serve(pki, SECRET):
            response = httpx2.post(pki.time_stamp_url, content=request, trust_env=False)
            tokens.append(response.raise_for_status().content)
    tsa = x509.load_pem_x509_certificate(pki.certificate("tsa").read_bytes())
    for token in tokens:
        assert tsa.signature in token


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_accepts_a_time_stamp(pki: ServedPki, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"data")
    query, answer = str(tmp_path / "query.tsq"), tmp_path / "answer.tsr"
    openssl("ts", "-query", "-data", str(tmp_path / "data"), "-sha256", "-cert", "-out", query)
    with open(query, "rb") as file:  # noqa: PTH123 (the path is openssl's argument too)
        response = httpx2.post(pki.time_stamp_url, content=file.read(), trust_env=False)
    answer.write_bytes(response.raise_for_status().content)
    trust = ["-CAfile", str(pki.certificate("root")), "-untrusted", str(pki.certificate("seal-ca"))]
    done = openssl("ts", "-verify", "-queryfile", query, "-in", str(answer), *trust)
    assert "Verification: OK" in done


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _time_stamp_request() -> bytes:
    """A request for SHA-256 of nothing (RFC 3161 section 2.4.1), in DER."""
    digest = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    algorithm = bytes.fromhex("300d06096086480165030402010500")
    imprint = b"\x30" + bytes([len(algorithm) + 34]) + algorithm + b"\x04\x20" + digest
    body = b"\x02\x01\x01" + imprint + b"\x01\x01\xff"
    return b"\x30" + bytes([len(body)]) + body
