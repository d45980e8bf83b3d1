# SPDX-License-Identifier: Apache-2.0
"""The authority of docs/trust.md section 11, made by its very commands, and section 12 rehearsed with it."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from hub.clock import SystemClock, format_instant
from hub.custody import load_signing_key
from hub.errors import TrustError
from hub.evidence.verification import verify_file
from hub.identifiers import MemberId
from hub.trust import Authority, OnlineRevocation, RevocationPolicy, TrustList, Use, Validator
from hub.trustlist import read_pinned, read_trust_lists
from tests.hub.verifier.stored import sealed_request, store_revocation
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pki import ServedPki

PAGE = Path(__file__).parents[3] / "docs" / "trust.md"


def blocks_of(section: int) -> list[tuple[str, str]]:
    """Return the fenced blocks of a section, each with its language."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}. ")[2].partition("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


BLOCKS = blocks_of(11)

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
    with own_authority(tmp_path_factory.mktemp("authority")) as made:
        yield made


@contextmanager
def own_authority(folder: Path) -> Iterator[OwnAuthority]:
    """Run the commands of the section in a folder, and its services as long as the context lasts."""
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


@dataclass(frozen=True)
class Rehearsal:
    """A change from the development PKI to the authority, by the commands of section 12."""

    authority: OwnAuthority
    pki: ServedPki

    def run(self, command: str) -> None:
        self.authority.run(command.replace("heliograph ", f"{sys.executable} -m hub.cli "))

    def is_believed(self, chain: Path) -> bool:
        folder = self.authority.folder
        lists = read_trust_lists(folder / "trust-lists", read_pinned(folder / "development.pem"))
        certificates = x509.load_pem_x509_certificates(chain.read_bytes())
        validator = Validator(lists, OnlineRevocation())
        return validator.explain(certificates, use=Use.ENVELOPE, at=SystemClock().now()).is_believed

    def edit(self, *, development: bool) -> None:
        """Do by program what the section tells an operator to do with the draft."""
        folder = self.authority.folder
        draft = json.loads((folder / "draft.json").read_text(encoding="utf-8"))
        since = format_instant(SystemClock().now() - timedelta(days=1))
        ours = [
            {
                "certificate": (folder / name / "certificate.pem").read_text(),
                "name": name,
                "approved_from": since,
                "approved_until": None,
                "is_anchor": name == "root",
                "uses": [] if name == "root" else ["envelope"],
                "revocation": "crl" if name == "root" else "ocsp",
                "reaches_below": False,
                "longest_answer_age_seconds": None,
                "unsafe_accept_unknown_revocation": False,
            }
            for name in ("root", "issuing")
        ]
        draft["signers"] = [(folder / "signer.pem").read_text()]
        draft["authorities"] = [*(draft["authorities"] if development else []), *ours]
        if not development:
            draft["time_stamping_authorities"] = []
        (folder / "draft.json").write_text(json.dumps(draft), encoding="utf-8")


def test_the_development_pki_is_replaced_by_the_commands_of_the_page(
    pki: ServedPki, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with own_authority(tmp_path_factory.mktemp("change")) as authority:
        folder, rehearsal = authority.folder, Rehearsal(authority, pki)
        shutil.copytree(pki.trust_list, folder / "trust-lists")
        shutil.copy(pki.trust_list_signer, folder / "development.pem")
        shutil.copy(pki.key("trust-list"), folder / "development.key.pem")
        (folder / "development.passphrase").write_bytes(pki.passphrase)
        shutil.copy(folder / "department" / "chain.pem", folder / "department.chain.pem")
        theirs, ours = pki.chain("labour-sign"), folder / "department" / "chain.pem"
        old, answers = sealed_request(pki), store_revocation(pki, ["federation-sign"], folder / "answers")
        make_signer, draft, publish, look, take_out = [
            block for language, block in blocks_of(12) if language == "sh"
        ]
        assert (rehearsal.is_believed(theirs), rehearsal.is_believed(ours)) == (True, False)
        for command in (make_signer, draft):
            rehearsal.run(command)
        rehearsal.edit(development=True)
        rehearsal.run(publish)
        assert (rehearsal.is_believed(theirs), rehearsal.is_believed(ours)) == (True, True)
        rehearsal.run(look)
        rehearsal.edit(development=False)
        rehearsal.run(take_out)
        assert (rehearsal.is_believed(theirs), rehearsal.is_believed(ours)) == (False, True)
        lists = read_trust_lists(folder / "trust-lists", read_pinned(folder / "development.pem"))
        assert len(lists.versions) == 3
        report = verify_file(old.raw, lists, answers, at=datetime.now(UTC))
        assert report.is_valid, report.steps
