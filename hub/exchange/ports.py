# SPDX-License-Identifier: Apache-2.0
"""What the exchange needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hub.envelope import Envelope, LargeEnvelope
    from hub.registry import Service


class Courier(Protocol):
    """Carries a request to the gateway of the department that answers it."""

    async def deliver(self, request: Envelope, receipt: Envelope, service: Service) -> bytes | LargeEnvelope:
        """Hand over a request with the hub's receipt and return what the gateway answers.

        An answer too large for memory was fetched: the vault has its file, and every byte is as announced.

        Raises:
            ExchangeError: `exchange.undeliverable` or `exchange.delivery_timeout`.
        """
        ...
