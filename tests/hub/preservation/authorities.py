# SPDX-License-Identifier: Apache-2.0
"""Time-stamping authorities of any age, whose tokens bear the time a test wants; one root and its CRLs.

Records live for decades, tests do not: tokens are written as by `tests.tsa`, only for another time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.preservation import Answers, TimeStampJudge
from hub.trust import (
    Authority,
    HeldRevocation,
    RevocationPolicy,
    SignatureAlgorithm,
    TrustList,
    Use,
    algorithm_named,
    sign,
)
from tests.tsa import Behaviour, write_token

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=365 * 60)


@dataclass(frozen=True)
class TimeStampKey:
    """An authority's key."""

    private_key: ec.EllipticCurvePrivateKey
    certificate_chain: tuple[x509.Certificate, ...]
    algorithm: SignatureAlgorithm = field(default_factory=lambda: algorithm_named("ecdsa-p256-sha256"))

    def sign(self, data: bytes) -> bytes:
        return sign(self.private_key, data, self.algorithm)

    def snapshot(self) -> TimeStampKey:
        return self


class Authorities:
    """A root, and the authorities it appoints."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._issue("root", self.key, (BEGIN, END), is_root=True)

    def authority(self, name: str, begin: datetime, end: datetime) -> TimeStampKey:
        """Appoint an authority for a time."""
        key = ec.generate_private_key(ec.SECP256R1())
        return TimeStampKey(key, (self._issue(name, key, (begin, end)),))

    def stamp(
        self, key: TimeStampKey, digest: bytes, at: datetime, algorithm: str = "sha256", **behaviour: object
    ) -> bytes:
        """Write a token in DER."""
        imprint = {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": digest}
        asked = tsp.TimeStampReq({"version": 1, "message_imprint": imprint, "cert_req": True})
        behaving = Behaviour(key, fields={"gen_time": at}, **behaviour)  # type: ignore[arg-type]
        return bytes(write_token(tsp.TimeStampReq.load(asked.dump()), behaving).dump())

    def crl(self, at: datetime, *revoked: tuple[TimeStampKey, datetime, x509.ReasonFlags]) -> bytes:
        """Sign a CRL of an instant; it holds for a day."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.root.subject)
            .last_update(at - timedelta(hours=1))
            .next_update(at + timedelta(days=1))
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for key, since, reason in revoked:
            line = x509.RevokedCertificateBuilder().serial_number(key.certificate_chain[0].serial_number)
            line = line.revocation_date(since).add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(line.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def answers(self, *instants: datetime) -> Answers:
        """Return the CRLs of some instants."""
        return Answers(crls=tuple(self.crl(at) for at in instants))

    def judge(self, *crls: bytes) -> TimeStampJudge:
        """Believe these authorities, with no answers but those given and those of the record."""
        row = Authority(
            certificate=self.root,
            is_anchor=True,
            uses=frozenset({Use.TIMESTAMP}),
            approved_from=BEGIN,
            approved_until=None,
            revocation=RevocationPolicy.CRL,
        )
        return TimeStampJudge(TrustList((row,)), HeldRevocation((), crls))

    def _issue(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        valid: tuple[datetime, datetime],
        *,
        is_root: bool = False,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if is_root else self.root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(valid[0])
            .not_valid_after(valid[1])
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(_usage(is_root=is_root), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        if not is_root:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            places = x509.CRLDistributionPoints(
                [
                    x509.DistributionPoint(
                        [x509.UniformResourceIdentifier("http://127.0.0.1:9/root.crl")], None, None, None
                    )
                ]
            )
            builder = builder.add_extension(usage, critical=True).add_extension(places, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _usage(*, is_root: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_root,
        crl_sign=is_root,
        encipher_only=False,
        decipher_only=False,
    )
