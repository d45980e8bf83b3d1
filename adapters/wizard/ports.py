# SPDX-License-Identifier: Apache-2.0
"""What the console's pages ask of the gateway, as small as they need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import JsonObject
    from hub.contracts import Contract
    from hub.identifiers import ServiceId


@dataclass(frozen=True)
class Health:
    """How an adapter has fared since the gateway was started.

    Attributes:
        succeeded_at: when it last answered well, UTC.
        failed_at: when it last did not, UTC.
        code: why not.
    """

    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    code: str = ""


class Watch(Protocol):
    """Knows how adapters fare."""

    def health(self, service: ServiceId) -> Health | None:
        """Return how one fares; None where nobody has asked it yet."""
        ...


class ContractTest(Protocol):
    """Tests an adapter by its contract."""

    def __call__(
        self, configured: ConfiguredAdapter, contract: Contract, sample: JsonObject | None
    ) -> Mapping[str, Any]:
        """Return the report as `adapters.trials.trial_to_json` writes it.

        Args:
            configured: the adapter, built as the gateway builds it.
            contract: what its service keeps to.
            sample: a request the system knows the answer to.
        """
        ...
