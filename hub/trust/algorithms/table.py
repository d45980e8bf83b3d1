# SPDX-License-Identifier: Apache-2.0
"""The signature algorithms that are allowed, one row each; what has no row is refused everywhere.

A row pairs one kind of key with one scheme and one digest. The first row that fits a key is the one the key
signs with unless another is chosen; the others are read as well. Rows off by default need a policy that
names them.

Source: RFC 5754 (ECDSA and RSA with SHA-2), RFC 4055 and RFC 4056 (RSASSA-PSS), RFC 8410 and RFC 8419
    (Ed25519), RFC 9881 and RFC 9882 (ML-DSA), GB/T 32918 and GM/T 0015 (SM2), ETSI TS 119 312 (which of
    them to use).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

FEWEST_RSA_BITS = 2048
MOST_RSA_BITS = 8192
"""Longer keys cost a verifier more than they protect; a stranger's certificate could carry one."""

LEAST_RSA_EXPONENT = 65537
"""SOG-IS Agreed Cryptographic Mechanisms, on RSA; FIPS 186-5 appendix A.1.1."""


class KeyKind(StrEnum):
    """What kind of key signs."""

    P256 = "P-256"
    P384 = "P-384"
    P521 = "P-521"
    RSA = "RSA"
    ED25519 = "Ed25519"
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"
    SM2 = "SM2"


class Scheme(StrEnum):
    """How the key signs."""

    ECDSA = "ECDSA"
    PKCS1 = "RSASSA-PKCS1-v1_5"
    PSS = "RSASSA-PSS"
    EDDSA = "EdDSA"
    ML_DSA = "ML-DSA"
    SM2 = "SM2"


class Signed(StrEnum):
    """What carries a signature."""

    ENVELOPE = "envelope"
    SEAL = "seal"
    CERTIFICATE = "certificate"
    REVOCATION = "revocation"
    TIME_STAMP = "time-stamp"


EVERYTHING = frozenset(Signed)
# pyHanko, which makes and checks seals and time stamps, knows neither ML-DSA nor SM2.
_NO_PDF = EVERYTHING - {Signed.SEAL, Signed.TIME_STAMP}


@dataclass(frozen=True, eq=False)
class SignatureAlgorithm:
    """One allowed way to sign. Rows are compared by identity: there is one object a row.

    Attributes:
        id: stable name, for policies.
        name: for people and reports.
        name_zh: the same in Chinese.
        key: the kind of key.
        scheme: how it signs.
        digest: for `hashlib`; what a CMS message-digest attribute is made with.
        digest_oid: `digestAlgorithm` of a CMS SignerInfo.
        identifier: the AlgorithmIdentifier of the signature in DER, as it is written.
        read_as_well: other AlgorithmIdentifiers in DER that mean the same.
        signs: what may carry such a signature.
        is_default: whether it is allowed without a policy that names it.
        source: where it is specified.
    """

    id: str
    name: str
    name_zh: str
    key: KeyKind
    scheme: Scheme
    digest: str
    digest_oid: ObjectIdentifier
    identifier: bytes
    read_as_well: tuple[bytes, ...]
    signs: frozenset[Signed]
    is_default: bool
    source: str


DIGEST_OIDS = {
    "sha256": ObjectIdentifier("2.16.840.1.101.3.4.2.1"),
    "sha384": ObjectIdentifier("2.16.840.1.101.3.4.2.2"),
    "sha512": ObjectIdentifier("2.16.840.1.101.3.4.2.3"),
}
"""Digests by their `hashlib` names (RFC 5754 section 2)."""

_DIGEST_BYTES = {"sha256": 32, "sha384": 48, "sha512": 64}
_NULL = b"\x05\x00"
_MGF1 = ObjectIdentifier("1.2.840.113549.1.1.8")
_PSS = ObjectIdentifier("1.2.840.113549.1.1.10")
_SM2_WITH_SM3 = ObjectIdentifier("1.2.156.10197.1.501")
RSA_ENCRYPTION = ObjectIdentifier("1.2.840.113549.1.1.1")


