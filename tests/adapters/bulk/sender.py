# SPDX-License-Identifier: Apache-2.0
"""Sends one file, or asks for one, in a process of its own; says which message it was, as JSON.

Arguments: the configuration, then the file, or `give` and how many octets are asked for.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.hubclient import Question
from adapters.largesender import LargeSender
from adapters.server import GatewayProcess
from adapters.settings import load_gateway_settings
from hub.demo.preparation import FUND
from hub.envelope import FilePayload, Purpose, read_receipt
from tests.adapters.bulk.gateway import BULK, SERVICE

if TYPE_CHECKING:
    from adapters.hubclient import HubClient

_PURPOSE = Purpose(item="000788002000", case="CBJ-1", legal_basis="测试", official="李伟", post="审核岗")


def _send(client: HubClient, file: Path) -> dict[str, Any]:
    sender = LargeSender(client=client)
    question = Question(service=SERVICE, contract=BULK, data={"text": "measure"}, purpose=_PURPOSE)
    message = sender.sign(question, [FilePayload.of("data.bin", "application/octet-stream", file)])
    receipt = sender.send(message, {"data.bin": file})
    return {
        "message": message.header.id,
        "sha256": message.container_sha256,
        "status": read_receipt(receipt).status,
    }


def _ask(client: HubClient, octets: int) -> dict[str, Any]:
    """Ask without waiting, then fetch the answer once it is there."""
    question = Question(service=SERVICE, contract=BULK, data={"text": f"give {octets}"}, purpose=_PURPOSE)
    sent = client.send(question)
    while True:
        outcome = client.outcome(sent.request, _PURPOSE)
        if outcome.answer is not None:
            break
        if outcome.state == "refused":
            raise SystemExit(f"refused: {outcome.code}")
        time.sleep(0.5)
    with outcome.answer.files["data.bin"].open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"message": sent.request.header.id, "stated": outcome.answer.data["text"], "sha256": digest}


def main() -> None:
    """Do it, and tell how much memory that took at most."""
    process = GatewayProcess(load_gateway_settings(Path(sys.argv[1])))
    try:
        client = process.client_for(FUND)
        told = _ask(client, int(sys.argv[3])) if sys.argv[2] == "give" else _send(client, Path(sys.argv[2]))
    finally:
        process.close()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    told["peak_kib"] = int(peak)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
