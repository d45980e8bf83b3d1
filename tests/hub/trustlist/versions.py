# SPDX-License-Identifier: Apache-2.0
"""Signers and versions of trust lists, made where a test needs them; no key is ever written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hub.identifiers import SubsystemId
from hub.trust import RevocationPolicy, Use, algorithm_for, sign
from hub.trustlist import (
    AuthorityRow,
    BilingualName,
    Content,
    SignedTrustList,
    compose,
    sign_trust_list,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

OPERATOR = SubsystemId("11510108MB1A00001J/trust-list")
DAY_ONE = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
VALID_FOR = timedelta(days=90)

_numbers = count(1)


def self_signed(
    key: CertificateIssuerPrivateKeyTypes,
    name: str,
    *,
    days: tuple[datetime, datetime] = (DAY_ONE - timedelta(days=1), DAY_ONE + timedelta(days=3650)),
) -> x509.Certificate:
    """Make a certificate that nobody else issued."""
    names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    is_edwards = isinstance(key, ed25519.Ed25519PrivateKey)
    return x509.CertificateBuilder(names, names, key.public_key(), next(_numbers), *days).sign(
        key, None if is_edwards else hashes.SHA256()
    )


class ListSigner:
    """A key that signs trust lists, in memory only."""

    def __init__(self, name: str = "list signer", key: Any = None, **changes: Any) -> None:
        self._key: CertificateIssuerPrivateKeyTypes = key or ec.generate_private_key(ec.SECP256R1())
        self.certificate = self_signed(self._key, name, **changes)
        algorithm = algorithm_for(self._key.public_key())
        assert algorithm is not None
        self.algorithm = algorithm

    @property
    def certificate_chain(self) -> tuple[x509.Certificate, ...]:
        """The one certificate there is."""
        return (self.certificate,)

    def sign(self, data: bytes) -> bytes:
        """Sign as every signing key does."""
        return sign(self._key, data, self.algorithm)

    def snapshot(self) -> ListSigner:
        """One key stays the same."""
        return self


def root(name: str = "root", key: Any = None, **changes: Any) -> AuthorityRow:
    """Make the row of a root of its own."""
    certificate = self_signed(key or ec.generate_private_key(ec.SECP256R1()), name, **changes)
    return row_of(certificate, name=name, is_anchor=True)


def weak_root(kind: str) -> AuthorityRow:
    """Make the row of a root that must not come into force."""
    if kind == "short key":
        return root(kind, rsa.generate_private_key(65537, 1024))  # noqa: S505 - must be refused
    return root(kind, ec.generate_private_key(ec.SECP192R1()))


def row_of(certificate: x509.Certificate, **changes: Any) -> AuthorityRow:
    """Make a row with a certificate."""
    fields: dict[str, Any] = {
        "name": "authority",
        "certificate": certificate,
        "is_anchor": False,
        "uses": (Use.ENVELOPE,),
        "approved_from": DAY_ONE - timedelta(days=400),
        "approved_until": None,
        "revocation": RevocationPolicy.EITHER,
        "reaches_below": False,
        "longest_answer_age_seconds": None,
        "unsafe_accept_unknown_revocation": False,
    }
    return AuthorityRow(**fields | changes)


def content(*signers: ListSigner, authorities: tuple[AuthorityRow, ...] | None = None) -> Content:
    """Say who is approved and who may sign next."""
    return Content(
        name=BilingualName(zh="测试用信任列表", en="Trust list of a test"),
        signers=tuple(each.certificate for each in signers),
        authorities=authorities or (root(),),
        time_stamping_authorities=(),
        ocsp_responders=(),
    )


def version(
    previous: SignedTrustList | None,
    key: ListSigner,
    what: Content | None = None,
    *,
    issued_at: datetime | None = None,
    next_update: datetime | None = None,
) -> SignedTrustList:
    """Make a version that follows another, a month later."""
    before = previous.document.issued_at + timedelta(days=30) if previous else DAY_ONE
    issued_at = issued_at or before
    document = compose(
        what or content(key), previous, issued_at=issued_at, next_update=next_update or issued_at + VALID_FOR
    )
    return sign_trust_list(document, OPERATOR, key)


def versions(key: ListSigner, number: int) -> list[SignedTrustList]:
    """Make a history of so many versions by one signer."""
    made: list[SignedTrustList] = []
    for _ in range(number):
        made.append(version(made[-1] if made else None, key))
    return made
