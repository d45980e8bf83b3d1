# SPDX-License-Identifier: Apache-2.0
"""One SFTP session: the pinned host key, atomic publishing, and reading files that are finished.

OpenSSH's server cannot compute digests, so a file is finished when its `.sha256` beside it says so.
"""

from __future__ import annotations

import hashlib
import io
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import paramiko

from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapters.addresses import AddressGuard
    from adapters.sftp.settings import SftpSettings

_KEY_CLASSES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_DIGEST = re.compile(rb"([0-9a-fA-F]{64})(?:[ \t][^\r\n]*)?\r?\n?")


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


@contextmanager
def opened(
    settings: SftpSettings,
    host_keys: dict[str, set[str]],
    key: paramiko.PKey | None,
    deadline: Deadline,
    guard: AddressGuard,
) -> Iterator[Session]:
    """Connect, check the host key, sign in, and close at the end.

    Raises:
        AdapterError: `adapter.address_forbidden`, `adapter.host_key_mismatch`,
            `adapter.system_unreachable`, `adapter.system_timeout`, or
            `adapter.system_fault` when the sign-in is refused or a file cannot be handled.
    """
    connection = guard.connect(settings.host, settings.port, deadline.seconds_left)
    transport = None
    try:
        transport = paramiko.Transport(connection)
        _sign_in(transport, settings, host_keys, key, deadline)
        client = paramiko.SFTPClient.from_transport(transport)
        if client is None:
            raise AdapterError("adapter.system_fault", "the server opens no SFTP channel")
        yield Session(client, deadline, settings)
    except paramiko.AuthenticationException as exc:
        raise AdapterError("adapter.system_fault", "the server refuses the sign-in") from exc
    except TimeoutError as exc:
        raise AdapterError("adapter.system_timeout", "the server stopped answering") from exc
    except (paramiko.SSHException, EOFError, ConnectionError) as exc:
        raise AdapterError("adapter.system_unreachable", f"{type(exc).__name__}: {exc}") from exc
    except OSError as exc:
        # paramiko turns every SFTP status into an OSError; its text may hold paths, but no records.
        raise AdapterError("adapter.system_fault", f"{type(exc).__name__}: {exc}") from exc
    finally:
        if transport is not None:
            transport.close()
        connection.close()


def _sign_in(
    transport: paramiko.Transport,
    settings: SftpSettings,
    host_keys: dict[str, set[str]],
    key: paramiko.PKey | None,
    deadline: Deadline,
) -> None:
    # Only pinned types are negotiated, or a server with several keys might show one that is not pinned.
    known = transport.get_security_options().key_types
    wanted = [
        name for name in known if name in host_keys or ("ssh-rsa" in host_keys and name.startswith("rsa-"))
    ]
    if not wanted:
        raise AdapterError("adapter.host_key_mismatch", "no pinned key is of a supported type")
    transport.get_security_options().key_types = wanted
    transport.banner_timeout = transport.auth_timeout = transport.handshake_timeout = deadline.seconds_left
    try:
        transport.start_client(timeout=deadline.seconds_left)
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
    if key is not None:
        transport.auth_publickey(settings.username, key)
    elif settings.password is not None:
        transport.auth_password(settings.username, settings.password.reveal(), fallback=False)


class Session:
    """An open SFTP session within one call's time."""

    def __init__(self, client: paramiko.SFTPClient, deadline: Deadline, settings: SftpSettings) -> None:
        self._client = client
        self._deadline = deadline
        self._settings = settings

    def publish(self, folder: str, name: str, content: bytes) -> None:
        """Write a file under a name nobody looks for, then give it its own, in one step."""
        self._limit()
        hidden = f"{folder}/.{name}.part"
        with self._client.open(hidden, "wb") as file:
            file.write(content)
        self._client.posix_rename(hidden, f"{folder}/{name}")

    def wait_for(self, folder: str, name: str) -> tuple[bytes, str]:
        """Return a finished file and its SHA-256.

        A file without its sidecar, or still changing, is not finished and is not given out.

        Raises:
            AdapterError: `adapter.system_timeout`; `adapter.file_damaged`, the file stays other than its
                digest says; `adapter.answer_unreadable`, it is larger than allowed.
        """
        path = f"{folder}/{name}"
        unchanged_since: float | None = None
        last_state: tuple[int | None, int | None, str] | None = None
        while True:
            expected = self._digest(f"{path}.sha256")
            if expected is not None and self._exists(path):
                content = self._read(path)
                digest = hashlib.sha256(content).hexdigest()
                if digest == expected:
                    return content, digest
                state = (*self._state(path), expected)
                if state != last_state or unchanged_since is None:
                    last_state, unchanged_since = state, time.monotonic()
                elif time.monotonic() - unchanged_since >= self._settings.settle_seconds:
                    raise AdapterError("adapter.file_damaged", f"{name}: SHA-256 is {digest}, not {expected}")
            time.sleep(min(self._settings.poll_seconds, self._deadline.seconds_left))

    def archive(self, folder: str, name: str, archive: str, *, suffix: str = "") -> None:
        """Move a file away without overwriting an earlier one."""
        self._limit()
        target = f"{archive}/{name}{suffix}"
        number = 0
        while self._exists(target):
            number += 1
            target = f"{archive}/{name}{suffix}.{number}"
        self._client.rename(f"{folder}/{name}", target)

    def _digest(self, path: str) -> str | None:
        """Return the digest a sidecar states; None while there is none, or only a part of one."""
        if not self._exists(path):
            return None
        self._limit()
        with self._client.open(path, "rb") as file:
            match = _DIGEST.fullmatch(file.read(1024))
        return match[1].decode("ascii").lower() if match else None

    def _read(self, path: str) -> bytes:
        self._limit()
        with self._client.open(path, "rb") as file:
            size = file.stat().st_size or 0
            if size > self._settings.max_answer_bytes:
                raise AdapterError("adapter.answer_unreadable", f"the file has {size} bytes")
            # None lifts paramiko's own limit on open requests, which makes it wait for each reply.
            file.prefetch(size, max_concurrent_requests=None)
            return file.read(size)

    def _state(self, path: str) -> tuple[int | None, int | None]:
        attributes = self._client.stat(path)
        return attributes.st_size, attributes.st_mtime

    def _exists(self, path: str) -> bool:
        self._limit()
        try:
            self._client.stat(path)
        except FileNotFoundError:
            return False
        return True

    def _limit(self) -> None:
        """Let the next operation take no longer than the call has left."""
        channel = self._client.get_channel()
        if channel is not None:
            channel.settimeout(self._deadline.seconds_left)
