# SPDX-License-Identifier: Apache-2.0
"""Who a certificate names.

Source: ETSI EN 319 412-1 clause 5.1.4 (the legal person semantics identifier in organizationIdentifier).
"""

from __future__ import annotations

from cryptography import x509

from hub.identifiers import MemberId, is_uscc
from hub.trust.refusals import refusal

_LEGAL_PERSON = "NTRCN-"
"""National trade register, China: what follows is a unified social credit code."""


def member_of_certificate(certificate: x509.Certificate) -> MemberId:
    """Return the member a certificate speaks for, from its subject's organizationIdentifier.

    Raises:
        TrustError: `trust.wrong_member` when the subject names no member, more than one, or one whose code
            is not a unified social credit code with the right check character.

    Source: ETSI EN 319 412-1 clause 5.1.4; GB 32100-2015.
    """
    values = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_IDENTIFIER)
    if len(values) != 1:
        raise refusal("member_not_named", certificate, count=str(len(values)))
    value = values[0].value
    code = value.removeprefix(_LEGAL_PERSON) if isinstance(value, str) else ""
    if value != f"{_LEGAL_PERSON}{code}" or not is_uscc(code):
        raise refusal("member_malformed", certificate)
    return MemberId(code)
