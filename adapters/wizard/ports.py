# SPDX-License-Identifier: Apache-2.0
"""What the console's pages ask of the gateway, as small as they need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import JsonObject
    from adapters.reporting import Fortune
    from hub.contracts import Contract
    from hub.identifiers import ServiceId


class Watch(Protocol):
    """Knows how adapters fare."""

    def __call__(self, service: ServiceId) -> Fortune:
        """Return how one has fared since the gateway was started."""
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
