# SPDX-License-Identifier: Apache-2.0
"""Payloads only the recipient can read: encrypted, then signed with the rest of the message.

    encrypt_payloads     header + payloads + certificate   -> what travels
    require_encrypted    message                           -> to which certificate; nothing is decrypted
    decrypt_payloads     message + keys                    -> what was meant

Every payload is bound to its message: id, kind, sender, recipient, service, contract, and its own name. One
that was taken from another message is told from that alone, and does not open.

Source: docs/protocols/envelope.md section 12.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.canonical import encode_canonical
from hub.envelope.authenveloped import CertificateName, decrypt_content, encrypt_content, read_encrypted
from hub.envelope.model import Payload
from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cryptography import x509

    from hub.custody import DecryptionKey
    from hub.envelope.authenveloped import EncryptedContent
    from hub.envelope.model import Envelope, Header, PayloadEntry
    from hub.envelope.schemes import EncryptionScheme

ENCRYPTED_SUFFIX = ".p7m"
"""Ends the name of an encrypted payload; before it stands the name its content has in the contract."""

ENCRYPTED_MEDIA_TYPE = "application/pkcs7-mime"
"""RFC 8551 section 3.2; registered for AuthEnvelopedData in DER."""

_FORMAT = "heliograph-secrecy/1"


@dataclass(frozen=True)
class EncryptedFor:
    """What everybody sees of a message only its recipient can read.

    Attributes:
        certificate: what it is encrypted to.
        scheme: how.
        sizes: bytes of every payload's content, by the name its contract has for it.
    """

    certificate: CertificateName
    scheme: EncryptionScheme
    sizes: Mapping[str, int]


def encrypt_payloads(
    header: Header, payloads: Sequence[Payload], certificate: x509.Certificate
) -> tuple[Payload, ...]:
    """Encrypt payloads of a message to the recipient's certificate.

    Args:
        header: of the message; its `payload` may still be empty.
        payloads: as the contract names them.
        certificate: believed by the caller to be the recipient's.

    Raises:
        EnvelopeError: `envelope.algorithm_not_allowed`.
    """
    return tuple(
        Payload(
            payload.name + ENCRYPTED_SUFFIX,
            ENCRYPTED_MEDIA_TYPE,
            encrypt_content(payload.content, certificate, _bound(header, payload.name)),
        )
        for payload in payloads
    )


def is_encrypted(entry: PayloadEntry) -> bool:
    """Tell whether a line of the header's list says that its payload is encrypted."""
    return entry.media_type == ENCRYPTED_MEDIA_TYPE and entry.name.endswith(ENCRYPTED_SUFFIX)


def require_encrypted(envelope: Envelope) -> EncryptedFor:
    """Return for whom a message is encrypted; needs no key.

    Raises:
        EnvelopeError: `envelope.not_encrypted`: a payload is not, or there is none;
            `envelope.encryption_malformed`: one is not in the form of this profile, or two are encrypted to
            different certificates; `envelope.encryption_moved`: one belongs to another message.
    """
    contents = _contents(envelope)
    found = {(content.recipient, content.scheme) for _, content in contents}
    if len(found) != 1:
        raise EnvelopeError("envelope.encryption_malformed", "payloads for different certificates")
    ((certificate, scheme),) = found
    return EncryptedFor(certificate, scheme, {plain: len(content.ciphertext) for plain, content in contents})


def find_encrypted(envelope: Envelope) -> EncryptedFor | None:
    """Return for whom a message is encrypted, None when no payload is.

    Raises:
        EnvelopeError: as `require_encrypted`; a message is encrypted as a whole or not at all.
    """
    if not any(map(is_encrypted, envelope.header.payload)):
        return None
    return require_encrypted(envelope)


def decrypt_payloads(envelope: Envelope, keys: Iterable[DecryptionKey]) -> dict[str, bytes]:
    """Open the payloads of a message that is encrypted to the certificate of one of the keys.

    Args:
        envelope: its signature is checked by the caller, before or after.
        keys: present and earlier ones; the message says which it needs.

    Returns:
        the contents by the names the contract has for them.

    Raises:
        EnvelopeError: as `require_encrypted`; `envelope.decryption_key_missing`: it is for none of the keys;
            `envelope.decryption_failed`.
        TrustError: the key's token is away.
    """
    name = require_encrypted(envelope).certificate
    key = next((each for each in keys if CertificateName.of(each.certificate) == name), None)
    if key is None:
        raise EnvelopeError("envelope.decryption_key_missing", f"serial number {name.serial:x}")
    return {plain: decrypt_content(content, key) for plain, content in _contents(envelope)}


def _contents(envelope: Envelope) -> list[tuple[str, EncryptedContent]]:
    header = envelope.header
    if not header.payload:
        raise EnvelopeError("envelope.not_encrypted", "there is no payload")
    found = []
    for entry in header.payload:
        if not is_encrypted(entry):
            raise EnvelopeError("envelope.not_encrypted", f"{entry.name}: {entry.media_type}")
        content = read_encrypted(envelope.payloads[entry.name])
        plain = entry.name.removesuffix(ENCRYPTED_SUFFIX)
        if content.bound != _bound(header, plain):
            raise EnvelopeError("envelope.encryption_moved", entry.name)
        found.append((plain, content))
    return found


def _bound(header: Header, name: str) -> bytes:
    """Return the SHA-256 of what a payload is bound to."""
    facts = {
        "contract": header.contract,
        "format": _FORMAT,
        "kind": header.kind.value,
        "message": header.id,
        "payload": name,
        "recipient": header.recipient,
        "sender": header.sender,
        "service": header.service,
    }
    return hashlib.sha256(encode_canonical(facts)).digest()
