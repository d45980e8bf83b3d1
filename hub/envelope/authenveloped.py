# SPDX-License-Identifier: Apache-2.0
"""CMS AuthEnvelopedData in DER: content encrypted to one certificate, in exactly one form.

    content        AES-256-GCM under a key of its own
    that key       wrapped by AES-256 under what ECDH agrees on, or encrypted by RSAES-OAEP

What the content is bound to goes into the key derivation (`ukm`) or is the label of OAEP: who changes it does
not get the key. So `openssl cms -decrypt` opens what is written here, which it does not where attributes are
authenticated.

Source: RFC 5083 section 2 (AuthEnvelopedData), RFC 5084 section 3.2 (AES-GCM), RFC 5753 sections 3.1.1 and
7.2 (ECDH), RFC 3565 section 2.3.2 (AES key wrap), RFC 4055 section 4 (RSAES-OAEP), RFC 5652 section 6.2.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ObjectIdentifier

from hub.envelope.cms import DATA, IssuerAndSerialNumber, der_of, oid, set_of, tlv
from hub.envelope.schemes import EncryptionScheme, require_scheme
from hub.errors import EnvelopeError
from hub.trust import public_key_of

if TYPE_CHECKING:
    from cryptography import x509

    from hub.custody import DecryptionKey

BOUND_BYTES = 32
"""What the content is bound to is a SHA-256."""

_NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 12, 16, 32
_AUTH_ENVELOPED_DATA = ObjectIdentifier("1.2.840.113549.1.9.16.1.23")
_AES_256_GCM = ObjectIdentifier("2.16.840.1.101.3.4.1.46")
_EC_PUBLIC_KEY = tlv(0x30, oid(ObjectIdentifier("1.2.840.10045.2.1")))
_AES_256_WRAP = tlv(0x30, oid(ObjectIdentifier("2.16.840.1.101.3.4.1.45")))
_SHA_256 = tlv(0x30, oid(ObjectIdentifier("2.16.840.1.101.3.4.2.1")), b"\x05\x00")
_MGF1 = tlv(0x30, oid(ObjectIdentifier("1.2.840.113549.1.1.8")), _SHA_256)
_OAEP_OID = oid(ObjectIdentifier("1.2.840.113549.1.1.7"))
_LABEL_OID = oid(ObjectIdentifier("1.2.840.113549.1.1.9"))
_VERSION_0, _VERSION_3 = asn1.encode_der(0), asn1.encode_der(3)
_KEY_AGREEMENT_TAG = 0xA1


@asn1.sequence
class GcmParameters:
    """RFC 5084 section 3.2."""

    nonce: bytes
    tag_bytes: int


@asn1.sequence
class ContentAlgorithm:
    """The AlgorithmIdentifier of AES-GCM."""

    algorithm: ObjectIdentifier
    parameters: GcmParameters


@asn1.sequence
class EncryptedContentInfo:
    """RFC 5652 section 6.1."""

    content_type: ObjectIdentifier
    algorithm: ContentAlgorithm
    content: Annotated[bytes, asn1.Implicit(0)]


@asn1.sequence
class AuthEnvelopedData:
    """RFC 5083 section 2.1, without originator and without attributes."""

    version: int
    recipients: asn1.SetOf[asn1.TLV]
    content: EncryptedContentInfo
    tag: bytes


@asn1.sequence
class EnvelopedContentInfo:
    """RFC 5652 section 3."""

    content_type: ObjectIdentifier
    content: Annotated[AuthEnvelopedData, asn1.Explicit(0)]


@asn1.sequence
class KeyTransRecipientInfo:
    """RFC 5652 section 6.2.1."""

    version: int
    recipient: IssuerAndSerialNumber
    algorithm: asn1.TLV
    encrypted_key: bytes


@asn1.sequence
class OriginatorPublicKey:
    """RFC 5652 section 6.2.2."""

    algorithm: asn1.TLV
    point: asn1.BitString


@asn1.sequence
class OriginatorKey:
    """The only choice of OriginatorIdentifierOrKey that is used."""

    key: Annotated[OriginatorPublicKey, asn1.Implicit(1)]


@asn1.sequence
class RecipientEncryptedKey:
    """RFC 5652 section 6.2.2."""

    recipient: IssuerAndSerialNumber
    encrypted_key: bytes


@asn1.sequence
class KeyAgreeRecipientInfo:
    """RFC 5652 section 6.2.2; RFC 5753 section 3.1.1."""

    version: int
    originator: asn1.TLV
    user_keying_material: Annotated[bytes, asn1.Explicit(1)]
    algorithm: asn1.TLV
    keys: list[RecipientEncryptedKey]


@dataclass(frozen=True)
class CertificateName:
    """Which certificate something is encrypted to.

    Attributes:
        issuer: the issuer's name in DER.
        serial: the serial number.
    """

    issuer: bytes
    serial: int

    @classmethod
    def of(cls, certificate: x509.Certificate) -> CertificateName:
        """Return the name of a certificate."""
        return cls(certificate.issuer.public_bytes(), certificate.serial_number)

    def encode(self) -> bytes:
        """Write it as IssuerAndSerialNumber."""
        return tlv(0x30, self.issuer, asn1.encode_der(self.serial))


@dataclass(frozen=True)
class EncryptedContent:
    """Content that only the holder of one certificate's key can read.

    Attributes:
        recipient: that certificate.
        scheme: how the key of the content is conveyed.
        bound: the digest the content is bound to.
        point: the sender's ephemeral public key, uncompressed; empty for RSA.
        wrapped_key: the key of the content, encrypted.
        nonce: of AES-GCM; the key is used once.
        ciphertext: as long as the content.
        tag: of AES-GCM.
    """

    recipient: CertificateName
    scheme: EncryptionScheme
    bound: bytes
    point: bytes
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes = field(repr=False)
    tag: bytes

    def encode(self) -> bytes:
        """Write it in DER."""
        recipient = self._key_transport() if self.scheme.is_rsa else self._key_agreement()
        parameters = tlv(0x30, tlv(0x04, self.nonce), asn1.encode_der(_TAG_BYTES))
        content = tlv(0x30, oid(DATA), tlv(0x30, oid(_AES_256_GCM), parameters), tlv(0x80, self.ciphertext))
        data = tlv(0x30, _VERSION_0, set_of(recipient), content, tlv(0x04, self.tag))
        return tlv(0x30, oid(_AUTH_ENVELOPED_DATA), tlv(0xA0, data))

    def _key_transport(self) -> bytes:
        label = tlv(0x30, _LABEL_OID, tlv(0x04, self.bound))
        parameters = tlv(0x30, tlv(0xA0, _SHA_256), tlv(0xA1, _MGF1), tlv(0xA2, label))
        algorithm = tlv(0x30, _OAEP_OID, parameters)
        return tlv(0x30, _VERSION_0, self.recipient.encode(), algorithm, tlv(0x04, self.wrapped_key))

    def _key_agreement(self) -> bytes:
        key = tlv(0xA1, _EC_PUBLIC_KEY, tlv(0x03, b"\x00", self.point))
        encrypted = tlv(0x30, self.recipient.encode(), tlv(0x04, self.wrapped_key))
        return tlv(
            _KEY_AGREEMENT_TAG,
            _VERSION_3,
            tlv(0xA0, key),
            tlv(0xA1, tlv(0x04, self.bound)),
            tlv(0x30, oid(self.scheme.oid), _AES_256_WRAP),
            tlv(0x30, encrypted),
        )


def encrypt_content(content: bytes, certificate: x509.Certificate, bound: bytes) -> bytes:
    """Encrypt content to the key of a certificate.

    Args:
        content: of any size that fits into memory twice.
        certificate: believed by the caller.
        bound: 32 bytes; who opens it says what they have to be.

    Raises:
        EnvelopeError: `envelope.algorithm_not_allowed`: nothing is encrypted to a key of this kind.
    """
    scheme = require_scheme(certificate)
    key, nonce, point = AESGCM.generate_key(8 * _KEY_BYTES), os.urandom(_NONCE_BYTES), b""
    public = public_key_of(certificate)
    if isinstance(public, rsa.RSAPublicKey):
        wrapped = public.encrypt(key, _oaep(bound))
    elif isinstance(public, ec.EllipticCurvePublicKey):
        ephemeral = ec.generate_private_key(public.curve)
        point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        shared = ephemeral.exchange(ec.ECDH(), public)
        wrapped = keywrap.aes_key_wrap(_derive(scheme, shared, bound), key)
    else:
        raise EnvelopeError("envelope.algorithm_not_allowed", "the certificate's key")
    sealed = AESGCM(key).encrypt(nonce, content, None)
    return EncryptedContent(
        recipient=CertificateName.of(certificate),
        scheme=scheme,
        bound=bound,
        point=point,
        wrapped_key=wrapped,
        nonce=nonce,
        ciphertext=sealed[:-_TAG_BYTES],
        tag=sealed[-_TAG_BYTES:],
    ).encode()


def decrypt_content(encrypted: EncryptedContent, key: DecryptionKey) -> bytes:
    """Open content that is encrypted to the certificate of a key.

    Raises:
        EnvelopeError: `envelope.decryption_failed`: it was not encrypted to this key, or was changed. Which
            of the two nobody learns.
        TrustError: the key's token is away.
    """
    try:
        content_key = _unwrap(encrypted, key)
        return AESGCM(content_key).decrypt(encrypted.nonce, encrypted.ciphertext + encrypted.tag, None)
    except (ValueError, InvalidTag, keywrap.InvalidUnwrap) as error:
        raise EnvelopeError("envelope.decryption_failed", "the key does not open it") from error


def _unwrap(encrypted: EncryptedContent, key: DecryptionKey) -> bytes:
    if encrypted.scheme.is_rsa:
        content_key = key.decrypt(encrypted.wrapped_key, encrypted.bound)
    else:
        public = public_key_of(key.certificate)
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise ValueError("the certificate has another kind of key")
        # Refuses a point that is not on the curve.
        point = ec.EllipticCurvePublicKey.from_encoded_point(public.curve, encrypted.point)
        derived = _derive(encrypted.scheme, key.agree(point), encrypted.bound)
        content_key = keywrap.aes_key_unwrap(derived, encrypted.wrapped_key)
    if len(content_key) != _KEY_BYTES:
        raise ValueError("not the key of AES-256")
    return content_key


def read_encrypted(der: bytes) -> EncryptedContent:
    """Read encrypted content that is in the one form allowed; nothing is decrypted.

    Raises:
        EnvelopeError: `envelope.encryption_malformed`.
    """
    try:
        info = asn1.decode_der(EnvelopedContentInfo, der)
        (recipient,) = info.content.recipients.as_list()
        content = info.content.content
        is_agreement = recipient.tag_bytes[0] == _KEY_AGREEMENT_TAG
        read = _read_agreement(recipient) if is_agreement else _read_transport(recipient)
        name, scheme, bound, point, wrapped_key = read
        encrypted = EncryptedContent(
            recipient=name,
            scheme=scheme,
            bound=bound,
            point=point,
            wrapped_key=wrapped_key,
            nonce=content.algorithm.parameters.nonce,
            ciphertext=content.content,
            tag=info.content.tag,
        )
    except (ValueError, IndexError, KeyError) as error:
        raise EnvelopeError("envelope.encryption_malformed", "not of this profile") from error
    has_sizes = (len(encrypted.bound), len(encrypted.nonce), len(encrypted.tag), len(encrypted.point)) == (
        BOUND_BYTES,
        _NONCE_BYTES,
        _TAG_BYTES,
        encrypted.scheme.point_bytes,
    )
    # Whatever else could be said differently, is: written again, it has to be the same bytes.
    if not has_sizes or encrypted.encode() != der:
        raise EnvelopeError("envelope.encryption_malformed", "not in the one form allowed")
    return encrypted


_Read = tuple[CertificateName, EncryptionScheme, bytes, bytes, bytes]


def _read_transport(recipient: asn1.TLV) -> _Read:
    info = asn1.decode_der(KeyTransRecipientInfo, der_of(recipient))
    bound = der_of(info.algorithm)[-BOUND_BYTES:]
    return _name(info.recipient), EncryptionScheme.RSA_OAEP, bound, b"", info.encrypted_key


def _read_agreement(recipient: asn1.TLV) -> _Read:
    info = asn1.decode_der(KeyAgreeRecipientInfo, tlv(0x30, bytes(recipient.data)))
    originator = asn1.decode_der(OriginatorKey, tlv(0x30, bytes(info.originator.data)))
    point = originator.key.point.as_bytes()
    (encrypted,) = info.keys
    scheme = EncryptionScheme.of_point(point)
    return _name(encrypted.recipient), scheme, info.user_keying_material, point, encrypted.encrypted_key


def _name(read: IssuerAndSerialNumber) -> CertificateName:
    return CertificateName(der_of(read.issuer), read.serial_number)


def _oaep(label: bytes) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)


def _derive(scheme: EncryptionScheme, shared: bytes, bound: bytes) -> bytes:
    """Derive the key that wraps; its input names what the content is bound to.

    Source: RFC 5753 section 7.2 (ECC-CMS-SharedInfo); ANSI X9.63 section 5.6.3.
    """
    bits = (8 * _KEY_BYTES).to_bytes(4, "big")
    info = tlv(0x30, _AES_256_WRAP, tlv(0xA0, tlv(0x04, bound)), tlv(0xA2, tlv(0x04, bits)))
    return X963KDF(scheme.digest, _KEY_BYTES, info).derive(shared)
