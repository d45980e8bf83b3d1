# SPDX-License-Identifier: Apache-2.0
"""What stands in the place of an active version that can no longer be built: it answers why.

A secret that is gone, or a file: the gateway's other services go on, and its console is there to repair it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from adapters.configuration import ConfiguredAdapter
from adapters.sources import Probe
from hub.errors import AdapterError

if TYPE_CHECKING:
    from adapters.ports import Call, JsonObject
    from adapters.register.model import AdapterVersion

_SHORTEST_SECONDS = 1.0


class UnusableAdapter:
    """Refuses every call with the reason for which the adapter could not be built."""

    def __init__(self, error: AdapterError) -> None:
        self.error = error

    @classmethod
    def in_place_of(cls, version: AdapterVersion, error: AdapterError) -> ConfiguredAdapter:
        """Return what answers a version's service while the version cannot be used."""
        return ConfiguredAdapter(
            service=version.service,
            contract=version.contract,
            kind=version.kind,
            timeout_seconds=_SHORTEST_SECONDS,
            adapter=cls(error),
            digest=version.sha256,
            version=version.number,
        )

    def answer(self, request: JsonObject, call: Call) -> NoReturn:
        """Refuse; see `adapters.ports.Adapter`."""
        del request, call
        raise AdapterError(self.error.code, self.error.detail)

    def probe(self, seconds: float) -> Probe:
        """Say that it cannot be tried; see `adapters.ports.Adapter`."""
        del seconds
        return Probe(is_reachable=False, took_seconds=0.0)

    def close(self) -> None:
        """Nothing is open."""
