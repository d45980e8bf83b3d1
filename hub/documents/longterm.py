# SPDX-License-Identifier: Apache-2.0
"""The second opinion: pyHanko's own run of the standard's algorithm for long-term signatures.

It knows nothing of approvals and uses; those are judged step by step in `verification`. It asks by another
way whether digests, paths, revocation answers and proofs of existence fit together.

Source: ETSI EN 319 102-1 clause 5.6.3.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation.ades import ades_lta_validation
from pyhanko.sign.validation.policy_decl import (
    CertificateFetchingRule,
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import SimpleTrustManager

from hub.clock import format_instant
from hub.documents.signer import to_asn1
from hub.errors import DocumentError

if TYPE_CHECKING:
    from datetime import datetime

    from pyhanko.sign.validation import EmbeddedPdfSignature

    from hub.trust import TrustLists

# What pyHanko has to say stands in the report; without a handler of the application's it would also print it.
logging.getLogger("pyhanko").addHandler(logging.NullHandler())

_REQUIRED = RevocationCheckingRule.CRL_OR_OCSP_REQUIRED
_TOLERANCE = timedelta(seconds=60)


def check_long_term(seal: EmbeddedPdfSignature, trust_lists: TrustLists, archived_at: datetime) -> str:
    """Validate the seal as of its last document timestamp, with the document's own data only.

    Raises:
        DocumentError: `document.long_term_invalid` with the standard's indication.
        TrustError: no list speaks of that instant.
    """
    authorities = trust_lists.of(archived_at).authorities
    anchors = [CertTrustAnchor(to_asn1(row.certificate)) for row in authorities if row.is_anchor]
    policy = CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build(trust_roots=anchors),
        revinfo_policy=CertRevTrustPolicy(RevocationCheckingPolicy(_REQUIRED, _REQUIRED)),
        time_tolerance=_TOLERANCE,
    )
    offline = RevocationInfoGatheringSpec(
        online_fetching_rule=RevinfoOnlineFetchingRule.LOCAL_ONLY,
        certificate_fetching_rule=CertificateFetchingRule.NEVER_FETCH,
    )
    timing = ValidationTimingInfo(
        validation_time=archived_at, best_signature_time=archived_at, point_in_time_validation=True
    )
    specification = PdfSignatureValidationSpec(SignatureValidationSpec(policy, offline))
    result = asyncio.run(ades_lta_validation(seal, specification, timing_info=timing))
    if result.ades_subindic is not AdESPassed.OK or result.oldest_evidence_record_timestamp is None:
        detail = f"{result.ades_subindic}: {result.failure_msg or 'no archive time stamp holds'}"
        raise DocumentError("document.long_term_invalid", detail)
    return f"TOTAL-PASSED as of {format_instant(archived_at)}"
