# SPDX-License-Identifier: Apache-2.0
"""A CAdES signature of any profile over a manifest: read by our decoder first, else by pyHanko's.

Source: RFC 5652 section 5.6; ETSI EN 319 122-1 clause 5.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from asn1crypto import cms
from cryptography import x509
from pyhanko.sign.general import check_ess_certid, extract_certificate_info, find_unique_cms_attribute
from pyhanko.sign.validation.generic_cms import validate_sig_integrity

from hub.envelope import Signature, verify_cades
from hub.errors import EnvelopeError
from hub.trust import DEFAULT_ALGORITHMS, algorithms_of, key_problem, stated_algorithm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from hub.trust import SignatureAlgorithm

_STRONG = frozenset({"sha256", "sha384", "sha512"})
_LONGEST_CHAIN = 6


def verify_foreign_cades(
    signature: bytes, content: bytes, allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS
) -> Signature:
    """Check a detached CAdES signature; what its unsigned attributes add is not evaluated.

    Args:
        signature: CMS in DER.
        content: what was signed.
        allowed: the rows of the table of algorithms that the policy for envelopes allows.

    Raises:
        EnvelopeError: `signature_malformed`, `certificate_binding_invalid`, `algorithm_not_allowed`,
            `digest_mismatch` or `signature_invalid`.
    """
    try:
        return verify_cades(signature, content, allowed)
    except EnvelopeError as exc:
        if exc.code != "envelope.signature_malformed":
            raise
    try:
        return _verify_with_pyhanko(signature, content, allowed)
    except EnvelopeError:
        raise
    except Exception as exc:
        # The parser is lazy: what is wrong with the bytes shows anywhere in its use.
        raise EnvelopeError("envelope.signature_malformed", f"{type(exc).__name__}: {exc}"[:200]) from exc


def _verify_with_pyhanko(
    signature: bytes, content: bytes, allowed: AbstractSet[SignatureAlgorithm]
) -> Signature:
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
