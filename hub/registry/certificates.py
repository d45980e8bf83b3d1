# SPDX-License-Identifier: Apache-2.0
"""The certificates a member has registered; once there is one for a use, no other speaks for the member.

Without it a member is whoever holds a certificate of an approved authority with the member's
organizationIdentifier: any approved authority can, by mistake or under force, make another. A registered
certificate is bound to the member by its fingerprint, and such a twin is worth nothing.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NewType

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hub.envelope import scheme_of
from hub.errors import RegistryError
from hub.identifiers import MemberId
from hub.trust import Use, member_of_certificate, public_key_of, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Fingerprint = NewType("Fingerprint", str)
"""SHA-256 of a certificate's DER, 64 lower-case hexadecimal digits."""

USES_TO_REGISTER = frozenset({Use.ENVELOPE, Use.ENCRYPTION})
"""What certificates are registered for: the uses the hub itself decides on, message by message."""

LONGEST_REASON = 200


@dataclass(frozen=True, kw_only=True)
class RegisteredCertificate:
    """A certificate bound to a member.

    When it was registered or retired, and by whom, stands in the recorded changes and nowhere else.

    Attributes:
        id: SHA-256 of the certificate.
        member: whom it speaks for; the certificate's own organizationIdentifier says the same.
        use: what for.
        certificate: its DER in base64.
        retired_because: why it no longer counts; None while it does. There is no way back.
    """

    id: Fingerprint
    member: MemberId
    use: Use
    certificate: str
    retired_because: str | None = None

    def __post_init__(self) -> None:
        if fingerprint_of(self.x509) != self.id:
            raise RegistryError("registry.entry_invalid", "id: not the certificate's SHA-256")
        if self.use not in USES_TO_REGISTER:
            raise RegistryError("registry.entry_invalid", f"use: nothing is registered for {self.use}")
        if self.use is Use.ENCRYPTION and scheme_of(self.x509) is None:
            raise RegistryError("registry.entry_invalid", "certificate: nothing can be encrypted to its key")
        named = member_of_certificate(self.x509)
        if named != self.member:
            raise refusal("registered_for_another", self.x509, member=self.member, named=named)
        because = self.retired_because
        if because is not None and not (because.isprintable() and 0 < len(because.strip()) <= LONGEST_REASON):
            raise RegistryError(
                "registry.entry_invalid", f"retired_because: not 1 to {LONGEST_REASON} printable characters"
            )

    @cached_property
    def x509(self) -> x509.Certificate:
        """The certificate, read.

        Raises:
            RegistryError: `registry.entry_invalid`.
        """
        return read_certificate(self.certificate, "certificate")

    @cached_property
    def key_sha256(self) -> str:
        """SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal."""
        return key_digest(self.x509)


CertificateIndex = dict[tuple[MemberId, Use], dict[Fingerprint, RegisteredCertificate]]


def registered(
    certificate: x509.Certificate, member: MemberId, use: Use, *, because: str | None = None
) -> RegisteredCertificate:
    """Return the entry of a certificate.

    Raises:
        TrustError: `trust.wrong_member`, the certificate names another member or none.
        RegistryError: `registry.entry_invalid`.
    """
    return RegisteredCertificate(
        id=fingerprint_of(certificate),
        member=member,
        use=use,
        certificate=b64encode(certificate.public_bytes(Encoding.DER)).decode("ascii"),
        retired_because=because,
    )


def fingerprint_of(certificate: x509.Certificate) -> Fingerprint:
    """Return the SHA-256 of a certificate's DER."""
    return Fingerprint(certificate.fingerprint(hashes.SHA256()).hex())


def key_digest(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate's public key (SubjectPublicKeyInfo), hexadecimal.

    Raises:
        RegistryError: `registry.entry_invalid`, the key is of a kind nobody here can read.
    """
    key = public_key_of(certificate)
    if key is None:
        raise RegistryError("registry.entry_invalid", "certificate: its key cannot be read")
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def read_certificate(text: str, place: str) -> x509.Certificate:
    """Read a certificate's DER in base64.

    Args:
        text: base64 without line breaks.
        place: names the field in the refusal.

    Raises:
        RegistryError: `registry.entry_invalid`.
    """
    try:
        return x509.load_der_x509_certificate(b64decode(text, validate=True))
    except (binascii.Error, ValueError, TypeError) as exc:
        raise RegistryError("registry.entry_invalid", f"{place}: no DER certificate in base64") from exc


def require_recognised(
    index: Mapping[tuple[MemberId, Use], Mapping[Fingerprint, RegisteredCertificate]],
    certificate: x509.Certificate,
    member: MemberId,
    use: Use,
    at: datetime,
) -> None:
    """Refuse a certificate that is not one of those its member has registered, where it has registered any.

    A member whose certificates are all retired has none that counts; it does not fall back to being
    recognised by its organizationIdentifier.

    Raises:
        TrustError: `trust.certificate_not_registered`.
    """
    of_member = index.get((member, use))
    if of_member is None:
        return
    entry = of_member.get(fingerprint_of(certificate))
    if entry is None:
        raise refusal("not_registered", certificate, at, member=member)
    if entry.retired_because is not None:
        raise refusal("retired", certificate, at, because=entry.retired_because)


def encryption_certificates(
    index: Mapping[tuple[MemberId, Use], Mapping[Fingerprint, RegisteredCertificate]],
    member: MemberId,
    at: datetime,
) -> tuple[RegisteredCertificate, ...]:
    """Return what may be encrypted to for a member at an instant, the latest certificate first."""
    counting = [
        entry
        for entry in index.get((member, Use.ENCRYPTION), {}).values()
        if entry.retired_because is None
        and entry.x509.not_valid_before_utc <= at <= entry.x509.not_valid_after_utc
    ]
    return tuple(
        sorted(counting, key=lambda entry: (entry.x509.not_valid_before_utc, entry.id), reverse=True)
    )
