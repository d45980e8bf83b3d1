# SPDX-License-Identifier: Apache-2.0
"""The scheme operator's signature over a trusted list: only what it covers is handed on.

Source: TS 119 612 clause 5.7.1 (XAdES baseline B-B, enveloped); XML Signature 1.1; EN 319 132-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.xades.xades import XAdESSignatureConfiguration, XAdESVerifier

from hub.trust import key_problem, refusal
from hub.trustlist.etsi.safexml import hardened_parser, parse_safely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from lxml.etree import _Element

NAMESPACE = "http://uri.etsi.org/02231/v2#"
_ROOT = f"{{{NAMESPACE}}}TrustServiceStatusList"
_METHODS = frozenset(
    method
    for method in SignatureMethod
    if method.name.startswith(("RSA_SHA", "ECDSA_SHA", "SHA"))
    and "SHA1" not in method.name
    and "SHA224" not in method.name
)
_DIGESTS = frozenset(
    {DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512, DigestAlgorithm.SHA3_256}
)


def signed_list(raw: bytes, operators: Sequence[x509.Certificate]) -> _Element:
    """Return the trusted list that a scheme operator signed, as it was signed.

    What the signature does not cover is not in the result: a second list beside the signed one, or around
    it, is never seen.

    Args:
        raw: the XML document.
        operators: certificates of the scheme operator, pinned by another way than the list.

    Raises:
        TrustError: `trust.trust_list_invalid` for unsafe XML, `trust.trust_list_untrusted` when no
            certificate of the operator signed it.
    """
    root = parse_safely(raw)
    problems = []
    for operator in operators:
        weakness = key_problem(operator)
        if weakness:
            problems.append(weakness)
            continue
        try:
            return _covered(root, operator)
        except _REFUSALS as exc:
            problems.append(f"{type(exc).__name__}: {exc}"[:200])
    problem = "; ".join(problems) or "no certificate of the scheme operator was given"
    raise refusal("tsl_signature_invalid", operators[0] if operators else None, problem=problem)


# signxml raises its own errors for what does not hold, and others for values it has no row for.
_REFUSALS = (SignXMLException, etree.LxmlError, ValueError, TypeError, KeyError, AttributeError)


def _covered(root: _Element, operator: x509.Certificate) -> _Element:
    """Verify with one certificate, and find the list among what was signed."""
    configuration = XAdESSignatureConfiguration(
        location="./",
        # The list and the signed properties; some operators add their certificate.
        expect_references=True,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        # A pinned certificate is believed whatever its days are, as a root is; see PR-TSL section 5.
        verification_time=operator.not_valid_before_utc,
    )
    results = XAdESVerifier().verify(
        root, x509_cert=operator, expect_config=configuration, parser=hardened_parser()
    )
    lists = [each.signed_xml for each in results if each.signed_xml is not None]
    covered = [each for each in lists if each.tag == _ROOT]
    if len(covered) != 1:
        raise ValueError("the signature does not cover one trusted list")
    return covered[0]
