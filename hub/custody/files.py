# SPDX-License-Identifier: Apache-2.0
"""A private key in its file, encrypted.

Source: RFC 5208 and RFC 5958 (PKCS#8), RFC 8018 (its encryption).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from hub.custody.encryption import encrypt_key, encryption_weakness
from hub.custody.held import certify, read_chain
from hub.custody.privatefiles import read_private_file, write_private_file
from hub.errors import TrustError
from hub.trust import Sm2PrivateKey, signing_function

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from hub.trust import PrivateKey, PublicKey, SignatureAlgorithm, SigningKey


class FileHolder:
    """A key of this process; only what it does is kept here, so nothing can print, log or pickle it."""

    __slots__ = ("public_key", "signer")

    def __init__(self, key: PrivateKey) -> None:
        def signer(algorithm: SignatureAlgorithm) -> Callable[[bytes], bytes]:
            try:
                return signing_function(key, algorithm)
            except ValueError as exc:
                raise TrustError(
                    "trust.key_unusable", f"the key does not sign with {algorithm.name}"
                ) from exc

        self.public_key: PublicKey = key.public_key()
        self.signer = signer

    def __repr__(self) -> str:
        return "<private key in a file>"

    def __reduce__(self) -> Never:
        raise TypeError("a private key is not pickled")


def load_signing_key(key_path: Path, chain_path: Path, passphrase: bytes) -> SigningKey:
    """Read an encrypted private key and its certificate chain, and check that they fit.

    Args:
        key_path: encrypted PKCS#8 in PEM, see `read_key_file`.
        chain_path: PEM certificates, the signer's first, then its issuers up to but without the root.
        passphrase: of the key.

    Raises:
        TrustError: `trust.key_unusable` when a file is missing or not of this form, the passphrase is wrong,
            the key has an algorithm that is not allowed, or key and certificates do not belong together;
            `trust.key_exposed` when others may read or change the key's file.
    """
    holder = open_file_holder(key_path, passphrase)
    return certify(holder, read_chain(chain_path))


def open_file_holder(path: Path, passphrase: bytes) -> FileHolder:
    """Read an encrypted key that signs.

    Raises:
        TrustError: as `read_key_file`.
    """
    content = read_encrypted(path)
    try:
        return FileHolder(_decrypt(content, path, passphrase))
    except UnsupportedAlgorithm:
        return FileHolder(_decrypt_sm2(content, path, passphrase))


def read_key_file(path: Path, passphrase: bytes) -> PrivateKeyTypes:
    """Read an encrypted private key.

    Args:
        path: PKCS#8 in PEM; its encryption is one `encryption_weakness` has nothing against. Never a link.
        passphrase: of the key.

    Raises:
        TrustError: `trust.key_unusable` when the file is missing, a link, not of this form or weakly
            encrypted, or the passphrase is wrong; `trust.key_exposed` when others may read or change it.
    """
    content = read_encrypted(path)
    try:
        return _decrypt(content, path, passphrase)
    except UnsupportedAlgorithm as exc:
        raise TrustError("trust.key_unusable", f"{path.name} holds a key of no use here") from exc


def read_encrypted(path: Path) -> bytes:
    """Read an encrypted key's file and hold it to what is asked of one.

    Raises:
        TrustError: as `read_key_file`.
    """
    try:
        content, exposure = read_private_file(path)
        weakness = encryption_weakness(content)
    except OSError as exc:
        detail = f"the key file {path.name} cannot be read; it has to be a file and no link"
        raise TrustError("trust.key_unusable", detail) from exc
    except ValueError as exc:
        raise TrustError("trust.key_unusable", f"{path.name} is not an encrypted PKCS#8 key in PEM") from exc
    if exposure:
        raise TrustError("trust.key_exposed", f"the key file {path.name}: {exposure}")
    if weakness:
        raise TrustError("trust.key_unusable", f"{path.name} is weakly encrypted, by {weakness}")
    return content


def _decrypt(content: bytes, path: Path, passphrase: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(content, passphrase)
    except (ValueError, TypeError) as exc:
        raise not_decrypted(path) from exc


def _decrypt_sm2(content: bytes, path: Path, passphrase: bytes) -> Sm2PrivateKey:
    try:
        return Sm2PrivateKey(content, passphrase)
    except ValueError as exc:
        raise not_decrypted(path) from exc


def not_decrypted(path: Path) -> TrustError:
    """Return the refusal of a key file its passphrase does not open."""
    detail = f"{path.name} cannot be decrypted: the passphrase is wrong or the file is damaged"
    return TrustError("trust.key_unusable", detail)


def write_key_file(path: Path, key: PrivateKeyTypes, passphrase: bytes) -> None:
    """Write a private key, encrypted, readable by its owner only.

    Raises:
        TrustError: `trust.key_exists` when there is a file already, which stays; `trust.key_unusable` when
            the passphrase is empty or it cannot be written.
    """
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_encrypted(path, der, passphrase)


def write_encrypted(path: Path, der: bytes, passphrase: bytes) -> None:
    """Write a PKCS#8 structure, encrypted, readable by its owner only.

    Raises:
        TrustError: as `write_key_file`.
    """
    if not passphrase:
        raise TrustError("trust.key_unusable", "a key is not written without a passphrase")
    try:
        write_private_file(path, encrypt_key(der, passphrase))
    except FileExistsError as exc:
        raise TrustError("trust.key_exists", f"{path.name} is there; a key is never overwritten") from exc
    except OSError as exc:
        raise TrustError("trust.key_unusable", f"the key file {path.name} cannot be written") from exc
