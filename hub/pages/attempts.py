# SPDX-License-Identifier: Apache-2.0
"""How often somebody may try to sign in: a few times at once, then one try every half a minute.

A token has 256 random bits, so nobody guesses one; the limit keeps guessing from costing the hub anything and
makes it visible. It is counted in memory, for each process by itself.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from hub.errors import PortalError

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_ONCE = 10
_SECONDS_EACH = 30.0
_MOST_ADDRESSES = 10_000
_IPV6_NETWORK_BITS = 64


class SignInAttempts:
    """Counts failed attempts by the caller's network address.

    Args:
        seconds: a clock that only goes forward.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def require_left(self, address: str) -> None:
        """Refuse a caller who has failed too often.

        Raises:
            PortalError: `portal.too_many_attempts`.
        """
        with self._lock:
            if self._count(_network(address)) > _AT_ONCE - 1:
                raise PortalError("portal.too_many_attempts")

    def note_failure(self, address: str) -> None:
        """Count a failed attempt."""
        network = _network(address)
        with self._lock:
            self._used[network] = (self._count(network) + 1, self._seconds())
            self._used.move_to_end(network)
            # The addresses that failed longest ago have the least left to pay for.
            while len(self._used) > _MOST_ADDRESSES:
                self._used.popitem(last=False)

    def _count(self, network: str) -> float:
        count, at = self._used.get(network, (0.0, 0.0))
        return max(0.0, count - (self._seconds() - at) / _SECONDS_EACH)


def _network(address: str) -> str:
    """Return what one caller can easily change its address within: nothing, or with IPv6 a /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
    return str(parsed)
