# SPDX-License-Identifier: Apache-2.0
"""Where a private key is: the path of its file, or the URI of an object in a PKCS#11 token.

Source: RFC 7512.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote_to_bytes

SCHEME = "pkcs11:"

_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TEXTS = ("token", "manufacturer", "serial", "model", "object")
_KNOWN = frozenset({*_TEXTS, "id", "type"})


@dataclass(frozen=True)
class TokenPlace:
    """A private key in a token: an RFC 7512 URI, taken apart.

    Attributes:
        token: label of the token; this or its serial number is given.
        serial: its serial number.
        manufacturer: who made it.
        model: its model.
        object: label of the key; this or its id is given.
        id: CKA_ID of the key.
        module: the PKCS#11 library; None leaves it to the settings.
    """

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None
    module: Path | None = None

    def __str__(self) -> str:
        """Return the URI; it holds no secret."""
        parts = [f"{name}={quote(value, safe='')}" for name in _TEXTS if (value := getattr(self, name))]
        if self.id:
            parts.append(f"id={''.join(f'%{octet:02x}' for octet in self.id)}")
        module = f"?module-path={quote(str(self.module), safe='/')}" if self.module else ""
        return f"{SCHEME}{';'.join(parts)}{module}"


KeyPlace: TypeAlias = Path | TokenPlace


def read_key_place(text: str, folder: Path) -> KeyPlace:
    """Return the place a setting names.

    Args:
        text: a path, or a URI that begins with `pkcs11:`.
        folder: where a relative path starts.

    Raises:
        ValueError: the URI has not its form, could mean several keys, or carries a PIN.
    """
    return read_token_uri(text) if text.startswith(SCHEME) else folder / text


def read_token_uri(uri: str) -> TokenPlace:
    """Take an RFC 7512 URI apart.

    Stricter than the RFC: attributes nobody knows are refused, and a token and a key have to be named, so
    that a URI never means whatever happens to be plugged in.

    Raises:
        ValueError: saying what is wrong without repeating a value; it may be a PIN.

    Source: RFC 7512 sections 2.3 and 2.4.
    """
    path, _, query = uri.removeprefix(SCHEME).partition("?")
    attributes, queries = _pairs(path, ";"), _pairs(query, "&")
    if unknown := sorted(attributes.keys() - _KNOWN):
        raise ValueError(f"a token's key has no attribute {unknown[0]!r}")
    if queries.keys() & {"pin-value", "pin-source"}:
        raise ValueError("a PIN does not stand in a URI; it is the key's passphrase, by reference")
    if unknown := sorted(queries.keys() - {"module-path"}):
        raise ValueError(f"a token's key has no query attribute {unknown[0]!r}")
    if attributes.get("type", b"private") != b"private":
        raise ValueError("the type of a key that signs is 'private'")
    try:
        texts = {name: attributes[name].decode("utf-8") for name in _TEXTS if name in attributes}
        module = queries["module-path"].decode("utf-8") if "module-path" in queries else None
    except UnicodeDecodeError:
        raise ValueError("an attribute is not UTF-8") from None
    if not (texts.get("token") or texts.get("serial")):
        raise ValueError("the URI names no token: token= or serial= is needed")
    if not (texts.get("object") or attributes.get("id")):
        raise ValueError("the URI names no key: object= or id= is needed")
    return TokenPlace(**texts, id=attributes.get("id"), module=Path(module) if module else None)


def _pairs(text: str, separator: str) -> dict[str, bytes]:
    pairs: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if not equals or name in pairs or _PERCENT.search(value):
            raise ValueError("an attribute has no value, stands twice, or is not percent-encoded")
        pairs[name] = unquote_to_bytes(value)
    return pairs
