# SPDX-License-Identifier: Apache-2.0
"""A gateway whose system echoes: all the checks and signatures of a real one, no legacy system behind it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from adapters.configuration import ConfiguredAdapter
from adapters.ports import Answer
from adapters.server import GatewayProcess, build_gateway_app
from adapters.settings import load_gateway_settings
from adapters.sources import Probe
from hub.identifiers import ContractId, ServiceId

if TYPE_CHECKING:
    from adapters.ports import Call, JsonObject

SERVICE = ServiceId("11510108MB1A00002M/employment/echo")


class EchoAdapter:
    """Answers with what it was asked."""

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Return the request's text."""
        del call
        return Answer({"text": request["text"]})

    def probe(self, seconds: float) -> Probe:
        """Answer at once."""
        return Probe(is_reachable=True, took_seconds=min(seconds, 0.0))

    def close(self) -> None:
        """Hold nothing."""


def main() -> None:
    """Run the gateway of the configuration named on the command line."""
    settings = load_gateway_settings(Path(sys.argv[1]))
    process = GatewayProcess(
        settings, more=[ConfiguredAdapter(SERVICE, ContractId("echo/v1"), "echo", 10.0, EchoAdapter())]
    )
    uvicorn.run(
        build_gateway_app(process),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
