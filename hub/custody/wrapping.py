# SPDX-License-Identifier: Apache-2.0
"""Keys that encrypt other keys: an AES-256 key in an encrypted file, or in a PKCS#11 token it never leaves.

Wrapped is by AES Key Wrap. It needs no nonce, so nothing can be reused, and it tells a wrapped key that was
changed, or wrapped under another key, from one that was not.

Source: RFC 3394; NIST SP 800-38F (KW); RFC 5208 (the file: PKCS#8 with the algorithm id-aes256-wrap,
encrypted like every other key's).
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Never, Protocol

from asn1crypto import core
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from hub.custody.encryption import decrypt_key
from hub.custody.files import not_decrypted, read_encrypted, write_encrypted
from hub.custody.places import TokenPlace
from hub.errors import TrustError

if TYPE_CHECKING:
    from pathlib import Path

    from hub.custody.places import KeyPlace
    from hub.custody.secrets import Secret

_AES256_WRAP = "2.16.840.1.101.3.4.1.45"
KEY_BYTES = 32
_CHALLENGE = b"heliograph: which wrapping key? "


class WrappingKey(Protocol):
    """A key that encrypts other keys, wherever it is kept; safe for several threads."""

    @property
    def fingerprint(self) -> str:
        """What tells it from other keys without telling anything about it: 16 hex digits."""
        ...

    def wrap(self, secret: bytes) -> bytes:
        """Encrypt a secret of 16 or more octets, a multiple of 8; the result is 8 octets longer.

        Raises:
            TrustError: `trust.token_unavailable` while the token is away, and as on opening.
        """
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the secret.

        Raises:
            TrustError: `trust.key_unusable`: it was wrapped under another key, or changed since.
        """
        ...


class FileWrappingKey:
    """A wrapping key of this process; only what it does is kept here, so nothing can print or pickle it."""

    __slots__ = ("fingerprint", "unwrap", "wrap")

    def __init__(self, key: bytes) -> None:
        def wrap(secret: bytes) -> bytes:
            return aes_key_wrap(key, secret)

        def unwrap(wrapped: bytes) -> bytes:
            try:
                return aes_key_unwrap(key, wrapped)
            except InvalidUnwrap as exc:
                raise not_wrapped() from exc

        self.wrap = wrap
        self.unwrap = unwrap
        self.fingerprint = fingerprint_of(wrap(_CHALLENGE))

    def __repr__(self) -> str:
        return f"<wrapping key {self.fingerprint}>"

    def __reduce__(self) -> Never:
        raise TypeError("a wrapping key is not pickled")


class _Algorithm(core.Sequence):  # type: ignore[misc] # asn1crypto has no types.
    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]  # noqa: RUF012 (asn1crypto's way)


class _SecretKeyInfo(core.Sequence):  # type: ignore[misc] # asn1crypto has no types.
    """PrivateKeyInfo of RFC 5208 for a key asn1crypto has no name for."""

    _fields = [  # noqa: RUF012 (asn1crypto's way)
        ("version", core.Integer),
        ("private_key_algorithm", _Algorithm),
        ("private_key", core.OctetString),
    ]


def open_wrapping_key(place: KeyPlace, secret: Secret, *, module: Path | None = None) -> WrappingKey:
    """Open a wrapping key.

    Args:
        place: a file, or an AES key in a token.
        secret: the file's passphrase, or the token's PIN.
        module: the PKCS#11 library where `place` names none.

    Raises:
        TrustError: `trust.key_unusable`, `trust.key_exposed`, `trust.token_unavailable`,
            `trust.token_pin_refused`, `trust.token_pin_locked`.
    """
    if isinstance(place, TokenPlace):
        # The PKCS#11 binding is loaded only where there is a token.
        from hub.custody.tokenwrapping import TokenWrappingKey  # noqa: PLC0415

        return TokenWrappingKey(place, secret, module)
    return FileWrappingKey(_read(place, secret.reveal().encode("utf-8")))


def generate_wrapping_key(place: KeyPlace, secret: Secret, *, module: Path | None = None) -> WrappingKey:
    """Make a wrapping key where nothing is yet, and open it there.

    Raises:
        TrustError: `trust.key_exists`; otherwise as `open_wrapping_key`.
    """
    if isinstance(place, TokenPlace):
        # The PKCS#11 binding is loaded only where there is a token.
        from hub.custody.tokenwrapping import generate_in_token  # noqa: PLC0415

        return generate_in_token(place, secret, module)
    algorithm = {"algorithm": _AES256_WRAP}
    info = _SecretKeyInfo(
        {"version": 0, "private_key_algorithm": algorithm, "private_key": os.urandom(KEY_BYTES)}
    )
    write_encrypted(place, info.dump(), secret.reveal().encode("utf-8"))
    return open_wrapping_key(place, secret)


def fingerprint_of(wrapped_challenge: bytes) -> str:
    """Return the short name of the key that wrapped the challenge."""
    return hashlib.sha256(wrapped_challenge).hexdigest()[:16]


def challenge() -> bytes:
    """Return what every wrapping key wraps once, for its fingerprint; nobody wraps it for another purpose."""
    return _CHALLENGE


def not_wrapped() -> TrustError:
    """Return the refusal of a wrapped key that does not open."""
    return TrustError("trust.key_unusable", "a wrapped key was wrapped under another key, or was changed")


def _read(path: Path, passphrase: bytes) -> bytes:
    content = read_encrypted(path)
    try:
        info = _SecretKeyInfo.load(decrypt_key(content, passphrase), strict=True)
        algorithm = info["private_key_algorithm"]["algorithm"].dotted
        key: bytes = info["private_key"].native
    except (ValueError, TypeError) as exc:
        raise not_decrypted(path) from exc
    if algorithm != _AES256_WRAP or len(key) != KEY_BYTES:
        raise TrustError("trust.key_unusable", f"{path.name} holds no AES-256 key that wraps keys")
    return key
