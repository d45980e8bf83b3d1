# SPDX-License-Identifier: Apache-2.0
"""Where an adapter may connect to: the address in its description and those listed beside it, nothing else.

A description names a host; what the name means is decided by whoever answers for it in the DNS, and a WSDL,
an OpenAPI file or a redirect may name further hosts. So an address is judged after it is resolved, and the
connection is made to the very address that was judged: a second answer of the DNS has no say.

    addresses: [hr.example.cn:8080, 10.1.0.0/16:5432, "[fd00::5]:443", 127.0.0.1:*]

A listed name may mean any ordinary address. Loopback, link-local, multicast and reserved addresses, and those
at which clouds hand out credentials, have to be listed as addresses. Without a list, the description's own
address is what is allowed, this machine included where the description says so.

Source: OWASP, Server-Side Request Forgery Prevention; RFC 6890 (special-purpose addresses); RFC 6052 and
RFC 3056 for IPv4 addresses that are written inside IPv6 ones.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from adapters.ports import NotAskedError
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

Endpoint: TypeAlias = tuple[str, int]
"""A host, by name or address, and a TCP port."""

_LISTED = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?)\]|(?P<host>[^\[\]:\s]+)):(?P<port>[0-9]{1,5}|\*)"
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCALHOST = "localhost"
_PORTS = {"http": 80, "https": 443}
# Where Alibaba Cloud, AWS (IPv6), Azure and Oracle answer their machines; the others' are link-local.
_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "168.63.129.16", "192.0.0.192"))
)


@dataclass(frozen=True)
class AllowedAddress:
    """One entry of a list of allowed addresses.

    Attributes:
        name: of a host, in lower case; None where `network` says which addresses.
        port: None for every one.
    """

    name: str | None
    network: _Network | None
    port: int | None

    def is_for_port(self, port: int) -> bool:
        """Tell whether the entry is about a port."""
        return self.port in {None, port}


def parse_allowed(text: object) -> AllowedAddress:
    """Read `host:port`, `network:port`, or either with `*` for every port; IPv6 stands in brackets.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(text, AllowedAddress):
        return text
    match = _LISTED.fullmatch(text) if isinstance(text, str) else None
    port = None if match is None or match["port"] == "*" else int(match["port"])
    if match is None or (port is not None and not 1 <= port <= 65535):
        raise ValueError("an allowed address is host:port, address:port, network:port or [IPv6]:port")
    return _allowed(match["six"] or match["host"], port)


AllowedText = Annotated[AllowedAddress, BeforeValidator(parse_allowed)]
"""A setting that is one allowed address."""


def _allowed(host: str, port: int | None) -> AllowedAddress:
    try:
        return AllowedAddress(None, ipaddress.ip_network(host), port)
    except ValueError:
        if "/" in host:
            raise ValueError("is not a network: its host bits are not zero, or it is none") from None
    return AllowedAddress(_plain(host), None, port)


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def endpoint_of(url: str) -> Endpoint:
    """Return where a URL leads to.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the URL names no host, or no port that is known.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        host = port = None
    if not host or port is None:
        raise AdapterError("adapter.configuration_invalid", "an address names neither a host nor a port")
    return host, port


def _resolve(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class AddressGuard:
    """Judges and makes the connections of one adapter.

    Args:
        listed: what the description allows; what it names itself is then allowed only where it is listed.
        own: where the description itself leads to; allowed where nothing is listed.
        resolve: returns the addresses of a name; the machine's resolver by default.
    """

    def __init__(
        self,
        listed: Iterable[AllowedAddress] = (),
        *,
        own: Iterable[Endpoint] = (),
        resolve: Callable[[str, int], Sequence[str]] = _resolve,
    ) -> None:
        self._listed = tuple(listed)
        self._own: tuple[AllowedAddress, ...] = ()
        self._resolve = resolve
        for endpoint in own:
            self.admit(endpoint)

    def admit(self, endpoint: Endpoint) -> None:
        """Take a further address as the description's own, for example the one its own WSDL file names."""
        if not self._listed:
            self._own = (*self._own, _allowed(*endpoint))

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the numeric addresses of a host that may be connected to, in the resolver's order.

        Raises:
            NotAskedError: `adapter.address_forbidden`, none may; `adapter.system_unreachable`, it has none.
        """
        try:
            found = [ipaddress.ip_address(address.partition("%")[0]) for address in self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError) as exc:
            raise NotAskedError("adapter.system_unreachable", f"{host} cannot be resolved") from exc
        allowed = [str(address) for address in dict.fromkeys(found) if self._may_reach(host, port, address)]
        if not allowed:
            kinds = sorted({_special_kind(address) or "ordinary" for address in found})
            detail = f"{host}:{port} ({', '.join(kinds)}) is not among the adapter's addresses"
            raise NotAskedError("adapter.address_forbidden", detail)
        return allowed

    def connect(self, host: str, port: int, seconds: float) -> socket.socket:
        """Return a TCP connection to one of a host's allowed addresses.

        Raises:
            NotAskedError: as `addresses`; or `adapter.system_unreachable`.
            AdapterError: `adapter.system_timeout`.
        """
        deadline = time.monotonic() + seconds
        last: OSError | None = None
        for address in self.addresses(host, port):
            try:
                return socket.create_connection((address, port), max(deadline - time.monotonic(), 0.001))
            except OSError as exc:
                last = exc
        if isinstance(last, TimeoutError):
            raise NotAskedError("adapter.system_timeout", "no connection in time") from last
        reason = f"{type(last).__name__}: {last.strerror or last}" if last else "no address"
        raise NotAskedError("adapter.system_unreachable", reason) from last

    def _may_reach(self, host: str, port: int, address: _Ip) -> bool:
        true, name = _unwrapped(address), _plain(host)
        kind = _special_kind(true)
        for entry in (*self._listed, *self._own):
            if not entry.is_for_port(port):
                continue
            if entry.network is not None:
                # What is only the description's own word does not open where clouds keep their secrets.
                if true in entry.network and (entry in self._listed or kind in {None, "loopback"}):
                    return True
            elif entry.name == name and (kind is None or (kind, name) == ("loopback", _LOCALHOST)):
                return True
        return False


def _unwrapped(address: _Ip) -> _Ip:
    """Return the IPv4 address that an IPv6 one leads to, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _special_kind(address: _Ip) -> str | None:
    """Say what makes an address one that a name alone does not open; None for an ordinary one."""
    true = _unwrapped(address)
    if true in _METADATA:
        return "metadata"
    if true.is_loopback:
        return "loopback"
    if true.is_link_local:
        return "link-local"
    if true.is_multicast or true.is_unspecified or true.is_reserved:
        return "reserved"
    return None
