# SPDX-License-Identifier: Apache-2.0
"""The data keys in a folder of their own, each wrapped under the master key; never in the database.

    <key id>.key      {"created_at", "format": "heliograph-vault-key/1", "key", "master", "wrapped"}
    <key id>.erased   the record of its erasure; nothing is encrypted under that name again

What is wrapped is the data key and SHA-256 of the format and the key id, so that a file that was renamed does
not open. A file is there whole or not at all, and on disk before the key is used. Of several processes that
make the same key exactly one wins, the others use what it made.

Source: RFC 3394; hub.custody (WrappingKey, private files).
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.canonical import encode_canonical
from hub.clock import format_instant
from hub.custody import exposure_of, read_private_file, write_private_file
from hub.errors import TrustError, VaultError
from hub.vault.keyids import KeyId
from hub.vault.sealing import DATA_KEY_BYTES, DataKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from hub.custody import WrappingKey

FORMAT = "heliograph-vault-key/1"
_KEY, _ERASED = ".key", ".erased"


@dataclass(frozen=True)
class KeyFolder:
    """Data keys as files.

    Attributes:
        path: of the folder; it belongs on another disk or share than the database, and in other backups.
        masters: the master keys; the first wraps new keys, all of them open old ones.
    """

    path: Path
    masters: Sequence[WrappingKey]

    def prepare(self) -> None:
        """Make the folder, or check the one that is there.

        Raises:
            VaultError: `vault.keys_exposed`: others may look into it or change it.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = self.path.stat()
        if exposure := exposure_of(status.st_mode, status.st_uid):
            raise VaultError("vault.keys_exposed", f"the folder {self.path.name}: {exposure}")

    def create(self, key_id: KeyId, now: datetime) -> DataKey:
        """Make a key, or open the one that another process made first.

        Raises:
            VaultError: as `read`.
            TrustError: the master key's token is away.
        """
        secret = os.urandom(DATA_KEY_BYTES)
        content = self._encode(key_id, secret, format_instant(now))
        try:
            write_private_file(self._file(key_id), content)
        except FileExistsError:
            return self.read(key_id)
        except OSError as exc:
            raise VaultError("vault.key_missing", f"{key_id} cannot be written") from exc
        if self.erasure(key_id) is not None:
            # Destroyed in the meantime, or before: its name is never used again.
            _overwrite(self._file(key_id))
            raise VaultError("vault.erased", f"the key {key_id} was destroyed")
        return DataKey(key_id, secret)

    def read(self, key_id: KeyId) -> DataKey:
        """Open a key.

        Raises:
            VaultError: `vault.key_missing`, `vault.keys_exposed`; `vault.damaged` when the file is another
                key's or was changed, or its master key is none of those given.
            TrustError: the master key's token is away.
        """
        fields = self._fields(key_id)
        master = next((each for each in self.masters if each.fingerprint == fields["master"]), None)
        if master is None:
            detail = f"{key_id} is wrapped under the master key {fields['master']}, which is not given"
            raise VaultError("vault.damaged", detail)
        return DataKey(key_id, _unwrap(master, key_id, fields["wrapped"]))

    def rewrap(self, key_id: KeyId) -> bool:
        """Wrap a key under the first master key; return whether that was needed.

        Raises:
            VaultError: as `read`.
            TrustError: a master key's token is away.
        """
        with self.locked():
            fields = self._fields(key_id)
            if fields["master"] == self.masters[0].fingerprint:
                return False
            master = next((each for each in self.masters if each.fingerprint == fields["master"]), None)
            if master is None:
                raise VaultError("vault.damaged", f"no master key given opens {key_id}")
            secret = _unwrap(master, key_id, fields["wrapped"])
            content = self._encode(key_id, secret, fields["created_at"])
            write_private_file(self._file(key_id), content, replaces=True)
        return True

    def key_ids(self) -> tuple[KeyId, ...]:
        """Return the names of the keys that are there, the oldest first."""
        found = []
        for file in self.path.glob(f"*{_KEY}"):
            try:
                found.append(KeyId.parse(file.name.removesuffix(_KEY)))
            except ValueError:
                continue  # Not a key of ours; files being written begin with a dot.
        return tuple(sorted(found))

    def master_of(self, key_id: KeyId) -> str:
        """Return the fingerprint of the master key a key is wrapped under.

        Raises:
            VaultError: as `read`.
        """
        fingerprint: str = self._fields(key_id)["master"]
        return fingerprint

    def erasure(self, key_id: KeyId) -> bytes | None:
        """Return the record left in place of a destroyed key, or None."""
        try:
            return self._file(key_id, _ERASED).read_bytes()
        except FileNotFoundError:
            return None

    def destroy(self, key_id: KeyId, record: bytes) -> None:
        """Overwrite and remove a key, and leave the record of it in its place; doing it twice does no harm.

        The record is on disk first: whatever happens then, nobody makes a key of this name again. A copy that
        a crash left beside the key, under a name that begins with a dot, goes with it.

        Raises:
            VaultError: `vault.key_missing`: the folder cannot be written.
        """
        try:
            with self.locked():
                if self.erasure(key_id) is None:
                    write_private_file(self._file(key_id, _ERASED), record)
                for file in [self._file(key_id), *self.path.glob(f".{key_id}{_KEY}.*")]:
                    _overwrite(file)
                self._flush()
        except OSError as exc:
            raise VaultError("vault.key_missing", f"{key_id} cannot be destroyed") from exc

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from destroying or rewrapping keys meanwhile."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _flush(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _file(self, key_id: KeyId, suffix: str = _KEY) -> Path:
        return self.path / f"{key_id}{suffix}"

    def _encode(self, key_id: KeyId, secret: bytes, created_at: str) -> bytes:
        master = self.masters[0]
        return encode_canonical(
            {
                "created_at": created_at,
                "format": FORMAT,
                "key": str(key_id),
                "master": master.fingerprint,
                "wrapped": master.wrap(secret + _binding(key_id)).hex(),
            }
        )

    def _fields(self, key_id: KeyId) -> dict[str, Any]:
        try:
            content, exposure = read_private_file(self._file(key_id))
        except (OSError, ValueError) as exc:
            raise VaultError("vault.key_missing", f"{key_id} is not in the key folder") from exc
        if exposure:
            raise VaultError("vault.keys_exposed", f"{key_id}: {exposure}")
        try:
            fields: dict[str, Any] = json.loads(content)
            fields["wrapped"] = bytes.fromhex(fields["wrapped"])
            is_ours = fields["format"] == FORMAT and isinstance(fields["master"], str)
        except (ValueError, TypeError, KeyError) as exc:
            raise VaultError("vault.damaged", f"the file of {key_id} is not one the vault writes") from exc
        if not is_ours:
            raise VaultError("vault.damaged", f"the file of {key_id} is not one the vault writes")
        return fields


def _binding(key_id: KeyId) -> bytes:
    return hashlib.sha256(f"{FORMAT}\n{key_id}".encode("ascii")).digest()


def _unwrap(master: WrappingKey, key_id: KeyId, wrapped: bytes) -> bytes:
    try:
        opened = master.unwrap(wrapped)
    except TrustError as exc:
        if exc.code != "trust.key_unusable":
            raise
        raise VaultError("vault.damaged", f"the file of {key_id} was changed") from exc
    secret, binding = opened[:DATA_KEY_BYTES], opened[DATA_KEY_BYTES:]
    if not hmac.compare_digest(binding, _binding(key_id)):
        raise VaultError("vault.damaged", f"the file of {key_id} holds another key")
    return secret


def _overwrite(file: Path) -> None:
    """Write over a file where it lies, bring that to disk, and remove it.

    Copies that a disk or file system makes by itself are out of reach; what they hold is wrapped.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.write(descriptor, os.urandom(max(os.fstat(descriptor).st_size, 1)))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    file.unlink()
