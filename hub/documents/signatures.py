# SPDX-License-Identifier: Apache-2.0
"""Checking one CMS signature of a PDF, and one time-stamp token, without yet asking whose they are.

Everything of a token that its signature does not cover is held to one form, so that nothing in it can be
changed unnoticed.

Source: RFC 5652 (CMS), RFC 3161 and RFC 5816 (tokens), ETSI EN 319 122-1 clause 5.2.2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asn1crypto import cms
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from hub.documents.signer import to_asn1, token_chain
from hub.errors import DocumentError
from hub.trust import Use

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.trust import ValidatedPath, Validator

_STRONG = frozenset({"sha256", "sha384", "sha512"})


@dataclass(frozen=True)
class TimeStamp:
    """A time-stamp token that holds.

    Attributes:
        at: UTC; when the authority saw the digest.
        path: the authority's validated certificate path, as of `at`.
    """

    at: datetime
    path: ValidatedPath


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
    information = signed["signer_infos"][0]
    name: str = information["digest_algorithm"]["algorithm"].native
    if len(signed["signer_infos"]) != 1 or name not in _STRONG:
        raise DocumentError("document.signature_invalid", "not one signer, or a weak digest")
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


def check_time_stamp(
    token: cms.SignedData, stamped: Callable[[str], bytes], validator: Validator
) -> TimeStamp:
    """Check a time-stamp token and the authority that gave it.

    Args:
        token: its signed data.
        stamped: returns the digest of what was stamped, by a digest's `hashlib` name.
        validator: knows the approved authorities and the revocation answers of that day.

    Raises:
        DocumentError: `document.timestamp_invalid`, `document.signature_invalid`.
        TrustError: the authority's certificate did not hold when the token was given.
    """
    _check_token_form(token)
    chain = token_chain(token)
    content = token["encap_content_info"]["content"]
    check_signature(token, chain[0], "tst_info", lambda name: hashlib.new(name, bytes(content)).digest())
    information = content.parsed
    imprint = information["message_imprint"]
    name = imprint["hash_algorithm"]["algorithm"].native
    if name not in _STRONG or imprint["hashed_message"].native != stamped(name):
        raise DocumentError("document.timestamp_invalid", "the token belongs to other content")
    at: datetime = information["gen_time"].native
    path = validator.validate(chain, use=Use.TIMESTAMP, at=at)
    check_certificates(chain, path)
    return TimeStamp(at, path)


def check_certificates(given: Sequence[x509.Certificate], path: ValidatedPath) -> None:
    """Refuse certificates beside a signature that its path does not consist of.

    Raises:
        DocumentError: `document.signature_invalid`.
    """
    if not set(given) <= set(path.path) or len(set(given)) != len(given):
        raise DocumentError("document.signature_invalid", "there are certificates that do not belong there")


def _check_token_form(token: cms.SignedData) -> None:
    """Hold what the token's signature does not cover to one form.

    Source: RFC 5652 sections 5.1 and 5.3: version 3 for a content other than data; version 1 for a signer
    named by issuer and serial number.
    """
    signers = token["signer_infos"]
    if token["encap_content_info"]["content_type"].native != "tst_info" or len(signers) != 1:
        raise DocumentError("document.timestamp_invalid", "not a time-stamp token with one signer")
    information = signers[0]
    is_expected = (
        token["version"].native == "v3"
        and information["version"].native == "v1"
        and information["sid"].name == "issuer_and_serial_number"
        and not token["crls"].native
        and not information["unsigned_attrs"].native
    )
    encoded: bytes = token.untag().dump()
    # A copy is encoded anew, because that normalizes a structure in place and would heal what was changed.
    if not is_expected or cms.SignedData.load(encoded, strict=True).dump(force=True) != encoded:
        raise DocumentError("document.timestamp_invalid", "the token is not in the one form expected")
