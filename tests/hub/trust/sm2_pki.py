# SPDX-License-Identifier: Apache-2.0
"""SM2 keys and certificates, made by the `openssl` command."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from hub.trust import SM2_SM3
from hub.trust.sm2 import DEFAULT_USER_ID, Sm2PrivateKey

if TYPE_CHECKING:
    from pathlib import Path

    from hub.trust import SignatureAlgorithm

PASSPHRASE = b"only for a test"
USER_ID = f"distid:{DEFAULT_USER_ID.decode()}"
_LEAF = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,nonRepudiation\n"
_AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
_KEY_IDENTIFIERS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@dataclass(frozen=True)
class Sm2Signer:
    """A signing key whose chain is of SM2 from its certificate up to the root."""

    private_key: Sm2PrivateKey
    certificate_chain: tuple[x509.Certificate, ...]
    root: x509.Certificate
    algorithm: SignatureAlgorithm = SM2_SM3

    def sign(self, data: bytes) -> bytes:
        return self.private_key.sign(data)

    def snapshot(self) -> Sm2Signer:
        return self


def openssl(folder: Path, *arguments: str, is_expected_to_fail: bool = False) -> bytes:
    run = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=False)
    assert (run.returncode != 0) is is_expected_to_fail, run.stderr
    return run.stdout


def make_key(folder: Path, name: str, algorithm: tuple[str, ...] = ("-algorithm", "SM2")) -> bytes:
    """Make an encrypted private key in `<name>.key`."""
    passphrase = f"pass:{PASSPHRASE.decode()}"
    openssl(folder, "genpkey", *algorithm, "-aes256", "-pass", passphrase, "-out", f"{name}.key")
    return (folder / f"{name}.key").read_bytes()


def certify(
    folder: Path, name: str, issuer: str | None, *, subject: str, extensions: str
) -> x509.Certificate:
    """Issue `<name>.pem` for `<name>.key`, signed by SM2 with SM3; a root where there is no issuer."""
    passphrase = ("-passin", f"pass:{PASSPHRASE.decode()}")
    (folder / f"{name}.ext").write_text(extensions + (_KEY_IDENTIFIERS if issuer else ""), encoding="utf-8")
    openssl(
        *(folder, "req", "-new", "-key", f"{name}.key", *passphrase, "-utf8", "-subj", subject),
        *("-sm3", "-sigopt", USER_ID, "-out", f"{name}.csr"),
    )
    signer = ("-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key") if issuer else ("-signkey", f"{name}.key")
    openssl(
        *(folder, "x509", "-req", "-in", f"{name}.csr", *signer, *passphrase, "-days", "3650", "-sm3"),
        *("-sigopt", USER_ID, "-vfyopt", USER_ID, "-extfile", f"{name}.ext", "-out", f"{name}.pem"),
    )
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


def make_signer(folder: Path, subject: str = "/CN=成华区残疾人联合会") -> Sm2Signer:
    """Make a root, an authority and a signer."""
    for name in ("root", "authority", "signer"):
        make_key(folder, name)
    root = certify(folder, "root", None, subject="/CN=SM2 root", extensions=_AUTHORITY)
    authority = certify(folder, "authority", "root", subject="/CN=SM2 authority", extensions=_AUTHORITY)
    leaf = certify(folder, "signer", "authority", subject=subject, extensions=_LEAF)
    key = Sm2PrivateKey((folder / "signer.key").read_bytes(), PASSPHRASE)
    return Sm2Signer(key, (leaf, authority), root)
