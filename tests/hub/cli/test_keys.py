# SPDX-License-Identifier: Apache-2.0
"""`heliograph keys` as an operator runs it: one process a command, the secret by descriptor or file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from hub.custody import read_request
from tests.hub.custody.authority import TestAuthority
from tests.softhsm import PIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.softhsm import SoftHsm

HIDDEN = "correct horse battery"
AUTHORITY = TestAuthority()
SUBJECT = ("--organization", "成华区数据局", "--common-name", "报文签名", "--member", "11510108MB1A00001J")


def run(folder: Path, *words: str, secret: str = HIDDEN) -> subprocess.CompletedProcess[str]:
    """Run one command; its secret can be read from descriptor 3."""
    reading, writing = os.pipe()
    os.write(writing, secret.encode())
    os.close(writing)
    try:
        return subprocess.run(
            [
                "bash",
                "-c",
                f'exec 3<&{reading}; exec "$@"',
                "bash",
                sys.executable,
                "-m",
                "hub.cli",
                "keys",
                *words,
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            pass_fds=(reading,),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(reading)


def succeed(folder: Path, *words: str, secret: str = HIDDEN) -> str:
    done = run(folder, *words, secret=secret)
    assert done.returncode == 0, done.stderr
    assert secret not in done.stdout + done.stderr
    return done.stdout


def told(folder: Path, *words: str) -> Any:
    return json.loads(succeed(folder, *words, "--json"))


def write_answer(folder: Path, request: str) -> None:
    leaf = AUTHORITY.answer(read_request((folder / request).read_bytes()))
    sent = [AUTHORITY.root, AUTHORITY.certificate, leaf]
    (folder / "answer.p7b").write_bytes(pkcs7.serialize_certificates(sent, Encoding.DER))


def test_a_key_in_a_file_gets_its_certificate(tmp_path: Path) -> None:
    made = told(tmp_path, "generate", "hub.key.pem", "--algorithm", "p384", "--passphrase", "fd:3")
    assert made["algorithm"] == "p384"
    succeed(tmp_path, "request", "hub.key.pem", *SUBJECT, "--out", "hub.request.pem", "--passphrase", "fd:3")
    write_answer(tmp_path, "hub.request.pem")
    bring = (
        "import",
        "hub.key.pem",
        "answer.p7b",
        "--chain",
        "hub.chain.pem",
        "--request",
        "hub.request.pem",
        "--member",
        "11510108MB1A00001J",
        "--passphrase",
        "fd:3",
    )
    tried = told(tmp_path, *bring, "--dry-run")
    assert (tried["is_imported"], len(tried["certificates"])) == (False, 2)
    assert not (tmp_path / "hub.chain.pem").exists()
    assert "Written to hub.chain.pem" in succeed(tmp_path, *bring)
    (listed,) = told(tmp_path, "list", ".")
    assert (listed["name"], listed["certificate"]["days_left"]) == ("hub", 364)
    assert told(tmp_path, "show", "hub.chain.pem")[0]["serial"] == tried["certificates"][0]["serial"]

    before = told(tmp_path, "show", "hub.chain.pem")
    write_answer(tmp_path, "hub.request.pem")
    succeed(tmp_path, *bring)
    assert told(tmp_path, "show", "hub.chain.pem") != before
    assert told(tmp_path, "undo", "hub.chain.pem") == before


def test_a_key_in_a_token_gets_its_certificate(softhsm: SoftHsm, tmp_path: Path) -> None:
    uri = f"pkcs11:token={softhsm.shared_token()};object=by-command"
    where = ("--module", str(softhsm.module), "--passphrase", "fd:3")
    assert "by-command" in succeed(tmp_path, "generate", uri, *where, secret=PIN)
    succeed(tmp_path, "request", uri, *SUBJECT, "--out", "hub.request.pem", *where, secret=PIN)
    write_answer(tmp_path, "hub.request.pem")
    brought = succeed(tmp_path, "import", uri, "answer.p7b", "--chain", "hub.chain.pem", *where, secret=PIN)
    assert "Written to hub.chain.pem" in brought


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("generate", "a.key.pem", "--algorithm", "rsa1024", "--passphrase", "fd:3"), "settings.invalid"),
        (("generate", "a.key.pem", "--passphrase", HIDDEN), "settings.invalid"),
        (("generate", "a.key.pem", "--passphrase", "env:NOT_SET"), "settings.secret_missing"),
        (("generate", "pkcs11:token=t;object=o?pin-value=49152", "--passphrase", "fd:3"), "settings.invalid"),
        (("generate", "none/a.key.pem", "--passphrase", "fd:3"), "trust.key_unusable"),
        (("show", "none.pem"), "trust.key_unusable"),
        (("undo", "none.pem"), "trust.key_unusable"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code(
    tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    refused = run(tmp_path, *words, "--json")
    assert refused.returncode == 1, refused.stderr
    assert json.loads(refused.stdout)["code"] == code
    assert HIDDEN not in refused.stdout + refused.stderr
    assert "49152" not in refused.stdout + refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_key_the_list_says_so(tmp_path: Path) -> None:
    assert "There is no key" in succeed(tmp_path, "list", ".")
