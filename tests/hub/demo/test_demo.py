# SPDX-License-Identifier: Apache-2.0
"""The demonstration as a newcomer runs it: one command, all processes, files that verify; then once more."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.tlog import ProofFile, TrustPolicy, verify_proof

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "authorities.pem",
    "checkpoint.ers",
    "checkpoint.tst",
    "checkpoint.txt",
    "evidence.zip",
    "log-policy.txt",
    "log-proofs.json",
    "proof.pdf",
    "receipt.asice",
    "request.asice",
    "response.asice",
    "response.json",
    "revocation",
    "trust-list-signer.pem",
    "trust-lists",
    "verification-report.json",
    "verification-report.txt",
}
VERIFIED = ("request.asice", "response.asice", "receipt.asice", "proof.pdf")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def demonstrated(folder: Path) -> None:
    done = run(folder, "demo", "--folder", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Done in" in done.stdout
    out = folder / "demo" / "out"
    assert {file.name for file in out.iterdir()} >= FILES
    reports = json.loads((out / "verification-report.json").read_text(encoding="utf-8"))
    assert set(reports) == set(VERIFIED)
    policy = TrustPolicy.decode((out / "log-policy.txt").read_bytes())
    proofs = sorted(out.glob("entry-*.tlog-proof"))
    assert len(proofs) == 2, "the request's entry and its answer's"
    for file in proofs:
        proof = ProofFile.decode(file.read_text(encoding="utf-8"))
        verify_proof(proof, file.with_suffix(".json").read_bytes(), policy)


def test_the_demonstration_runs_leaves_files_that_verify_and_runs_again(tmp_path: Path) -> None:
    demonstrated(tmp_path)
    out = tmp_path / "demo" / "out"
    containers = {name: (out / name).read_bytes() for name in VERIFIED}
    passphrase = (tmp_path / "demo" / "passphrase").read_text(encoding="ascii")
    for file in out.rglob("*"):
        assert file.is_dir() or passphrase.encode() not in file.read_bytes()

    damaged = bytearray(containers["response.asice"])
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged.asice").write_bytes(damaged)
    trust = ("--trust-list", "trust-lists", "--trust-list-signer", "trust-list-signer.pem")
    done = run(out, "verify", "../../damaged.asice", *trust, "--revocation", "revocation")
    assert done.returncode == 1, "the demonstration ends well only because its own files verify"
    assert "envelope." in done.stdout, done.stdout + done.stderr

    authorities = (out / "authorities.pem").read_bytes()
    demonstrated(tmp_path)

    assert all((out / name).read_bytes() != content for name, content in containers.items())
    assert (out / "authorities.pem").read_bytes() == authorities, "the certificates are made only once"


def test_a_demonstration_told_to_stop_leaves_nothing_running(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "hub.cli", "demo", "--folder", "demo", "--serve"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if "Ctrl-C" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:(\d+)", "".join(printed))
        assert found is not None, "".join(printed)
        hub = ("127.0.0.1", int(found[1]))
        socket.create_connection(hub, timeout=5).close()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(hub, timeout=5)
