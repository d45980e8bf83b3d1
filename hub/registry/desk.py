# SPDX-License-Identifier: Apache-2.0
"""Where certificates are registered and retired: each is believed only after it was checked like any other.

Source: docs/protocols/registration.md section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.errors import RegistryError, TrustError
from hub.registry.certificates import RegisteredCertificate, registered
from hub.trust import Use

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.clock import Clock
    from hub.identifiers import MemberId
    from hub.registry.service import Registry
    from hub.trust import Validator


@dataclass(frozen=True)
class Registration:
    """A registered certificate, and what the recorded changes say of it.

    Attributes:
        entry: the certificate.
        registered_at: UTC.
        registered_by: an account, the registry file, or `message <id>`: the message, kept with its signature,
            shows which certificate signed it.
        retired_at: UTC; None while it counts.
    """

    entry: RegisteredCertificate
    registered_at: datetime
    registered_by: str
    retired_at: datetime | None


@dataclass(frozen=True)
class CertificateDesk:
    """Registers and retires members' certificates."""

    registry: Registry
    validator: Validator
    clock: Clock

    def register(
        self, chain: Sequence[x509.Certificate], member: MemberId, use: Use, *, by: str
    ) -> Registration:
        """Register a certificate; from its member's first one on, only registered ones count.

        Registering it again changes nothing.

        Args:
            chain: the certificate, then its issuers, without the root.
            member: whom it shall speak for.
            use: what for.
            by: the subject of the account that asks.

        Raises:
            TrustError: the certificate is not believed, is another member's, or its key is.
            RegistryError: `registry.certificate_retired`, `registry.member_unknown`.
        """
        entry = self._believe(chain, member, use)
        self.registry.register([entry], by=by)
        return self.registration(entry.id)

    def register_for_signer(
        self,
        chain: Sequence[x509.Certificate],
        signer: x509.Certificate,
        member: MemberId,
        use: Use,
        *,
        by: str,
    ) -> Registration:
        """Register a certificate because a message of its member asks for it.

        Where the member has none registered yet, the one that signed the message is registered along with it:
        else the old certificate would cease to count at once, with messages under way.

        Args:
            chain: the new certificate, then its issuers.
            signer: the certificate that signed the message.
            member: the message's sender.
            use: what for.
            by: the message.

        Raises:
            TrustError: as `register`; `trust.certificate_not_registered`, the signer does not count any more.
            RegistryError: as `register`.
        """
        entry = self._believe(chain, member, use)
        # Envelopes are signed with certificates for envelopes, whatever the new one is for.
        self.registry.register([entry], by=by, signer=registered(signer, member, Use.ENVELOPE))
        return self.registration(entry.id)

    def retire(self, fingerprint: str, because: str, *, by: str) -> Registration:
        """Let a certificate count no longer; for good.

        Raises:
            RegistryError: `registry.certificate_unknown`, `registry.entry_invalid`.
        """
        self.registry.retire(fingerprint, because, by=by)
        return self.registration(fingerprint)

    def registration(self, fingerprint: str) -> Registration:
        """Return a certificate with when and by whom it was registered.

        Raises:
            RegistryError: `registry.certificate_unknown`.
        """
        return self._registration(self.registry.require_entry(RegisteredCertificate, fingerprint))

    def registrations(self, member: MemberId | None = None) -> list[Registration]:
        """Return all registered certificates, or those of one member, in the order of their registration."""
        entries = self.registry.snapshot.all_of(RegisteredCertificate)
        found = [self._registration(each) for each in entries if member in {None, each.member}]
        return sorted(found, key=lambda each: (each.registered_at, each.entry.id))

    def _registration(self, entry: RegisteredCertificate) -> Registration:
        changes = self.registry.changes_of(entry)
        retired = [each.at for each in changes if _is_retirement(each.change.after)]
        return Registration(entry, changes[0].at, changes[0].by, retired[0] if retired else None)

    def _believe(
        self, chain: Sequence[x509.Certificate], member: MemberId, use: Use
    ) -> RegisteredCertificate:
        if not chain:
            raise RegistryError("registry.entry_invalid", "chain: empty")
        entry = registered(chain[0], member, use)
        now = self.clock.now()
        at = max(now, chain[0].not_valid_before_utc)
        try:
            self.validator.validate(chain, use=use, at=at)
        except TrustError as error:
            # A certificate may be registered before its first day. Nobody can say today whether it will be
            # revoked then, and that is the last thing the validator asks: all else has held. It is asked
            # again whenever the certificate is used.
            if at == now or error.code != "trust.revocation_unknown":
                raise
        return entry


def _is_retirement(entry: object) -> bool:
    return isinstance(entry, RegisteredCertificate) and entry.retired_because is not None
