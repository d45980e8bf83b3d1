# SPDX-License-Identifier: Apache-2.0
"""Where a secret is: a reference that settings may hold, and the secret itself, which shows itself nowhere.

| reference | the secret is |
|---|---|
| `env:NAME` | the value of an environment variable |
| `file:PATH` | the content of a file that only its owner, and at most its group, may read |
| `credential:NAME` | a file of that name in `$CREDENTIALS_DIRECTORY`, where systemd puts them |
| `fd:N` | what can be read from an open file descriptor, until its end; it is read once and closed |

Line ends at the end do not belong to the secret. Nothing else is accepted, an inline secret above all, and no
message repeats what was given.

Source: systemd.exec(5), "Credentials".
"""

from __future__ import annotations

import hmac
import os
import re
import threading
from typing import TYPE_CHECKING, Any, Never

from pydantic_core import core_schema

from hub.custody.privatefiles import MOST_BYTES, read_private_file
from hub.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMS = "env:NAME, file:PATH, credential:NAME or fd:N"

_DESCRIPTOR = re.compile(r"[0-9]{1,4}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9._-]{1,255}")
_STANDARD_OUTPUTS = frozenset({1, 2})
_read_descriptors: set[int] = set()
_descriptors_lock = threading.Lock()


class Secret:
    """A secret and where it came from; printed, logged or written as JSON it shows only the latter.

    Args:
        reference: where it was read; for people.
        value: the secret.
    """

    __slots__ = ("_value", "reference")

    def __init__(self, reference: str, value: str) -> None:
        self.reference = reference
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return f"<secret from {self.reference}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode("utf-8"), other._value.encode("utf-8"))

    def __hash__(self) -> int:
        return hash(self.reference)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> Never:
        raise TypeError("a secret is not pickled")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> core_schema.CoreSchema:
        """Let models hold a secret, and write its reference where they are written out."""
        written = core_schema.plain_serializer_function_ser_schema(
            _reference_of, return_schema=core_schema.str_schema()
        )
        return core_schema.is_instance_schema(cls, serialization=written)


def _reference_of(secret: Secret) -> str:
    return secret.reference


def is_reference(text: str) -> bool:
    """Tell whether a text has the form of a reference."""
    scheme, _, rest = text.partition(":")
    return bool(rest) and scheme in _READERS


def read_secret(reference: str, *, folder: Path, environment: Mapping[str, str]) -> Secret:
    """Read the secret a reference names.

    Args:
        reference: see the table above.
        folder: where a relative `file:` path starts.
        environment: what `env:` and `credential:` refer to.

    Raises:
        SettingsError: `settings.secret_missing` when it is not there or empty, `settings.secret_exposed` when
            others may read its file, `settings.invalid` when it is no reference.
    """
    scheme, _, rest = reference.partition(":")
    reader = _READERS.get(scheme)
    if reader is None or not rest:
        raise SettingsError("settings.invalid", f"a secret is a reference: {FORMS}")
    raw = reader(rest, folder, environment)
    try:
        value = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        # The error would carry the secret's bytes.
        raise SettingsError("settings.secret_missing", f"{reference} is not UTF-8") from None
    if not value:
        raise SettingsError("settings.secret_missing", f"{reference} is empty")
    return Secret(reference, value)


def _from_environment(name: str, folder: Path, environment: Mapping[str, str]) -> bytes:
    del folder
    if not environment.get(name):
        raise SettingsError("settings.secret_missing", f"the environment has no {name}")
    return environment[name].encode("utf-8")


def _from_file(path: str, folder: Path, environment: Mapping[str, str]) -> bytes:
    del environment
    return _read_file(folder / path, f"file:{path}")


def _from_credential(name: str, folder: Path, environment: Mapping[str, str]) -> bytes:
    place = environment.get("CREDENTIALS_DIRECTORY")
    if not place:
        raise SettingsError("settings.secret_missing", "systemd gave this process no CREDENTIALS_DIRECTORY")
    if not _CREDENTIAL.fullmatch(name) or name in {".", ".."}:
        raise SettingsError("settings.invalid", "a credential's name has letters, digits, '.', '_' and '-'")
    return _read_file(folder / place / name, f"credential:{name}")


def _read_file(path: Path, reference: str) -> bytes:
    try:
        content, exposure = read_private_file(path, follows_links=True)
    except (OSError, ValueError) as exc:
        raise SettingsError("settings.secret_missing", f"{reference} cannot be read from {path}") from exc
    if exposure:
        raise SettingsError("settings.secret_exposed", f"{path}: {exposure}")
    return content


def _from_descriptor(number: str, folder: Path, environment: Mapping[str, str]) -> bytes:
    del folder, environment
    if not _DESCRIPTOR.fullmatch(number) or int(number) in _STANDARD_OUTPUTS:
        raise SettingsError(
            "settings.invalid", "fd: takes the number of a descriptor that is open for reading"
        )
    descriptor = int(number)
    with _descriptors_lock:
        # Once closed, the number may be given to any other file, whose content is no secret of ours.
        if descriptor in _read_descriptors:
            raise SettingsError("settings.secret_missing", f"fd:{number} was read before; it is read once")
        _read_descriptors.add(descriptor)
    try:
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as exc:
        raise SettingsError("settings.secret_missing", f"fd:{number} cannot be read") from exc
    if len(content) > MOST_BYTES:
        raise SettingsError("settings.secret_missing", f"fd:{number} gives more than {MOST_BYTES} bytes")
    return content


_READERS: dict[str, Any] = {
    "env": _from_environment,
    "file": _from_file,
    "credential": _from_credential,
    "fd": _from_descriptor,
}
