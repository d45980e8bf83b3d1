# SPDX-License-Identifier: Apache-2.0
"""The authority of docs/trust.md section 11, made by the very commands that stand there, serves the hub."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from hub.custody import load_signing_key
from hub.errors import TrustError
from hub.identifiers import MemberId
from hub.trust import Authority, OnlineRevocation, RevocationPolicy, TrustList, Use, Validator
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[3] / "docs" / "trust.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("\n## 11. ")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@dataclass(frozen=True)
class OwnAuthority:
    """The folder the commands were run in, and where its services run."""

    folder: Path
    environment: dict[str, str]

    def run(self, command: str) -> None:
        done = subprocess.run(
            ["sh", "-e", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / name / "certificate.pem").read_bytes())

    def chain(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates((self.folder / "department" / "chain.pem").read_bytes())

    def validator(self, revocation: RevocationPolicy = RevocationPolicy.EITHER) -> Validator:
        root = _row(
            self.certificate("root"), is_anchor=True, uses=frozenset(), revocation=RevocationPolicy.CRL
        )
        issuing = _row(
            self.certificate("issuing"),
            is_anchor=False,
            uses=frozenset({Use.ENVELOPE}),
            revocation=revocation,
        )
        return Validator(TrustList((root, issuing)), OnlineRevocation())


def _row(
    certificate: x509.Certificate, *, is_anchor: bool, uses: frozenset[Use], revocation: RevocationPolicy
) -> Authority:
    return Authority(
        certificate=certificate,
        is_anchor=is_anchor,
        uses=uses,
        approved_from=datetime.now(UTC) - timedelta(days=1),
        approved_until=None,
        revocation=revocation,
    )


def commands(*, revoke: bool) -> list[str]:
    """Return the shell blocks of the section, the last of which revokes."""
    shell = [block for language, block in BLOCKS if language == "sh"]
    assert [("-revoke" in block) for block in shell] == [False] * (len(shell) - 1) + [True]
    return shell[-1:] if revoke else shell[:-1]


@contextmanager
def serving_crls(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def answering(authority: OwnAuthority, port: int) -> Iterator[None]:
    """Run the responder of the section, on a port of our own."""
    (block,) = [block for language, block in BLOCKS if language == "text"]
    words = block.replace("\\\n", " ").replace("2560", str(port)).split()
    with subprocess.Popen(
        words,
        cwd=authority.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            # A connection without a question would make it wait, so it is not probed but listened to.
            assert process.stdout is not None
            assert any("waiting for OCSP client connections" in line for line in process.stdout)
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnAuthority]:
    folder = tmp_path_factory.mktemp("authority")
    (settings,) = [block for language, block in BLOCKS if language == "ini"]
    (folder / "ca.cnf").write_text(settings, encoding="utf-8")
    (folder / "public").mkdir()
    port = free_port()
    with serving_crls(folder / "public") as crl_url:
        environment = {**os.environ, "OCSP_URL": f"http://127.0.0.1:{port}", "CRL_URL": crl_url}
        made = OwnAuthority(folder, environment)
        script = "\n".join(commands(revoke=False))
        made.run(re.sub(r"^export OCSP_URL=.*$", "", script, flags=re.MULTILINE))
        with answering(made, port):
            yield made


@pytest.mark.parametrize("revocation", RevocationPolicy)
def test_the_hub_believes_a_departments_certificate_of_it(
    authority: OwnAuthority, revocation: RevocationPolicy
) -> None:
    path = authority.validator(revocation).validate(authority.chain(), use=Use.ENVELOPE, at=datetime.now(UTC))
    assert path.member_id == MemberId("11510108MB1A00002M")
    assert len(path.path) == 3


def test_the_departments_key_opens_and_signs(authority: OwnAuthority) -> None:
    folder = authority.folder / "department"
    passphrase = (folder / "passphrase").read_bytes().strip()
    key = load_signing_key(folder / "key.pem", folder / "chain.pem", passphrase)
    assert key.sign(b"message")


def test_no_key_is_readable_by_others_and_only_the_responders_is_unencrypted(authority: OwnAuthority) -> None:
    for key in authority.folder.rglob("*key.pem"):
        assert key.stat().st_mode & 0o077 == 0
        assert (b"ENCRYPTED" in key.read_bytes()) == (key.name != "ocsp-key.pem")


def test_it_is_believed_for_nothing_else_than_the_list_says(authority: OwnAuthority) -> None:
    with pytest.raises(TrustError) as refused:
        authority.validator().validate(authority.chain(), use=Use.SEAL, at=datetime.now(UTC))
    assert refused.value.code == "trust.usage_not_allowed"


def test_a_certificate_it_takes_back_is_refused_by_its_crl(authority: OwnAuthority) -> None:
    validator = authority.validator(RevocationPolicy.CRL)
    validator.validate(authority.chain(), use=Use.ENVELOPE, at=datetime.now(UTC))
    (crl,) = [block for block in commands(revoke=False) if "public/issuing.crl" in block]
    for command in (*commands(revoke=True), crl):
        authority.run(command)
    with pytest.raises(TrustError) as refused:
        authority.validator(RevocationPolicy.CRL).validate(
            authority.chain(), use=Use.ENVELOPE, at=datetime.now(UTC) + timedelta(seconds=2)
        )
    assert refused.value.code == "trust.certificate_revoked"
