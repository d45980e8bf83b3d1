# SPDX-License-Identifier: Apache-2.0
"""Messages nobody in between can read: whose certificate to encrypt to, and the keys that open what comes.

The hub says which certificates there are; whether one is believed is decided here, by the trust list this
gateway holds. So a hub that hands out a certificate of its own, or of another member, gets nothing encrypted
to it.

Source: docs/protocols/envelope.md section 12; docs/protocols/registration.md section 7.
"""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hub.envelope import decrypt_payloads, scheme_of
from hub.errors import ExchangeError, TrustError
from hub.trust import Use, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub.clock import Clock
    from hub.custody import DecryptionKey
    from hub.envelope import Envelope
    from hub.identifiers import MemberId
    from hub.trust import Validator

ASKED_AGAIN_AFTER = timedelta(minutes=5)
"""How long a recipient's certificate is used without asking the hub for a later one."""

_MOST_BYTES = 512 * 1024
_MOST_CERTIFICATES = 32
_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)


@dataclass(frozen=True, kw_only=True)
class Secrecy:
    """Finds out whom to encrypt to, and opens what others encrypted for this member. Thread-safe.

    Attributes:
        keys: the present decryption key, then the earlier ones.
        hub_url: where certificates are asked for.
        validator: decides which of them are believed.
        pins: SHA-256 of the only certificates that are encrypted to, for members for whom that was agreed
            outside of the hub.
    """

    keys: tuple[DecryptionKey, ...]
    hub_url: str
    http: httpx2.Client
    validator: Validator
    clock: Clock
    pins: Mapping[MemberId, frozenset[str]] = field(default_factory=dict)
    _found: dict[MemberId, tuple[datetime, x509.Certificate]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def open(self, envelope: Envelope) -> dict[str, bytes]:
        """Return the payloads of a message by the names the contract has for them.

        Raises:
            EnvelopeError: as `hub.envelope.decrypt_payloads`.
            TrustError: a key's token is away.
        """
        return decrypt_payloads(envelope, self.keys)

    def certificate_of(self, member: MemberId) -> x509.Certificate:
        """Return the certificate to encrypt to for a member, believed now.

        Raises:
            ExchangeError: `exchange.encryption_certificate_missing`; `exchange.undeliverable`, the hub cannot
                be asked or answers something else.
            TrustError: `trust.wrong_member`, the hub handed out another's certificate; whatever else speaks
                against the only one there is.
        """
        now = self.clock.now()
        with self._lock:
            found = self._found.get(member)
        if found is not None and abs(now - found[0]) < ASKED_AGAIN_AFTER:
            # What was revoked meanwhile is no longer believed; the validator remembers what it may.
            self._believe(found[1], member, now)
            return found[1]
        certificate = self._choose(self._fetch(member), member, now)
        with self._lock:
            self._found[member] = (now, certificate)
        return certificate

    def forget(self, member: MemberId) -> None:
        """Ask the hub again the next time: the certificate used was refused."""
        with self._lock:
            self._found.pop(member, None)

    def _choose(
        self, certificates: list[x509.Certificate], member: MemberId, now: datetime
    ) -> x509.Certificate:
        """Return the first that is believed; any that is another member's ends the search."""
        first_error: TrustError | None = None
        for certificate in certificates:
            try:
                self._believe(certificate, member, now)
            except TrustError as error:
                if error.code == "trust.wrong_member":
                    raise
                first_error = first_error or error
            else:
                return certificate
        if first_error is not None:
            raise first_error
        raise ExchangeError("exchange.encryption_certificate_missing", member)

    def _believe(self, certificate: x509.Certificate, member: MemberId, now: datetime) -> None:
        path = self.validator.validate([certificate], use=Use.ENCRYPTION, at=now)
        if path.member_id != member:
            raise refusal("encrypts_for_another", certificate, now, member=str(path.member_id), wanted=member)
        pins = self.pins.get(member)
        if pins is not None and certificate.fingerprint(hashes.SHA256()).hex() not in pins:
            raise refusal("not_pinned", certificate, now, member=member)
        if scheme_of(certificate) is None:
            raise refusal("usage_missing", certificate, now, use=Use.ENCRYPTION, usages="keyAgreement")

    def _fetch(self, member: MemberId) -> list[x509.Certificate]:
        try:
            with self.http.stream(
                "GET", f"{self.hub_url}/api/v1/encryption-certificates/{member}", timeout=_TIMEOUT
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    raise ExchangeError(
                        "exchange.undeliverable",
                        f"asked for encryption certificates, the hub answered HTTP {response.status_code}",
                    )
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise ExchangeError("exchange.undeliverable", "the hub lists too many certificates")
        except httpx2.HTTPError as error:
            raise ExchangeError("exchange.undeliverable", f"the hub: {type(error).__name__}") from error
        return _read(bytes(body))


def _read(body: bytes) -> list[x509.Certificate]:
    try:
        rows = json.loads(body)["certificates"][:_MOST_CERTIFICATES]
        return [x509.load_der_x509_certificate(b64decode(row["certificate"], validate=True)) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ExchangeError("exchange.undeliverable", "the hub lists no certificates") from error
