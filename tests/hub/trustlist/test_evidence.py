# SPDX-License-Identifier: Apache-2.0
"""An authority leaves the list: what it vouched for stays verifiable, offline, and nothing new passes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub.documents import typeset_proof
from hub.evidence.verification import verify_file
from hub.trustlist import (
    TrustListHistory,
    check_history,
    compose,
    encode_document,
    file_name,
    read_pinned,
    sign_trust_list,
)
from tests.hub.documents.conftest import NOTICE, open_sealer, read_example
from tests.hub.verifier.stored import now, sealed_request, store_revocation

if TYPE_CHECKING:
    from pathlib import Path

    from hub.envelope import Envelope
    from hub.trust import VerificationReport
    from tests.pki import ServedPki


@dataclass(frozen=True)
class Evidence:
    """What an auditor has: files of the days of list 1, and the lists.

    Attributes:
        folder: `request.asice`, `proof.pdf`, `revocation/`, `lists/` with both versions, `signer.pem`.
        history: both versions; the second, an hour later, names neither issuing authority any more.
        new: a message signed after the second list.
    """

    folder: Path
    history: TrustListHistory
    request: Envelope
    new: Envelope


@pytest.fixture(scope="module")
def evidence(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("evidence")
    store_revocation(pki, ["federation-sign"], folder / "revocation")
    request = sealed_request(pki)
    (folder / "request.asice").write_bytes(request.raw)
    with open_sealer(pki, "labour-seal") as sealer:
        (folder / "proof.pdf").write_bytes(sealer.seal(typeset_proof(read_example(), notice=NOTICE)))

    first = pki.trust_lists().current
    roots = tuple(row for row in first.document.authorities if row.is_anchor)
    left = first.document.model_copy(update={"authorities": roots, "time_stamping_authorities": ()})
    later = now() + timedelta(hours=1)
    document = compose(left, first, issued_at=later, next_update=later + timedelta(days=365))
    second = sign_trust_list(document, first.operator, pki.signer("trust-list"))
    (folder / "lists").mkdir()
    for version in (first, second):
        (folder / "lists" / file_name(version.sequence)).write_bytes(version.raw)
    (folder / "signer.pem").write_bytes(pki.trust_list_signer.read_bytes())
    history = check_history([first, second], read_pinned(pki.trust_list_signer))
    new = sealed_request(pki, sent_at=later + timedelta(hours=1))
    (folder / "new.asice").write_bytes(new.raw)
    return Evidence(folder, history, request, new)


def failed(report: VerificationReport) -> set[str | None]:
    return {step.code for step in report.steps if not step.is_passed}


def test_evidence_of_the_days_of_list_1_is_verified_offline_after_list_2(evidence: Evidence) -> None:
    in_ten_days = now() + timedelta(days=10)
    assert evidence.history.of(in_ten_days).sequence == 2
    for name in ("request.asice", "proof.pdf"):
        file = evidence.folder / name
        report = verify_file(file, evidence.history, evidence.folder / "revocation", at=in_ten_days)
        assert report.is_valid, [step for step in report.steps if not step.is_passed]


def test_a_message_signed_after_list_2_is_refused(evidence: Evidence) -> None:
    at = evidence.new.header.sent_at
    report = verify_file(evidence.new.raw, evidence.history, evidence.folder / "revocation", at=at)
    assert "trust.unknown_authority" in failed(report)


def test_the_list_of_today_alone_would_unmake_all_evidence(evidence: Evidence) -> None:
    """What systems do that know but their present configuration."""
    today = evidence.history.current.trust_list
    for name in ("request.asice", "proof.pdf"):
        report = verify_file(evidence.folder / name, today, evidence.folder / "revocation", at=now())
        assert not report.is_valid


def heliograph(evidence: Evidence, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", "verify", *arguments],
        cwd=evidence.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


TRUST = ("--trust-list", "lists", "--trust-list-signer", "signer.pem", "--revocation", "revocation")


@pytest.mark.parametrize("name", ["request.asice", "proof.pdf"])
def test_the_command_line_takes_a_folder_of_versions_and_the_signer(evidence: Evidence, name: str) -> None:
    done = heliograph(evidence, name, *TRUST, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["steps"]
    assert heliograph(evidence, "new.asice", *TRUST).returncode == 1


def test_the_version_of_the_day_alone_is_enough(evidence: Evidence) -> None:
    alone = ("--trust-list", "lists/trust-list-000001.asice", *TRUST[2:])
    assert heliograph(evidence, "request.asice", *alone).returncode == 0


def test_a_version_of_a_later_day_judges_nothing_from_before_it(evidence: Evidence) -> None:
    later = ("--trust-list", "lists/trust-list-000002.asice", *TRUST[2:])
    done = heliograph(evidence, "request.asice", *later)
    assert done.returncode == 1
    assert "trust.trust_list_not_next" in done.stdout


def test_a_list_is_not_believed_without_its_signer_or_unsigned(evidence: Evidence) -> None:
    unsigned = evidence.folder / "trust-list.json"
    unsigned.write_bytes(encode_document(evidence.history.versions[0].document))
    done = heliograph(evidence, "request.asice", "--trust-list", "lists")
    assert (done.returncode, "trust.trust_list_untrusted" in done.stderr) == (1, True)
    done = heliograph(evidence, "request.asice", "--trust-list", "trust-list.json", *TRUST[2:])
    assert (done.returncode, "trust.trust_list_untrusted" in done.stderr) == (1, True)
    assert "--unsafe-unsigned-list" in done.stderr
    done = heliograph(evidence, "request.asice", *TRUST, "--unsafe-unsigned-list", "trust-list.json")
    assert done.returncode == 2, "one or the other"
    done = heliograph(
        evidence, "request.asice", "--unsafe-unsigned-list", "trust-list.json", "--revocation", "revocation"
    )
    assert done.returncode == 0, done.stdout + done.stderr
