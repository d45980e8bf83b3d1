# SPDX-License-Identifier: Apache-2.0
"""A CAdES signature of any profile, read by pyHanko.

Source: RFC 5652 section 5.6; ETSI EN 319 122-1 clause 5.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from asn1crypto import cms
from cryptography import x509
from pyhanko.sign.general import check_ess_certid, extract_certificate_info, find_unique_cms_attribute
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from hub.envelope import Signature
from hub.errors import EnvelopeError
from hub.trust import algorithms_of, key_problem, stated_algorithm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from hub.trust import SignatureAlgorithm

_STRONG = frozenset({"sha256", "sha384", "sha512"})
_LONGEST_CHAIN = 6


def verify_any_profile(
    signature: bytes, content: bytes, allowed: AbstractSet[SignatureAlgorithm]
) -> Signature:
    """Check a signature that our own decoder does not read; see `foreign_signature.verify_foreign_cades`.

    Raises:
        EnvelopeError: as there; what the parser raises is left to the caller.
    """
    container = cms.ContentInfo.load(signature, strict=True)
    signed_data = container["content"]
    if container["content_type"].native != "signed_data" or len(signed_data["signer_infos"]) != 1:
        raise EnvelopeError("envelope.signature_malformed", "not CMS signed data of one signer")
    info = signed_data["signer_infos"][0]
    # Some producers put the manifest into the signature too; anything else there would be another content.
    inside = signed_data["encap_content_info"]["content"].native
    if inside is not None and inside != content:
        raise EnvelopeError(
            "envelope.digest_mismatch", "the signature carries other content than the manifest"
        )
    certificates = extract_certificate_info(signed_data)
    leaf = _to_cryptography(certificates.signer_cert)
    row = stated_algorithm(
        algorithms_of(leaf, allowed), info["signature_algorithm"].dump(), info["digest_algorithm"].dump()
    )
    if row is None:
        stated = info["signature_algorithm"]["algorithm"].native
        raise EnvelopeError("envelope.algorithm_not_allowed", key_problem(leaf, allowed) or str(stated))
    digest = row.digest
    _check_bound(info, certificates.signer_cert)
    intact, is_valid = validate_sig_integrity(
        info, certificates.signer_cert, "data", hashlib.new(digest, content).digest()
    )
    if not intact:
        raise EnvelopeError("envelope.digest_mismatch", "the signature's message-digest is not the content's")
    if not is_valid:
        raise EnvelopeError("envelope.signature_invalid", "the signature does not hold under its certificate")
    signed_at: datetime = find_unique_cms_attribute(info["signed_attrs"], "signing_time").native
    others = [_to_cryptography(each) for each in certificates.other_certs]
    chain = _order(leaf, others)
    return Signature(chain, signed_at, row.name)


def _check_bound(info: cms.SignerInfo, certificate: Any) -> None:
    """The signer's certificate has to be bound with SHA-2 (EN 319 122-1 clause 5.2.2)."""
    attribute = find_unique_cms_attribute(info["signed_attrs"], "signing_certificate_v2")
    bound = attribute["certs"][0]
    if bound["hash_algorithm"]["algorithm"].native not in _STRONG or not check_ess_certid(certificate, bound):
        raise EnvelopeError("envelope.certificate_binding_invalid", "the signature binds another certificate")


def _order(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Put the issuers behind the leaf; the certificates of time stamps and responders stay out."""
    chain = [leaf]
    while len(chain) < _LONGEST_CHAIN:
        issuer = next(
            (each for each in others if each.subject == chain[-1].issuer and each not in chain), None
        )
        if issuer is None:
            break
        chain.append(issuer)
    return tuple(chain)


def _to_cryptography(certificate: Any) -> x509.Certificate:
    return x509.load_der_x509_certificate(certificate.dump())
