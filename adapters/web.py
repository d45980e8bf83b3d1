# SPDX-License-Identifier: Apache-2.0
"""HTTP as the SOAP and REST adapters speak it: one deadline, one size limit, and never to another host.

The environment's proxies and netrc are not looked at: where a department's system stands is in its
description.
"""

from __future__ import annotations

import ssl
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpcore2
import httpx2

from adapters.entry import ConnectionSettings
from adapters.ports import NotAskedError
from adapters.references import ReferredPath, SecretReference
from hub.errors import AdapterError
from hub.telemetry import inject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapters.addresses import AddressGuard


class TlsSettings(ConnectionSettings):
    """TLS towards a legacy system.

    Attributes:
        authorities: PEM file of the only authorities trusted; the machine's own without it.
        certificate: PEM chain this client shows, with its `key` and, where encrypted, `passphrase`.
    """

    authorities: ReferredPath | None = None
    certificate: ReferredPath | None = None
    key: ReferredPath | None = None
    passphrase: SecretReference | None = None


@dataclass(frozen=True)
class Outgoing:
    """An HTTP request.

    Attributes:
        content: the body; one that is not in memory can be read more than once.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Iterable[bytes] | None = None


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, read to its end."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    encoding: str = "utf-8"


_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class _TimedStream(httpcore2.NetworkStream):
    """A connection on which nothing goes on beyond the deadline of the call on this thread.

    The library's timeout is for each read, so a system that drips a header at a time would hold the thread.
    """

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there; see httpcore2."""
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write it all; see httpcore2."""
        self._stream.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Go on encrypted; see httpcore2."""
        seconds = _left(timeout, httpcore2.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        """Tell about the connection; see httpcore2."""
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, late: type[httpcore2.TimeoutException]) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise late("the call's time is over")
    return seconds if timeout is None else min(seconds, timeout)


class _GuardedNetwork(httpcore2.SyncBackend):
    """Connects to what the guard allows; a certificate is still held to the name in the URL."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that answers; see httpcore2."""
        failed: httpcore2.ConnectError | httpcore2.ConnectTimeout | None = None
        for address in self._guard.addresses(host, port):
            try:
                return _TimedStream(
                    super().connect_tcp(address, port, timeout, local_address, socket_options)
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as exc:
                failed = exc
        raise failed or httpcore2.ConnectError("no address")


class _GuardedTransport(httpx2.HTTPTransport):
    """HTTP over guarded connections."""

    def __init__(self, context: ssl.SSLContext, guard: AddressGuard) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=_GuardedNetwork(guard),
        )


class WebClient:
    """Sends requests to one legacy system.

    Args:
        max_answer_bytes: the largest body that is read.
        tls: settings for https addresses.
        guard: says which addresses may be connected to, and is asked for every connection that is made.
        at: where the description stands, for errors.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the TLS files cannot be used.
    """

    def __init__(self, *, max_answer_bytes: int, tls: TlsSettings, guard: AddressGuard, at: str) -> None:
        self._max_answer_bytes = max_answer_bytes
        # Answers are asked for uncompressed, so that the size limit is the size of what is parsed.
        self._client = httpx2.Client(
            transport=_GuardedTransport(tls_context(tls, at), guard),
            follow_redirects=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "heliograph-adapter"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, request: Outgoing, *, seconds: float) -> Reply:
        """Send one request and read its answer.

        Raises:
            AdapterError: `adapter.address_forbidden`, `adapter.system_unreachable`,
                `adapter.system_timeout`, or `adapter.answer_unreadable` for a redirect, a compressed or an
                oversized body.
        """
        deadline = time.monotonic() + seconds
        headers = dict(request.headers)
        inject(headers)
        token = _deadline.set(deadline)
        try:
            with self._client.stream(
                request.method,
                request.url,
                headers=headers,
                params=request.params or None,
                content=request.content,
                timeout=seconds,
            ) as response:
                _refuse_unexpected(response)
                body = self._read(response, deadline)
                return Reply(response.status_code, response.headers, body)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as exc:
            raise NotAskedError("adapter.system_unreachable", f"{type(exc).__name__}: {exc}") from exc
        except httpx2.TimeoutException as exc:
            raise AdapterError("adapter.system_timeout", f"no answer within {seconds:.1f} s") from exc
        except httpx2.HTTPError as exc:
            raise AdapterError("adapter.system_unreachable", f"{type(exc).__name__}: {exc}") from exc
        finally:
            _deadline.reset(token)

    def _read(self, response: httpx2.Response, deadline: float) -> bytes:
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self._max_answer_bytes:
                raise AdapterError(
                    "adapter.answer_unreadable", f"the answer has more than {self._max_answer_bytes} bytes"
                )
            # The library's timeout is for each read; a system that drips would hold the thread for ever.
            if time.monotonic() > deadline:
                raise AdapterError("adapter.system_timeout", "the answer was not complete in time")
        return bytes(body)


def _refuse_unexpected(response: httpx2.Response) -> None:
    if 300 <= response.status_code < 400:
        host = httpx2.URL(response.headers.get("location", "")).host or "the same host"
        raise AdapterError("adapter.answer_unreadable", f"a redirect to {host} is not followed")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise AdapterError("adapter.answer_unreadable", "a compressed body was not asked for")


def tls_context(tls: TlsSettings, at: str) -> ssl.SSLContext:
    """Return what holds a server's certificate to its name, and shows this client's where there is one.

    Raises:
        AdapterError: `adapter.configuration_invalid`, the files cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=tls.authorities)
        if tls.certificate is not None:
            passphrase = tls.passphrase.reveal() if tls.passphrase else None
            context.load_cert_chain(tls.certificate, tls.key, passphrase)
    except (OSError, ssl.SSLError) as exc:
        raise AdapterError("adapter.configuration_invalid", f"{at}.connection.tls: {exc}") from exc
    return context


def with_port(address: str, port: int | None) -> str:
    """Return the address with another TCP port, or unchanged without one."""
    if port is None:
        return address
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return urlunsplit(parts._replace(netloc=f"{host}:{port}"))
