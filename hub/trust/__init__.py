# SPDX-License-Identifier: Apache-2.0
"""Whom to believe: certificate chains, revocation, time, and the list of approved authorities."""

from hub.trust.algorithms import (
    SignatureAlgorithm,
    algorithm_for,
    is_signature_valid,
    sign,
    signature_digest,
    signing_function,
)
from hub.trust.explanation import ExplainedCertificate, Explanation
from hub.trust.judgement import Judgement, RevocationJudge, SignerCheck
from hub.trust.model import (
    AnswerKind,
    Authority,
    ListedService,
    RevocationAnswer,
    RevocationPolicy,
    TrustList,
    Use,
    ValidatedPath,
)
from hub.trust.names import describe, member_of_certificate
from hub.trust.ports import RevocationSource, SigningKey, TrustLists
from hub.trust.refusals import refusal
from hub.trust.report import StepRecorder, VerificationReport, VerificationStep
from hub.trust.revocation import HeldRevocation, OnlineRevocation, StoredRevocation
from hub.trust.trustlist import load_trust_list
from hub.trust.validation import Validator

__all__ = [
    "AnswerKind",
    "Authority",
    "ExplainedCertificate",
    "Explanation",
    "HeldRevocation",
    "Judgement",
    "ListedService",
    "OnlineRevocation",
    "RevocationAnswer",
    "RevocationJudge",
    "RevocationPolicy",
    "RevocationSource",
    "SignatureAlgorithm",
    "SignerCheck",
    "SigningKey",
    "StepRecorder",
    "StoredRevocation",
    "TrustList",
    "TrustLists",
    "Use",
    "ValidatedPath",
    "Validator",
    "VerificationReport",
    "VerificationStep",
    "algorithm_for",
    "describe",
    "is_signature_valid",
    "load_trust_list",
    "member_of_certificate",
    "refusal",
    "sign",
    "signature_digest",
    "signing_function",
]
