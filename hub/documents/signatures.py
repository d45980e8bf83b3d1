# SPDX-License-Identifier: Apache-2.0
"""Checking one CMS signature of a PDF, without yet asking whose it is, and its time stamps.

Source: RFC 5652 (CMS), ETSI EN 319 122-1 clause 5.2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from hub.documents.signer import to_asn1
from hub.errors import DocumentError, TrustError
from hub.trust import algorithms_of, stated_algorithm, verify_time_stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asn1crypto import cms
    from cryptography import x509

    from hub.trust import TimeStamp, ValidatedPath, Validator


def check_signature(
    signed: cms.SignedData, signer: x509.Certificate, content_type: str, digest: Callable[[str], bytes]
) -> str:
    """Check that a signature holds under a certificate's key.

    Args:
        signed: with exactly one signer.
        signer: whose key to use; bound by the signing-certificate attribute.
        content_type: of what was signed.
        digest: returns the digest of what was signed, by a digest's `hashlib` name.

    Returns:
        The digest's name.

    Raises:
        DocumentError: `document.signature_invalid`.
    """
    if len(signed["signer_infos"]) != 1:
        raise DocumentError("document.signature_invalid", "not one signer")
    information = signed["signer_infos"][0]
    name: str = information["digest_algorithm"]["algorithm"].native
    row = stated_algorithm(
        algorithms_of(signer),
        information["signature_algorithm"].dump(),
        information["digest_algorithm"].dump(),
    )
    if row is None:
        stated = information["signature_algorithm"]["algorithm"].native
        raise DocumentError("document.signature_invalid", f"{stated} with {name} is not allowed for this key")
    if [each["algorithm"].native for each in signed["digest_algorithms"]] != [name]:
        raise DocumentError("document.signature_invalid", "the digest algorithms are not those of the signer")
    kinds = {attribute["type"].native for attribute in information["signed_attrs"]}
    if not kinds & {"signing_certificate_v2", "signing_certificate"}:
        raise DocumentError("document.signature_invalid", "the signature binds no certificate")
    intact, is_valid = validate_sig_integrity(information, to_asn1(signer), content_type, digest(name))
    if not intact:
        raise DocumentError("document.signature_invalid", "the content does not have the signed digest")
    if not is_valid:
        raise DocumentError(
            "document.signature_invalid", "the signature does not hold under the signer's key"
        )
    return name


def check_time_stamp(token: bytes, stamped: Callable[[str], bytes], validator: Validator) -> TimeStamp:
    """Check a time-stamp token and the authority that gave it.

    Args:
        token: its ContentInfo in DER.
        stamped: returns the digest of what was stamped, by a digest's `hashlib` name.
        validator: knows the approved authorities and the revocation answers of that day.

    Raises:
        DocumentError: `document.timestamp_invalid`.
        TrustError: the authority's certificate did not hold when the token was given.
    """
    try:
        return verify_time_stamp(token, stamped, validator)
    except TrustError as exc:
        if exc.code != "trust.timestamp_invalid":
            raise
        raise DocumentError("document.timestamp_invalid", exc.detail) from exc


def check_certificates(given: Sequence[x509.Certificate], path: ValidatedPath) -> None:
    """Refuse certificates beside a signature that its path does not consist of.

    Raises:
        DocumentError: `document.signature_invalid`.
    """
    if not set(given) <= set(path.path) or len(set(given)) != len(given):
        raise DocumentError("document.signature_invalid", "there are certificates that do not belong there")