def identifier(oid: ObjectIdentifier, parameters: bytes = b"") -> bytes:
    """Write an AlgorithmIdentifier (RFC 5280 section 4.1.1.2) of less than 128 bytes."""
    return _tlv(0x30, asn1.encode_der(oid) + parameters)


def _tlv(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


def _words(digest: str) -> str:
    return f"SHA-{digest.removeprefix('sha')}"


def _ecdsa(curve: KeyKind, digest: str, arc: int) -> SignatureAlgorithm:
    name, words = f"ECDSA {curve}", _words(digest)
    return SignatureAlgorithm(
        id=f"ecdsa-{curve.replace('-', '').lower()}-{digest}",
        name=f"{name} with {words}",
        name_zh=f"{name}（{words}）",
        key=curve,
        scheme=Scheme.ECDSA,
        digest=digest,
        digest_oid=DIGEST_OIDS[digest],
        identifier=identifier(ObjectIdentifier(f"1.2.840.10045.4.3.{arc}")),
        read_as_well=(),
        signs=EVERYTHING,
        is_default=True,
        source="RFC 5758 section 3.2; RFC 5754 section 3.3",
    )


def _pkcs1(digest: str, arc: int) -> SignatureAlgorithm:
    oid, words = ObjectIdentifier(f"1.2.840.113549.1.1.{arc}"), _words(digest)
    return SignatureAlgorithm(
        id=f"rsa-pkcs1-{digest}",
        name=f"RSA PKCS#1 v1.5 with {words}",
        name_zh=f"RSA PKCS#1 v1.5（{words}）",
        key=KeyKind.RSA,
        scheme=Scheme.PKCS1,
        digest=digest,
        digest_oid=DIGEST_OIDS[digest],
        identifier=identifier(oid, _NULL),
        # Absent parameters must be read like NULL ones (RFC 4055 section 5).
        read_as_well=(identifier(oid),),
        signs=EVERYTHING,
        is_default=True,
        source="RFC 4055 section 5; RFC 5754 section 3.2",
    )


def pss_parameters(digest: str, hash_ending: bytes = _NULL, mask_ending: bytes = _NULL) -> bytes:
    """Write RSASSA-PSS-params: MGF1 with the same digest, a salt as long as it, the default trailer left out.

    Args:
        digest: by its `hashlib` name.
        hash_ending: the parameters of the digest's identifier, NULL or absent.
        mask_ending: likewise of the digest inside MGF1.

    Source: RFC 4055 section 3.1.
    """
    oid = DIGEST_OIDS[digest]
    parts = (
        identifier(oid, hash_ending),
        identifier(_MGF1, identifier(oid, mask_ending)),
        asn1.encode_der(_DIGEST_BYTES[digest]),
    )
    return _tlv(0x30, b"".join(_tlv(0xA0 + number, part) for number, part in enumerate(parts)))


def _pss(digest: str) -> SignatureAlgorithm:
    words = _words(digest)
    # Both forms of a digest's parameters must be read (RFC 4055 section 2.1).
    forms = [identifier(_PSS, pss_parameters(digest, a, b)) for a in (_NULL, b"") for b in (_NULL, b"")]
    return SignatureAlgorithm(
        id=f"rsa-pss-{digest}",
        name=f"RSA-PSS with {words}",
        name_zh=f"RSA-PSS（{words}）",
        key=KeyKind.RSA,
        scheme=Scheme.PSS,
        digest=digest,
        digest_oid=DIGEST_OIDS[digest],
        identifier=forms[0],
        read_as_well=tuple(forms[1:]),
        signs=EVERYTHING,
        is_default=True,
        source="RFC 4055 section 3; RFC 4056; RFC 8702 section 3.2.1",
    )


def _whole_message(kind: KeyKind, scheme: Scheme, oid: str, source: str) -> SignatureAlgorithm:
    """Describe a scheme that digests by itself; CMS makes its message-digest attribute with SHA-512."""
    is_new = scheme is Scheme.ML_DSA
    return SignatureAlgorithm(
        id=kind.lower(),
        name=kind,
        name_zh=kind,
        key=kind,
        scheme=scheme,
        digest="sha512",
        digest_oid=DIGEST_OIDS["sha512"],
        identifier=identifier(ObjectIdentifier(oid)),
        read_as_well=(),
        signs=_NO_PDF if is_new else EVERYTHING,
        is_default=not is_new,
        source=source,
    )


def _ml_dsa(kind: KeyKind, arc: int) -> SignatureAlgorithm:
    source = "FIPS 204; RFC 9881 section 2; RFC 9882 section 3"
    return _whole_message(kind, Scheme.ML_DSA, f"2.16.840.1.101.3.4.3.{arc}", source)


ECDSA_P256 = _ecdsa(KeyKind.P256, "sha256", 2)
ECDSA_P384 = _ecdsa(KeyKind.P384, "sha384", 3)
ECDSA_P521 = _ecdsa(KeyKind.P521, "sha512", 4)
ED25519 = _whole_message(
    KeyKind.ED25519, Scheme.EDDSA, "1.3.101.112", "RFC 8032; RFC 8410 section 3; RFC 8419 section 3"
)
RSA_SHA256 = _pkcs1("sha256", 11)
RSA_PSS_SHA256 = _pss("sha256")
ML_DSA_44 = _ml_dsa(KeyKind.ML_DSA_44, 17)
ML_DSA_65 = _ml_dsa(KeyKind.ML_DSA_65, 18)
ML_DSA_87 = _ml_dsa(KeyKind.ML_DSA_87, 19)

SM2_SM3 = SignatureAlgorithm(
    id="sm2-sm3",
    name="SM2 with SM3",
    name_zh="国密SM2（SM3）",
    key=KeyKind.SM2,
    scheme=Scheme.SM2,
    digest="sm3",
    digest_oid=ObjectIdentifier("1.2.156.10197.1.401"),
    identifier=identifier(_SM2_WITH_SM3),
    # Authorities in China write both forms.
    read_as_well=(identifier(_SM2_WITH_SM3, _NULL),),
    signs=_NO_PDF,
    is_default=False,
    source="GB/T 32918.2-2016; GM/T 0006-2012; GM/T 0015-2012",
)

ALGORITHMS: tuple[SignatureAlgorithm, ...] = (
    ECDSA_P256,
    _ecdsa(KeyKind.P256, "sha384", 3),
    _ecdsa(KeyKind.P256, "sha512", 4),
    ECDSA_P384,
    _ecdsa(KeyKind.P384, "sha256", 2),
    _ecdsa(KeyKind.P384, "sha512", 4),
    ECDSA_P521,
    RSA_SHA256,
    _pkcs1("sha384", 12),
    _pkcs1("sha512", 13),
    RSA_PSS_SHA256,
    _pss("sha384"),
    _pss("sha512"),
    ED25519,
    ML_DSA_44,
    ML_DSA_65,
    ML_DSA_87,
    SM2_SM3,
)
"""The table."""

DEFAULT_ALGORITHMS = frozenset(row for row in ALGORITHMS if row.is_default)
"""What is allowed where no policy says otherwise."""


ANY_ALGORITHM = frozenset(ALGORITHMS)
"""Every row, for what an authority says about its own certificates: a policy has allowed its key before."""


def algorithm_named(algorithm_id: str) -> SignatureAlgorithm:
    """Return a row by its id.

    Raises:
        KeyError: there is no such row.
    """
    return _BY_ID[algorithm_id]


_BY_ID = {row.id: row for row in ALGORITHMS}
