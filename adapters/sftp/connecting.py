# SPDX-License-Identifier: Apache-2.0
"""Connecting to an SFTP server: its host key is a pinned one, who signs in is whom the description names."""

from __future__ import annotations

import hashlib
import io
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import paramiko

from adapters.sftp.protocol import PACKET_BYTES, WINDOW_BYTES, ProtocolError, SftpClient, Status, StatusError
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adapters.addresses import AddressGuard
    from adapters.sftp.settings import ServerSettings

_KEY_CLASSES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


def read_private_key(text: str, passphrase: str | None) -> paramiko.PKey:
    """Return a private key from its OpenSSH or PEM text.

    Raises:
        ValueError: it is none, or the passphrase is wrong.
    """
    for key_class in _KEY_CLASSES:
        try:
            return key_class.from_private_key(io.StringIO(text), passphrase)
        except (paramiko.SSHException, ValueError):
            continue
    raise ValueError("not a private key of type Ed25519, ECDSA or RSA, or a wrong passphrase")


def parse_host_keys(lines: Sequence[str]) -> dict[str, set[str]]:
    """Return the pinned keys, base64, by key type.

    Raises:
        ValueError: a line is not `type base64`.
    """
    keys: dict[str, set[str]] = {}
    for line in lines:
        words = line.split()
        if len(words) < 2 or not words[1].startswith("AAAA"):
            raise ValueError("a host key is written as in known_hosts, without the host: ssh-ed25519 AAAA…")
        keys.setdefault(words[0], set()).add(words[1])
    return keys


class Patience(Protocol):
    """How long somebody is prepared to wait."""

    @property
    def seconds_left(self) -> float:
        """The seconds one more operation may take.

        Raises:
            AdapterError: `adapter.system_timeout`, there are none left.
        """
        ...


class Deadline:
    """The end of the time a call has."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """The seconds that remain.

        Raises:
            AdapterError: `adapter.system_timeout`, none do.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise AdapterError("adapter.system_timeout", "no finished answer file in time")
        return left


@dataclass(frozen=True)
class Stillness:
    """No end, as long as something moves.

    Attributes:
        seconds_left: how long nothing may come.
    """

    seconds_left: float


@dataclass(frozen=True)
class Login:
    """Where to connect, whom to find there, and as whom to sign in."""

    settings: ServerSettings
    guard: AddressGuard
    host_keys: Mapping[str, set[str]]
    key: paramiko.PKey | None

    @classmethod
    def of(cls, settings: ServerSettings, guard: AddressGuard, *, at: str) -> Login:
        """Read the keys a description has.

        Raises:
            AdapterError: `adapter.configuration_invalid`, one cannot be used.
        """
        try:
            host_keys = parse_host_keys(settings.host_keys)
            passphrase = settings.passphrase.reveal() if settings.passphrase else None
            private = settings.private_key
            key = read_private_key(private.reveal(), passphrase) if private else None
        except ValueError as exc:
            raise AdapterError("adapter.configuration_invalid", f"{at}.connection: {exc}") from exc
        return cls(settings, guard, host_keys, key)


@contextmanager
def connected(login: Login, patience: Patience) -> Iterator[tuple[SftpClient, paramiko.Channel]]:
    """Connect, check the host key, sign in, and close at the end.

    Raises:
        AdapterError: `adapter.address_forbidden`, `adapter.host_key_mismatch`, `adapter.system_unreachable`,
            `adapter.system_timeout`, `adapter.access_denied`, or `adapter.system_fault` when the sign-in is
            refused or a file cannot be handled.
    """
    connection = login.guard.connect(login.settings.host, login.settings.port, patience.seconds_left)
    transport = None
    try:
        transport = paramiko.Transport(
            connection, default_window_size=WINDOW_BYTES, default_max_packet_size=PACKET_BYTES
        )
        _sign_in(transport, login, patience)
        channel = transport.open_session(
            window_size=WINDOW_BYTES, max_packet_size=PACKET_BYTES, timeout=patience.seconds_left
        )
        channel.settimeout(patience.seconds_left)
        yield SftpClient(channel), channel
    except paramiko.AuthenticationException as exc:
        if transport is None or not transport.is_active():
            # paramiko calls a connection that ends at this moment a refusal too.
            detail = "the connection ended during the sign-in"
            raise AdapterError("adapter.system_unreachable", detail) from exc
        raise AdapterError("adapter.system_fault", "the server refuses the sign-in") from exc
    except TimeoutError as exc:
        raise AdapterError("adapter.system_timeout", "the server stopped answering") from exc
    except (paramiko.SSHException, EOFError, ConnectionError) as exc:
        raise AdapterError("adapter.system_unreachable", f"{type(exc).__name__}: {exc}") from exc
    except StatusError as exc:
        raise _refused(exc) from exc
    except ProtocolError as exc:
        raise AdapterError("adapter.system_fault", f"the server breaks the protocol: {exc}") from exc
    finally:
        if transport is not None:
            transport.close()
        connection.close()


def _refused(error: StatusError) -> AdapterError:
    # A status holds paths, but no records.
    if error.status is Status.PERMISSION_DENIED:
        return AdapterError("adapter.access_denied", str(error))
    return AdapterError("adapter.system_fault", str(error))


def _sign_in(transport: paramiko.Transport, login: Login, patience: Patience) -> None:
    host_keys, settings = login.host_keys, login.settings
    # Only pinned types are negotiated, or a server with several keys might show one that is not pinned.
    known = transport.get_security_options().key_types
    wanted = [
        name for name in known if name in host_keys or ("ssh-rsa" in host_keys and name.startswith("rsa-"))
    ]
    if not wanted:
        raise AdapterError("adapter.host_key_mismatch", "no pinned key is of a supported type")
    transport.get_security_options().key_types = wanted
    options = transport.get_security_options()
    # AES-GCM costs a quarter less than AES-CTR with its HMAC; what else there is stays behind it.
    options.ciphers = sorted(options.ciphers, key=lambda name: "-gcm@" not in name)
    transport.banner_timeout = transport.auth_timeout = transport.handshake_timeout = patience.seconds_left
    try:
        transport.start_client(timeout=patience.seconds_left)
    except paramiko.ssh_exception.IncompatiblePeer as exc:
        if "host key" not in str(exc):
            raise
        raise AdapterError("adapter.host_key_mismatch", "the server has no key of a pinned type") from exc
    shown = transport.get_remote_server_key()
    if shown.get_base64() not in host_keys.get(shown.get_name(), set()):
        digest = hashlib.sha256(shown.asbytes()).hexdigest()
        raise AdapterError(
            "adapter.host_key_mismatch", f"the server shows {shown.get_name()} SHA-256 {digest}"
        )
    if login.key is not None:
        transport.auth_publickey(settings.username, login.key)
    elif settings.password is not None:
        _sign_in_by_password(transport, settings.username, settings.password.reveal())


def _sign_in_by_password(transport: paramiko.Transport, username: str, password: str) -> None:
    try:
        transport.auth_password(username, password, fallback=False)
    except paramiko.BadAuthenticationType as exc:
        if "keyboard-interactive" not in exc.allowed_types:
            raise
        # Many servers ask for the same password by way of a dialogue; another question gets no answer.
        transport.auth_interactive(
            username, lambda _title, _instructions, prompts: [password] if len(prompts) == 1 else []
        )
