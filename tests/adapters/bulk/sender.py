# SPDX-License-Identifier: Apache-2.0
"""Sends one file, in a process of its own: configuration, file. Says which message it was, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from adapters.hubclient import Question
from adapters.largesender import LargeSender
from adapters.server import GatewayProcess
from adapters.settings import load_gateway_settings
from hub.demo.preparation import FUND
from hub.envelope import FilePayload, Purpose, read_receipt
from tests.adapters.bulk.gateway import BULK, SERVICE

_PURPOSE = Purpose(item="000788002000", case="CBJ-1", legal_basis="测试", official="李伟", post="审核岗")


def main() -> None:
    """Sign, send, and tell how much memory that took at most."""
    file = Path(sys.argv[2])
    process = GatewayProcess(load_gateway_settings(Path(sys.argv[1])))
    try:
        sender = LargeSender(client=process.client_for(FUND))
        question = Question(service=SERVICE, contract=BULK, data={"text": "measure"}, purpose=_PURPOSE)
        part = FilePayload.of("data.bin", "application/octet-stream", file)
        message = sender.sign(question, [part])
        receipt = sender.send(message, {"data.bin": file})
    finally:
        process.close()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    told = {
        "message": message.header.id,
        "sha256": message.container_sha256,
        "status": read_receipt(receipt).status,
        "peak_kib": int(peak),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
