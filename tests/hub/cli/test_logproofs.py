# SPDX-License-Identifier: Apache-2.0
"""Proofs written beside the hub, and what it shows of witnesses in both directions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from hub.app import build_hub
from hub.clock import SystemClock
from hub.custody import write_key_file
from hub.demo.preparation import DemoFolder, Prepared, prepare
from hub.identifiers import new_message_id
from hub.settings import load_settings
from hub.tlog import Cosigner, Entry, EntryEvent, NoteSigner, ProofFile, TrustPolicy, verify_proof
from hub.witness import Submission
from tests.hub.cli.test_administration import run
from tests.hub.witness.conftest import SignedLog
from tests.pki import PASSPHRASE, ServedPki

if TYPE_CHECKING:
    from pathlib import Path

    from hub.app import Hub
    from hub.identifiers import MessageId

OTHER = SignedLog(NoteSigner("other.example/log", Ed25519PrivateKey.generate()))


@pytest.fixture
def prepared(pki: ServedPki, tmp_path: Path) -> Prepared:
    """A hub that has a witness and is one; no process runs."""
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    ready = prepare(DemoFolder(tmp_path), pki)
    write_key_file(tmp_path / "witness.key.pem", MLDSA44PrivateKey.generate(), PASSPHRASE)
    neighbour = Cosigner("neighbour.example/w", Ed25519PrivateKey.generate()).verifier.encode()
    (tmp_path / "policy").write_text(
        f"witness neighbour {neighbour} http://127.0.0.1:9/witness\nquorum neighbour\n", encoding="utf-8"
    )
    (tmp_path / "logs").write_text(f"logs/v0\n\nvkey {OTHER.signer.verifier.encode()}\n", encoding="utf-8")
    with ready.folder.hub_config.open("a", encoding="utf-8") as config:
        config.write(
            "witness_policy: policy\nwitness_key: witness.key.pem\nwitnessed_logs: logs\n"
            "witness_name: hub.example/witness\nwitness_passphrase: file:passphrase\n"
        )
    (tmp_path / "passphrase").chmod(0o600)
    return ready


def opened(prepared: Prepared) -> Hub:
    return build_hub(load_settings(prepared.folder.hub_config, dict(prepared.environment)))


def logged(prepared: Prepared) -> MessageId:
    """Log three entries, two of them about one message, and show the witness a fork."""
    hub = opened(prepared)
    now = SystemClock().now()
    one, two = new_message_id(now), new_message_id(now)
    for message_id in (one, two, one):
        entry = Entry(event=EntryEvent.ACCEPTED, at=now, container_sha256="a" * 64, message_id=message_id)
        hub.writer.run(lambda connection, entry=entry: hub.log.append(connection, entry))  # type: ignore[misc]  # a default
    assert hub.witness is not None
    hub.witness.add_checkpoint(OTHER.grow(3).submission(0))
    with pytest.raises(Exception, match="consistency"):
        hub.witness.add_checkpoint(OTHER.grow(2).grow(1, "forged").submission(3))
    hub.writer.close()
    hub.engine.dispose()
    return one


def test_a_messages_entries_are_written_with_their_proofs(prepared: Prepared, tmp_path: Path) -> None:
    message = logged(prepared)
    out = tmp_path / "proofs"
    done = run(prepared, "log", "proof", message, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert {file.name for file in out.iterdir()} == {
        *(f"entry-{index}.{kind}" for index in (0, 2) for kind in ("json", "tlog-proof")),
        "log-policy.txt",
    }
    policy = TrustPolicy.decode((out / "log-policy.txt").read_bytes())
    assert policy.quorum == "neighbour"
    trusting = TrustPolicy(policy.logs, (), "none")
    for index in (0, 2):
        proof = ProofFile.decode((out / f"entry-{index}.tlog-proof").read_text(encoding="utf-8"))
        witnessed = verify_proof(proof, (out / f"entry-{index}.json").read_bytes(), trusting)
        assert witnessed.checkpoint.size == 3


def test_an_entry_is_asked_for_by_its_number_too(prepared: Prepared, tmp_path: Path) -> None:
    logged(prepared)
    done = run(prepared, "log", "proof", "1", "--out", str(tmp_path / "proofs"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["entries"] == [1]
    for nothing in ("3", "one", "1.0", new_message_id(SystemClock().now())):
        refused = run(prepared, "log", "proof", nothing, "--out", str(tmp_path / "none"))
        assert refused.returncode == 1
        assert "log.entry_unknown" in refused.stderr
    assert not (tmp_path / "none").exists()


def test_witnesses_are_shown_in_both_directions_with_the_evidence(prepared: Prepared, tmp_path: Path) -> None:
    logged(prepared)
    folder = tmp_path / "evidence"
    done = run(prepared, "log", "witnesses", "--json", "--evidence", str(folder))
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    (witness,) = shown["witnesses"]
    assert (shown["quorum"], witness["name"], witness["size"]) == ("neighbour", "neighbour", None)
    assert shown["witness_key"].startswith("hub.example/witness+")
    (log,) = shown["witnessed_logs"]
    assert (log["origin"], log["size"]) == ("other.example/log", 3)
    assert [each["kind"] for each in log["evidence"]] == ["forked"]
    (file,) = folder.iterdir()
    assert Submission.decode(file.read_bytes()).origin == "other.example/log"
    text = run(prepared, "log", "witnesses").stdout
    for part in ("neighbour", "nothing cosigned yet", "other.example/log", "forked"):
        assert part in text
