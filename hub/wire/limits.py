# SPDX-License-Identifier: Apache-2.0
"""How much one caller may take of a server: bytes, connections, time.

uvicorn limits how long an idle connection is kept and how many answers are worked on; the rest is here.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

_KEPT_FILES = 256
"""Of the files a process may have open, those for databases, logs, keys and connections it opens itself."""

_MOST_FILES = 65_536


_Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
_Seconds = Annotated[float, Field(ge=1, le=3600)]


@dataclass(frozen=True, kw_only=True)
class WireLimits:
    """What a server puts up with; settings hold one, and may leave out what the default says.

    Attributes:
        header_bytes: of a request line and its header fields together, trailers included.
        header_fields: how many of them.
        body_bytes: of one request; what a message may hold is decided by the exchange, and is less.
        body_bytes_below: for requests below certain paths, more or less than that.
        header_seconds: from a request's first byte, or from the beginning of a connection, to the end of the
            header fields.
        window_seconds: over which the rate of a body or an answer is measured.
        least_bytes_per_second: a body that comes slower, or an answer that is taken slower, is given up.
        idle_seconds: without a request, after the last answer.
        handshake_seconds: for TLS.
        connections: at a time.
        connections_per_address: of these, from one address.
        requests_per_connection: after so many the connection is closed, and the client opens another.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    header_bytes: _Count = 64 * 1024
    header_fields: _Count = 100
    body_bytes: _Count = 32 * 1024 * 1024
    body_bytes_below: tuple[tuple[str, _Count], ...] = ()
    header_seconds: _Seconds = 10.0
    window_seconds: _Seconds = 10.0
    least_bytes_per_second: _Count = 1024
    idle_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    handshake_seconds: _Seconds = 10.0
    connections: _Count = 2000
    connections_per_address: _Count = 500
    requests_per_connection: _Count = 10_000

    def body_bytes_of(self, url: bytes) -> int:
        """Return how large the body of a request to this address may be."""
        for path, most in self.body_bytes_below:
            if url.startswith(path.encode("ascii")):
                return most
        return self.body_bytes

    def within_open_files(self) -> WireLimits:
        """Return limits that this process can keep, once it may open as many files as the system allows."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        most = self.connections if soft == resource.RLIM_INFINITY else max(soft - _KEPT_FILES, 1)
        connections = min(self.connections, most)
        return replace(
            self,
            connections=connections,
            connections_per_address=min(self.connections_per_address, connections),
        )


def read_limits(value: object) -> WireLimits:
    """Read the limits of a configuration: a table, or what was read before.

    Raises:
        ValueError: a name is unknown or a number is not one; what was given is not repeated.
    """
    if isinstance(value, WireLimits):
        return value
    try:
        return _READER.validate_python(value)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        raise ValueError("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong)) from None


_READER = TypeAdapter(WireLimits)
