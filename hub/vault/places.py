# SPDX-License-Identifier: Apache-2.0
"""Where archives lie: a folder, or a bucket of an object store that speaks S3.

A place is a URL: a path, `file:///srv/archives`, or `s3://bucket/prefix`. Credentials never stand in it; they
come from the settings, by reference, and no message or URL repeats them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from hub.errors import VaultError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.custody import Secret

_ATTEMPTS = 3
_LONGEST = timedelta(seconds=60)


@dataclass(frozen=True)
class S3Access:
    """How to reach object stores.

    Attributes:
        endpoint: URL of the store; None is Amazon's own.
        region: as the store calls it.
        access_key: the id of the key.
        secret_key: the key.
    """

    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: Secret | None = None


@dataclass(frozen=True)
class ArchivePlace:
    """A folder or bucket that holds archives, by their paths inside it.

    Attributes:
        url: without credentials.
    """

    url: str
    _store: Any = field(repr=False, compare=False)
    _folder: Path | None = field(default=None, repr=False)

    def put(self, path: str, file: Path) -> None:
        """Store a file; when this returns it is durable.

        Raises:
            VaultError: `vault.archive_unreachable`.
        """
        try:
            with file.open("rb") as content:
                obstore.put(self._store, path, content)
            if self._folder is not None:
                _flush(self._folder / path, self._folder)
        except (BaseError, OSError) as exc:
            raise self._failure(path, exc) from None

    def read(self, path: str) -> bytes:
        """Return a whole file.

        Raises:
            VaultError: `vault.archive_missing`, `vault.archive_unreachable`.
        """
        try:
            return bytes(obstore.get(self._store, path).bytes())
        except (BaseError, OSError) as exc:
            raise self._failure(path, exc) from None

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Return part of a file, and nothing more than that.

        Raises:
            VaultError: as `read`.
        """
        try:
            return bytes(obstore.get_range(self._store, path, start=start, length=length))
        except (BaseError, OSError, ValueError) as exc:
            raise self._failure(path, exc) from None

    def size(self, path: str) -> int:
        """Return how large a file is, octets.

        Raises:
            VaultError: as `read`.
        """
        try:
            return int(obstore.head(self._store, path)["size"])
        except (BaseError, OSError) as exc:
            raise self._failure(path, exc) from None

    def names(self, folder: str) -> Iterator[str]:
        """Return the paths of the files under a folder of the place, sorted.

        Raises:
            VaultError: `vault.archive_unreachable`.
        """
        try:
            found = [each["path"] for chunk in obstore.list(self._store, f"{folder}/") for each in chunk]
        except (BaseError, OSError) as exc:
            raise self._failure(folder, exc) from None
        yield from sorted(found)

    def _failure(self, path: str, error: Exception) -> VaultError:
        # What the store says may repeat headers of the request, so only its kind is told.
        detail = f"{path} in {self.url}: {type(error).__name__}"
        is_missing = isinstance(error, FileNotFoundError)
        return VaultError("vault.archive_missing" if is_missing else "vault.archive_unreachable", detail)


@dataclass(frozen=True)
class ArchivePlaces:
    """Opens places, each once.

    Attributes:
        access: to object stores.
    """

    access: S3Access = field(default_factory=S3Access)
    _opened: dict[str, ArchivePlace] = field(default_factory=dict, repr=False)

    def open(self, url: str) -> ArchivePlace:
        """Return a place.

        Raises:
            VaultError: `vault.archive_place_invalid`: it is no path and no URL of this kind.
        """
        if url not in self._opened:
            self._opened[url] = _open(url, self.access)
        return self._opened[url]


def _open(url: str, access: S3Access) -> ArchivePlace:
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username or parts.password:
        raise VaultError("vault.archive_place_invalid", "a place has no query and carries no credentials")
    if parts.scheme in {"", "file"} and not (parts.scheme and parts.netloc):
        folder = Path(unquote(parts.path) if parts.scheme else url)
        try:
            return ArchivePlace(url, LocalStore(folder, mkdir=True), folder)
        except (BaseError, OSError, ValueError) as exc:
            raise VaultError("vault.archive_unreachable", f"{url}: {type(exc).__name__}") from None
    if parts.scheme == "s3" and parts.netloc:
        return ArchivePlace(url, _open_bucket(parts.netloc, parts.path.strip("/"), access))
    raise VaultError("vault.archive_place_invalid", "a place is a path, file:///path or s3://bucket/prefix")


def _open_bucket(bucket: str, prefix: str, access: S3Access) -> S3Store:
    more: dict[str, Any] = {}
    if access.endpoint:
        # Other stores than Amazon's seldom give every bucket a name of its own in the DNS.
        more |= {"endpoint": access.endpoint, "virtual_hosted_style_request": False}
        more["client_options"] = {"allow_http": access.endpoint.startswith("http://")}
    if access.access_key and access.secret_key:
        more |= {"access_key_id": access.access_key, "secret_access_key": access.secret_key.reveal()}
    retries: Any = {"max_retries": _ATTEMPTS, "retry_timeout": _LONGEST}
    return S3Store(bucket, prefix=prefix or None, region=access.region, retry_config=retries, **more)


def _flush(file: Path, top: Path) -> None:
    """Bring a file, and the folders that lead to it, to disk."""
    for path in (file, *(each for each in file.parents if each == top or top in each.parents)):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
