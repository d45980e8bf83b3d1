# SPDX-License-Identifier: Apache-2.0
"""`heliograph trust explain`: what people and programs read, and the exit codes."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rich.cells import cell_len

from hub.cli import main
from hub.documents import typeset_proof
from hub.errors import Language, error_kinds
from tests.hub.documents.conftest import open_sealer, read_example
from tests.hub.verifier.stored import sealed_request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pki import ServedPki


@dataclass(frozen=True)
class Done:
    returncode: object
    stdout: str
    stderr: str


def lists_of(pki: ServedPki) -> list[str]:
    return ["--trust-list", str(pki.trust_list), "--trust-list-signer", str(pki.trust_list_signer)]


def explain(pki: ServedPki, file: Path, *options: str) -> Done:
    stdout, stderr = io.StringIO(), io.StringIO()
    arguments = ("heliograph", "trust", "explain", str(file), *lists_of(pki), *options)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setattr(sys, "argv", list(arguments))
        patch.delenv("COLUMNS", raising=False)
        with pytest.raises(SystemExit) as exit_:
            main()
    return Done(exit_.value.code, stdout.getvalue(), stderr.getvalue())


@pytest.mark.parametrize("language", Language)
def test_the_chain_is_drawn_root_first_with_every_certificate_its_checks_and_the_verdict(
    pki: ServedPki, language: Language
) -> None:
    done = explain(pki, pki.chain("labour-sign"), "--online", "--language", language.value)
    assert (done.returncode, done.stderr) == (0, "")
    titles = [
        "Heliograph 开发用根CA",
        "└─ Heliograph 开发用报文签名CA",
        "└─ 成华区人力资源和社会保障局 报文签名",
    ]
    lines = done.stdout.splitlines()
    found = [next(n for n, line in enumerate(lines) if line.strip() == title) for title in titles]
    assert found == sorted(found)
    for certificate in pki.certificates("labour-sign"):
        assert f"{certificate.serial_number:x}" in done.stdout
    assert "NTRCN-11510108MB1A00002M" in done.stdout
    assert "RFC 5280" in done.stdout
    assert "OCSP" in done.stdout
    assert "✗" not in done.stdout
    assert ("可信：" if language is Language.ZH else "Believed: ") in lines[-1] + lines[-2]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("labour-revoked", "trust.certificate_revoked"),
        ("labour-expired", "trust.certificate_expired"),
        ("labour-wrong-usage", "trust.usage_not_allowed"),
        ("labour-unlisted", "trust.unknown_authority"),
    ],
)
def test_a_refusal_names_the_check_and_the_cure_in_the_readers_language(
    pki: ServedPki, label: str, code: str, language: Language
) -> None:
    done = explain(pki, pki.chain(label), "--online", "--language", language.value)
    assert done.returncode == 1
    assert "✗" in done.stdout
    as_data = json.loads(explain(pki, pki.chain(label), "--online", "--json").stdout)["explanations"][0]
    failed = [f for one in as_data["path"] for f in one["findings"] if f["code"] is not None]
    assert code in {finding["code"] for finding in failed}
    flat = "".join(done.stdout.split())
    for cure in as_data["cures"][language.value]:
        assert "".join(cure.split()) in flat
    assert as_data["is_believed"] is False


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "label", ["labour-sign", "labour-unlisted", "labour-under-revoked-ca", "no-member-sign"]
)
def test_no_line_is_wider_than_eighty_columns_and_a_file_gets_neither_colour_nor_trailing_spaces(
    pki: ServedPki, label: str, language: Language
) -> None:
    text = explain(pki, pki.chain(label), "--online", "--language", language.value).stdout
    for line in text.splitlines():
        assert cell_len(line) <= 80, line
        assert line == line.rstrip()
        assert "\x1b" not in line


def test_a_terminal_gets_colour(pki: ServedPki) -> None:
    master, slave = pty.openpty()
    arguments = [sys.executable, "-m", "hub.cli", "trust", "explain", str(pki.certificate("labour-sign"))]
    arguments += lists_of(pki)
    environment = {**os.environ, "TERM": "xterm-256color"} | {"NO_COLOR": ""}
    with subprocess.Popen(arguments, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        while chunk := _read(master):
            shown += chunk
        process.wait(timeout=60)
    os.close(master)
    assert b"\x1b[" in shown
    assert process.returncode == 1


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other side has closed.
        return b""


def test_der_and_a_chain_beside_it_are_read_too(pki: ServedPki, tmp_path: Path) -> None:
    leaf, *others = pki.certificates("labour-unlisted")
    (tmp_path / "leaf.der").write_bytes(leaf.public_bytes(Encoding.DER))
    (tmp_path / "others.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in others))
    alone = _data(explain(pki, tmp_path / "leaf.der", "--online", "--json"))
    helped = _data(
        explain(pki, tmp_path / "leaf.der", "--online", "--json", "--chain", str(tmp_path / "others.pem"))
    )
    assert (len(alone["path"]), len(helped["path"])) == (1, 3)


def test_a_container_is_explained_by_its_signer_when_it_was_signed(pki: ServedPki, tmp_path: Path) -> None:
    envelope = sealed_request(pki)
    (tmp_path / "request.asice").write_bytes(envelope.raw)
    done = explain(pki, tmp_path / "request.asice", "--online", "--json")
    told = _data(done)
    assert done.returncode == 0
    assert told["use"] == "envelope"
    assert told["path"][0]["serial"] == f"{pki.certificates('federation-sign')[0].serial_number:x}"


def test_a_sealed_document_is_explained_offline_with_the_answers_that_lie_in_it(
    pki: ServedPki, tmp_path: Path
) -> None:
    with open_sealer(pki, "labour-seal") as sealer:
        (tmp_path / "proof.pdf").write_bytes(sealer.seal(typeset_proof(read_example())))
    done = explain(pki, tmp_path / "proof.pdf", "--json")
    told = _data(done)
    assert (done.returncode, done.stderr) == (0, "")
    assert told["use"] == "seal"
    assert told["path"][0]["serial"] == f"{pki.certificates('labour-seal')[0].serial_number:x}"


def test_the_instant_decides(pki: ServedPki) -> None:
    certificate = x509.load_pem_x509_certificate(pki.certificate("labour-expired").read_bytes())
    past = f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%S}"
    now = _data(explain(pki, pki.chain("labour-expired"), "--json"))
    then = _data(explain(pki, pki.chain("labour-expired"), "--json", "--at", past))
    assert "trust.certificate_expired" in _codes(now)
    assert "trust.certificate_expired" not in _codes(then)


def test_another_use_is_another_question(pki: ServedPki) -> None:
    stamped = ("--online", "--json", "--use", "timestamp")
    assert explain(pki, pki.chain("tsa"), *stamped).returncode == 0
    assert "trust.usage_not_allowed" in _codes(_data(explain(pki, pki.chain("labour-sign"), *stamped)))


def test_without_answers_the_reader_is_told_how_to_get_them(pki: ServedPki) -> None:
    done = explain(pki, pki.chain("labour-sign"))
    assert done.returncode == 1
    assert "--online" in done.stderr
    assert "--revocation" in done.stderr
    assert "at hand" in done.stdout
    assert "names no OCSP service" not in done.stdout  # It does name one; nobody was asked.


def test_what_is_no_certificate_cannot_be_explained(pki: ServedPki, tmp_path: Path) -> None:
    for number, content in enumerate(
        [b"", b"hello", b"%PDF-1.7", b"PK\x03\x04", b"-----BEGIN CERTIFICATE-----"]
    ):
        (tmp_path / f"{number}").write_bytes(content)
        done = explain(pki, tmp_path / f"{number}", "--online")
        assert done.returncode == 2, done
        assert any(code in done.stderr for code in error_kinds())
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "options", [("--language", "fr"), ("--use", "everything"), ("--online", "--revocation", ".")]
)
def test_options_that_make_no_sense_are_refused(pki: ServedPki, options: tuple[str, ...]) -> None:
    assert explain(pki, pki.chain("labour-sign"), *options).returncode == 2


def _data(done: Done) -> dict[str, Any]:
    (told,) = json.loads(done.stdout)["explanations"]
    return dict(told)


def _codes(told: dict[str, Any]) -> set[str]:
    return {f["code"] for one in told["path"] for f in one["findings"] if f["code"] is not None}
