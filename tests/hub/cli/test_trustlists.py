# SPDX-License-Identifier: Apache-2.0
"""The operator of a trust list at work: a draft becomes a version, changes are shown, keys change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from hub.trustlist import read_pinned, read_trust_lists
from tests.hub.trustlist import etsi_lists
from tests.hub.trustlist.versions import self_signed

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = "only for tests"  # noqa: S105 - the tests own it
OPERATOR = "11510108MB1A00001J/trust-list"
DAYS = (datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=900))


def heliograph(
    folder: Path, *arguments: str, passphrase: str = PASSPHRASE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", "trust", "list", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "HELIOGRAPH_SIGNING_PASSPHRASE": passphrase},
    )


def make_signer(folder: Path, name: str) -> str:
    """Make an encrypted key and its certificate; returns the certificate in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = BestAvailableEncryption(PASSPHRASE.encode())
    file = folder / f"{name}.key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    file.chmod(0o600)
    pem = self_signed(key, name, days=DAYS).public_bytes(Encoding.PEM)
    (folder / f"{name}.pem").write_bytes(pem)
    return pem.decode()


def write_draft(folder: Path, signers: list[str], roots: list[str], name: str = "draft.yaml") -> None:
    draft: dict[str, Any] = {
        "name": {"zh": "测试", "en": "Test"},
        "signers": signers,
        "authorities": [
            {
                "name": f"root {number}",
                "certificate": pem,
                "is_anchor": True,
                "approved_from": "2026-01-01T00:00:00.000Z",
            }
            for number, pem in enumerate(roots)
        ],
    }
    (folder / name).write_text(yaml.safe_dump(draft, allow_unicode=True), encoding="utf-8")


def published(folder: Path, *more: str, signer: str = "one") -> subprocess.CompletedProcess[str]:
    keys = ("--signer", "one.pem", "--key", f"{signer}.key.pem", "--chain", f"{signer}.pem")
    return heliograph(folder, "publish", "draft.yaml", "--lists", "lists", *keys, *more)


