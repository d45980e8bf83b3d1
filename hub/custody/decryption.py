# SPDX-License-Identifier: Apache-2.0
"""Private keys that open what others have encrypted to their certificates.

A key never leaves its holder: what is asked of it is a shared secret, or the content's key. Old keys are kept
beside the present one for as long as anything encrypted to them has to be read.

Source: NIST SP 800-56A rev. 3 section 5.7.1.2 (ECDH), RFC 8017 section 7.1.2 (RSAES-OAEP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from hub.custody.files import read_key_file
from hub.custody.held import is_same_key, read_chain
from hub.custody.places import TokenPlace
from hub.errors import TrustError
from hub.trust import describe

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from hub.custody.places import KeyPlace
    from hub.custody.secrets import Secret


class KeyOpener(Protocol):
    """Keeps one private key and does with it what opening takes."""

    def agree(self, point: ec.EllipticCurvePublicKey) -> bytes:
        """Return the shared secret with an ephemeral public key of the same curve.

        Raises:
            ValueError: the key is of another kind, or of another curve.
            TrustError: the key's token is away.
        """
        ...

    def decrypt(self, wrapped: bytes, label: bytes) -> bytes:
        """Return what was encrypted by RSAES-OAEP with SHA-256 and a label.

        Raises:
            ValueError: it does not open, or the key is of another kind.
            TrustError: the key's token is away.
        """
        ...


class DecryptionKey:
    """A private key and the certificates others encrypt to; it shows itself nowhere and is not pickled.

    Args:
        opener: keeps the key.
        chain: the certificate of the key, then its issuers up to but without the root.
    """

    __slots__ = ("_opener", "certificate_chain")

    def __init__(self, opener: KeyOpener, chain: tuple[x509.Certificate, ...]) -> None:
        self._opener = opener
        self.certificate_chain = chain

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate others encrypt to."""
        return self.certificate_chain[0]

    def agree(self, point: ec.EllipticCurvePublicKey) -> bytes:
        """Return the shared secret with an ephemeral public key; as `KeyOpener.agree`."""
        return self._opener.agree(point)

    def decrypt(self, wrapped: bytes, label: bytes) -> bytes:
        """Return what was encrypted by RSAES-OAEP; as `KeyOpener.decrypt`."""
        return self._opener.decrypt(wrapped, label)

    def __repr__(self) -> str:
        return f"<decryption key of {describe(self.certificate)}>"

    def __reduce__(self) -> Never:
        raise TypeError("a private key is not pickled")


class FileOpener:
    """A key of this process; only what it does is kept here, so nothing can print, log or pickle it."""

    __slots__ = ("agree", "decrypt")

    def __init__(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        def agree(point: ec.EllipticCurvePublicKey) -> bytes:
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError("an RSA key agrees on nothing")  # noqa: TRY004 - as for a wrong curve
            return key.exchange(ec.ECDH(), point)

        def decrypt(wrapped: bytes, label: bytes) -> bytes:
            if not isinstance(key, rsa.RSAPrivateKey):
                raise ValueError("an EC key decrypts nothing")  # noqa: TRY004 - as for a wrong ciphertext
            return key.decrypt(wrapped, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label))

        self.agree = agree
        self.decrypt = decrypt

    def __repr__(self) -> str:
        return "<private key in a file>"

    def __reduce__(self) -> Never:
        raise TypeError("a private key is not pickled")


def open_decryption_key(
    place: KeyPlace, chain: Path, secret: Secret, *, module: Path | None = None
) -> DecryptionKey:
    """Open a key that decrypts and check that it fits its certificates.

    Args:
        place: an encrypted PKCS#8 file, or an EC key in a token.
        chain: PEM certificates, the one others encrypt to first, then its issuers without the root.
        secret: the file's passphrase, or the token's PIN.
        module: the PKCS#11 library where `place` names none.

    Raises:
        TrustError: `trust.key_unusable`, `trust.key_exposed`, `trust.token_unavailable`,
            `trust.token_pin_refused`, `trust.token_pin_locked`.
    """
    certificates = read_chain(chain)
    if isinstance(place, TokenPlace):
        # The PKCS#11 binding is loaded only where there is a token.
        from hub.custody.tokenopening import TokenOpener  # noqa: PLC0415

        return DecryptionKey(TokenOpener(place, secret, module, certificates[0]), certificates)
    key = read_key_file(place, secret.reveal().encode("utf-8"))
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise TrustError("trust.key_unusable", f"{place.name}: keys that decrypt are EC or RSA keys")
    if not is_same_key(key.public_key(), certificates[0]):
        raise TrustError("trust.key_unusable", f"the key is not that of {describe(certificates[0])}")
    return DecryptionKey(FileOpener(key), certificates)
