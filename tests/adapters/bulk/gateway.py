# SPDX-License-Identifier: Apache-2.0
"""A gateway of its own process whose system takes and gives bulk data; its argument is its configuration.

A request's text asks: `measure` for the SHA-256 of the data that came, `give <octets>` for so much data.
"""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from adapters.configuration import ConfiguredAdapter
from adapters.ports import Answer, Document
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from adapters.sources import Probe
from hub.demo.preparation import LABOUR_BUREAU
from hub.identifiers import ContractId, ServiceId

if TYPE_CHECKING:
    from adapters.ports import Call, JsonObject

BULK = ContractId("bulk/v1")
SERVICE = ServiceId(f"{LABOUR_BUREAU}/employment/bulk")
_PIECE_BYTES = 1024 * 1024


def write_data(file: Path, size: int, seed: int) -> str:
    """Write so many bytes, the same for the same seed, and return their SHA-256."""
    luck, digest = random.Random(seed), hashlib.sha256()  # noqa: S311 - the same bytes every time
    piece = luck.randbytes(_PIECE_BYTES)
    with file.open("wb") as content:
        for number in range(-(-size // _PIECE_BYTES)):
            # No two pieces are the same, and drawing all of them anew would take the test's time.
            some = number.to_bytes(8, "big") + piece[8:]
            some = some[: size - number * _PIECE_BYTES]
            content.write(some)
            digest.update(some)
    return digest.hexdigest()


class BulkAdapter:
    """Reads what came, or writes what is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Answer as the module says."""
        text = str(request["text"])
        if text.startswith("give "):
            file = self._folder / f"{call.message_id}.bin"
            digest = write_data(file, int(text.removeprefix("give ")), 2)
            return Answer({"text": digest}, (Document("data.bin", "application/octet-stream", file=file),))
        with call.files["data.bin"].open("rb") as content:
            return Answer({"text": hashlib.file_digest(content, "sha256").hexdigest()})

    def probe(self, seconds: float) -> Probe:
        """Answer at once."""
        return Probe(is_reachable=True, took_seconds=min(seconds, 0.0))

    def close(self) -> None:
        """Nothing is held."""


def main() -> None:
    """Serve until the process is ended."""
    settings = load_gateway_settings(Path(sys.argv[1]))
    folder = settings.data_folder / "bulk"
    folder.mkdir(parents=True, exist_ok=True)
    bulk = ConfiguredAdapter(SERVICE, BULK, "bulk", 300.0, BulkAdapter(folder))
    process = GatewayProcess(settings, more=[bulk])
    uvicorn.run(build_gateway_app(process), host="127.0.0.1", port=settings.port, log_level="warning")


if __name__ == "__main__":
    main()
