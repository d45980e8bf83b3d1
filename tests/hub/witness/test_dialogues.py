# SPDX-License-Identifier: Apache-2.0
"""The dialogues that another implementation's witness holds with a log, held with ours over real HTTP.

Source: the test dialogues of litewitness; C2SP tlog-witness.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fastapi import FastAPI

from hub.problems import install_problems
from hub.tlog import Cosigner, Note, VerifierKey, open_note
from hub.witness import read_witnessed_logs, witness_routes
from tests.hub.witness.conftest import running_witness
from tests.journeys.serving import serving
from tests.pki import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

DIALOGUES = Path(__file__).parents[4] / "shared/data/tlog/witness"

# These were written before the specification asked for 404.
SINCE_CHANGED = {"unknown log": 404}


class Exchange(NamedTuple):
    """One request, and what must come back."""

    body: str
    status: int
    contains: str | None
    equals: str | None


def exchanges(text: str) -> Iterator[Exchange]:
    """Take the requests and expectations out of a dialogue."""
    script = text.split("-- add-checkpoint.hurl --\n", 1)[1]
    pattern = re.compile(r"POST \S+\n```\n(.*?)```\nHTTP (\d+)\n\[Asserts\]\n(.*?)(?=\n\nPOST|\Z)", re.DOTALL)
    for sent, status, asserts in pattern.findall(script):
        contains = re.search(r'body contains "(.*)"', asserts)
        equals = re.search(r'body == "(.*)"', asserts)
        yield Exchange(
            sent,
            int(status),
            contains and contains[1],
            equals and equals[1].replace("\\n", "\n"),
        )


def log_list(text: str) -> str:
    """Write what the dialogue's set-up lists as a list of logs."""
    lines = ["logs/v0", ""]
    for key in re.findall(r"add-sigsum-log -key=([0-9a-f]{64})", text):
        raw = bytes.fromhex(key)
        name = f"sigsum.org/v1/tree/{sha256(raw).hexdigest()}"
        lines.append(f"vkey {VerifierKey(name, Ed25519PublicKey.from_public_bytes(raw)).encode()}")
    for origin, key in re.findall(r"add-key -origin '([^']+)' -key (\S+)", text):
        lines += [f"vkey {key}", f"origin {origin}"]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("name", ["litewitness.txt", "sumdb.txt", "bastion.txt"])
def test_a_dialogue_goes_as_written(name: str, tmp_path: Path, database_url: str) -> None:
    if not DIALOGUES.exists():
        pytest.skip("the shared dialogues are not here")
    text = (DIALOGUES / name).read_text(encoding="utf-8")
    (tmp_path / "logs").write_text(log_list(text), encoding="utf-8")
    logs = read_witnessed_logs(tmp_path / "logs")
    cosigner = Cosigner("example.com/witness", Ed25519PrivateKey.generate())
    app = FastAPI()
    install_problems(app)
    held = 0
    with running_witness(database_url, dict(logs), cosigner=cosigner) as running:
        app.include_router(witness_routes(running.witness))
        with serving(app, free_port()) as url, httpx2.Client() as http:
            for each in exchanges(text):
                response = http.post(f"{url}/witness/add-checkpoint", content=each.body.encode())
                status = SINCE_CHANGED.get(each.contains or "", each.status)
                assert response.status_code == status, response.text
                assert (each.contains or "") in response.text
                assert each.equals in {None, response.text}
                if status == 200:
                    note = each.body.partition("\n\n")[2] + response.text
                    assert Note.decode(note).verify([cosigner.verifier])
                    assert open_note(note, [cosigner.verifier])
                if status == 409:
                    assert response.headers["content-type"] == "text/x.tlog.size"
                held += 1
    assert held == text.count("\nPOST ")