def test_versions_are_published_one_after_the_other_and_the_key_changes(tmp_path: Path) -> None:
    one, two = make_signer(tmp_path, "one"), make_signer(tmp_path, "two")
    roots = [make_signer(tmp_path, f"root-{number}") for number in range(2)]
    write_draft(tmp_path, [one, two], roots[:1])

    dry = published(tmp_path, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "add authorities: root 0" in dry.stdout
    assert not (tmp_path / "lists").exists()

    assert published(tmp_path, "--yes").returncode == 2, "the first version needs its operator"
    done = published(tmp_path, "--yes", "--operator", OPERATOR)
    assert done.returncode == 0, done.stderr
    assert "Version 1 is signed" in done.stdout

    write_draft(tmp_path, [two], roots)
    unasked = published(tmp_path)
    assert unasked.returncode == 1, "nobody said yes"
    done = published(tmp_path, "--yes", "--valid-days", "30")
    assert "remove signers: CN=one" in done.stdout.replace("'", "") or "remove signers" in done.stdout
    assert "add authorities: root 1" in done.stdout
    assert "Version 2" in done.stdout

    refused = published(tmp_path, "--yes")
    assert refused.returncode == 1
    assert "trust.trust_list_untrusted" in refused.stderr, "the old key signs no more"
    assert published(tmp_path, "--yes", signer="two").returncode == 0

    history = read_trust_lists(tmp_path / "lists", read_pinned(tmp_path / "one.pem"))
    assert [version.sequence for version in history.versions] == [1, 2, 3]
    second = history.require(2).document
    assert second.next_update - second.issued_at == timedelta(days=30)


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A folder with a published version and its signer."""
    one, root = make_signer(tmp_path, "one"), make_signer(tmp_path, "root")
    write_draft(tmp_path, [one], [root])
    done = published(tmp_path, "--yes", "--operator", OPERATOR)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_versions_are_shown_verified_and_compared(lists: Path) -> None:
    assert published(lists, "--yes").returncode == 0
    shown = heliograph(lists, "show", "lists", "--signer", "one.pem")
    assert "version 2" in shown.stdout
    assert "root 0: root" in shown.stdout
    document = json.loads(heliograph(lists, "show", "lists", "--signer", "one.pem", "--json").stdout)
    assert (document["sequence"], document["format"]) == (2, "heliograph-trust-list/2")
    rows = json.loads(heliograph(lists, "verify", "lists", "--signer", "one.pem", "--json").stdout)
    assert [row["sequence"] for row in rows] == [1, 2]
    assert "Nothing changes" in heliograph(lists, "diff", "lists", "--signer", "one.pem").stdout

    stranger = heliograph(lists, "verify", "lists", "--signer", "root.pem")
    assert (stranger.returncode, "trust.trust_list_untrusted" in stranger.stderr) == (1, True)


def test_a_version_that_is_shown_as_a_draft_can_be_published_again(lists: Path) -> None:
    draft = heliograph(lists, "show", "lists", "--signer", "one.pem", "--draft").stdout
    (lists / "draft.yaml").write_text(draft, encoding="utf-8")
    done = published(lists, "--yes")
    assert done.returncode == 0, done.stderr
    assert "Nothing changes but the dates." in done.stdout


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda draft: draft.update(signers=[]), "trust.trust_list_invalid"),
        (lambda draft: draft.update(mistake=1), "trust.trust_list_invalid"),
        (lambda draft: draft["authorities"][0].update(is_anchor=False), "trust.trust_list_invalid"),
        (lambda draft: draft["authorities"][0].update(certificate="nothing"), "trust.trust_list_invalid"),
        (
            lambda draft: draft["authorities"][0].update(
                certificate="-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
            ),
            "trust.trust_list_invalid",
        ),
    ],
)
def test_a_draft_with_a_mistake_is_not_signed(lists: Path, spoil: Any, code: str) -> None:
    draft = yaml.safe_load((lists / "draft.yaml").read_text(encoding="utf-8"))
    spoil(draft)
    (lists / "draft.yaml").write_text(yaml.safe_dump(draft), encoding="utf-8")
    done = published(lists, "--yes")
    assert (done.returncode, code in done.stderr) == (1, True), done.stderr
    assert len(list((lists / "lists").iterdir())) == 1


def test_a_wrong_passphrase_signs_nothing_and_is_not_shown(lists: Path) -> None:
    keys = ("--signer", "one.pem", "--key", "one.key.pem")
    done = heliograph(
        lists,
        "publish",
        "draft.yaml",
        "--lists",
        "lists",
        *keys,
        "--yes",
        passphrase="hunter2",  # noqa: S106
    )
    assert (done.returncode, "trust.key_unusable" in done.stderr) == (1, True)
    assert "hunter2" not in done.stdout + done.stderr


def test_a_national_list_becomes_a_draft_that_is_reviewed_and_published(lists: Path) -> None:
    operator = etsi_lists.Operator()
    authority = etsi_lists.certificate("Seal CA", is_authority=True)
    raw = etsi_lists.write_list(
        etsi_lists.granted("Seals", f"{etsi_lists.TYPE}CA/QC", authority),
        etsi_lists.granted("Mail", f"{etsi_lists.TYPE}EDS/Q", authority),
        next_update=None,
    )
    (lists / "national.xml").write_bytes(etsi_lists.sign_list(raw, operator))
    (lists / "operator.pem").write_bytes(operator.certificate.public_bytes(Encoding.PEM))
    arguments = ("import-etsi", "national.xml", "--operator", "operator.pem", "--out", "imported.json")
    done = heliograph(lists, *arguments, "--use", "seal", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["authorities"] == 1
    assert [each["dropped"] for each in told["unmapped"]] == [True, False]

    draft = json.loads((lists / "imported.json").read_text(encoding="utf-8"))
    assert draft["authorities"][0]["uses"] == ["seal"]
    draft["signers"] = [(lists / "one.pem").read_text(encoding="ascii")]
    (lists / "draft.yaml").write_text(json.dumps(draft), encoding="utf-8")
    assert published(lists, "--yes").returncode == 0

    stranger = heliograph(lists, *arguments[:3], "one.pem", *arguments[4:])
    assert (stranger.returncode, "trust.trust_list_untrusted" in stranger.stderr) == (1, True)
