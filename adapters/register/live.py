# SPDX-License-Identifier: Apache-2.0
"""The adapters that answer just now, and how one takes the place of another without a break.

A call that is under way ends on the adapter it began with, which is closed after the last one. A caller that
found the old adapter and asks it a moment too late is handed to the new one, unless that keeps to another
contract: then the message is refused for now, and comes again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from adapters.register.unusable import UnusableAdapter
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import Adapter, Answer, Call, JsonObject
    from adapters.sources import Probe
    from hub.identifiers import ServiceId


class LiveServices(Mapping["ServiceId", "ConfiguredAdapter"]):
    """The services of a gateway, each with the adapter that answers it. Safe to use from several threads.

    Args:
        services: those it begins with.
    """

    def __init__(self, services: Mapping[ServiceId, ConfiguredAdapter] | None = None) -> None:
        self._lock = threading.Lock()
        # Never changed, only replaced: whoever iterates over it is not disturbed.
        self._services: Mapping[ServiceId, ConfiguredAdapter] = {}
        for service, configured in (services or {}).items():
            self.swap(service, configured)

    def __getitem__(self, service: ServiceId) -> ConfiguredAdapter:
        return self._services[service]

    def __iter__(self) -> Iterator[ServiceId]:
        return iter(self._services)

    def __len__(self) -> int:
        return len(self._services)

    def swap(self, service: ServiceId, configured: ConfiguredAdapter | None) -> None:
        """Let another adapter answer a service from now on; None lets nobody.

        Does not wait: the old adapter is closed by whoever ends the last call on it.
        """
        with self._lock:
            kept = {name: each for name, each in self._services.items() if name != service}
            old = self._services.get(service)
            if configured is not None:
                entrusted = _Entrusted(configured, lambda: self._services.get(service))
                kept[service] = replace(configured, adapter=entrusted)
            self._services = kept
        if old is not None:
            _retire(old.adapter)

    def problem_of(self, service: ServiceId) -> AdapterError | None:
        """Return why a service answers nothing but an error; None where it can answer."""
        configured = self._services.get(service)
        if configured is None or not isinstance(configured.adapter, _Entrusted):
            return None
        entrusted = configured.adapter.entrusted
        return entrusted.error if isinstance(entrusted, UnusableAdapter) else None

    def close(self) -> None:
        """Close every adapter, whatever is under way on it."""
        with self._lock:
            services, self._services = self._services, {}
        for each in services.values():
            each.adapter.close()


class _Entrusted:
    """An adapter that knows who is using it."""

    def __init__(
        self, configured: ConfiguredAdapter, successor: Callable[[], ConfiguredAdapter | None]
    ) -> None:
        self._configured = configured
        self._successor = successor
        self._lock = threading.Lock()
        self._calls = 0
        self._is_retired = False
        self._is_closed = False

    @property
    def entrusted(self) -> Adapter:
        """The adapter itself."""
        return self._configured.adapter

    def answer(self, request: JsonObject, call: Call) -> Answer:
        """Ask the adapter, or the one that has taken its place; see `adapters.ports.Adapter`."""
        with self._lock:
            is_retired = self._is_retired
            self._calls += not is_retired
        if is_retired:
            return self._replacement().answer(request, call)
        try:
            return self._configured.adapter.answer(request, call)
        finally:
            self._end_call()

    def probe(self, seconds: float) -> Probe:
        """Try whether the system can be reached; see `adapters.ports.Adapter`."""
        return self._configured.adapter.probe(seconds)

    def _end_call(self) -> None:
        with self._lock:
            self._calls -= 1
            is_last = self._is_retired and not self._calls
        if is_last:
            self.close()

    def retire(self) -> None:
        """Take no further calls, and close after the last one."""
        with self._lock:
            self._is_retired = True
            is_idle = not self._calls
        if is_idle:
            self.close()

    def close(self) -> None:
        """Close the adapter, once."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._configured.adapter.close()

    def _replacement(self) -> Adapter:
        successor = self._successor()
        if successor is None:
            raise AdapterError("adapter.service_unknown", str(self._configured.service))
        if successor.contract != self._configured.contract:
            raise AdapterError("adapter.version_replaced", str(self._configured.service))
        return successor.adapter


def _retire(adapter: Adapter) -> None:
    if not isinstance(adapter, _Entrusted):
        raise TypeError("a live adapter is entrusted")
    adapter.retire()
