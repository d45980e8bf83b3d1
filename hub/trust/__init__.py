# SPDX-License-Identifier: Apache-2.0
"""Whom to believe: certificate chains, revocation, time, and the list of approved authorities.

Gateways and commands have no routes, so these are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from hub.trust.algorithms import (
    ALGORITHMS,
    ANY_ALGORITHM,
    DEFAULT_ALGORITHMS,
    DIGEST_OIDS,
    SM2_SM3,
    PrivateKey,
    PublicKey,
    Scheme,
    SignatureAlgorithm,
    Signed,
    SignedObject,
    algorithm_for,
    algorithm_named,
    algorithms_for,
    algorithms_of,
    is_signature_valid,
    is_signed_by,
    key_problem,
    public_key_of,
    sign,
    signature_problem,
    signing_function,
    stated_algorithm,
)
from hub.trust.bilingual import Bilingual
from hub.trust.description import (
    describe,
    describe_key,
    describe_signature,
    full_name,
    issuer_of,
    short_name,
    subject_of,
    title_of,
    validity_of,
)
from hub.trust.expiry import (
    EXPIRY_ALARM,
    EXPIRY_THRESHOLDS_DAYS,
    ExpiryWatch,
    WatchedCertificate,
    latest_certificates,
)
from hub.trust.explanation import ExplainedCertificate, Explanation
from hub.trust.fetching import Fetcher
from hub.trust.judgement import Judgement, RevocationJudge, SignerCheck
from hub.trust.model import (
    OCSP_AGE_WITHOUT_NEXT_UPDATE,
    AnswerKind,
    Authority,
    ListedService,
    RevocationAnswer,
    RevocationPolicy,
    TrustList,
    Use,
    ValidatedPath,
)
from hub.trust.names import member_of_certificate
from hub.trust.online import OnlineRevocation
from hub.trust.peers import PeerTrust, tls_authorities
from hub.trust.ports import RevocationSource, SigningKey, TrustLists
from hub.trust.possession import prove_possession, require_possession
from hub.trust.refresher import RevocationRefresher
from hub.trust.refusals import refusal
from hub.trust.report import StepRecorder, VerificationReport, VerificationStep
from hub.trust.revocation import HeldRevocation, StoredRevocation
from hub.trust.sm2 import Sm2PrivateKey, Sm2PublicKey
from hub.trust.stamping import TimeStampAuthority, TimeStampClient, listed_authorities
from hub.trust.telling import (
    NOT_CHECKED,
    answer_to_json,
    cures,
    explanation_to_json,
    failures,
    failures_of,
    verdict,
)
from hub.trust.timestamps import TimeStamp, believe_token, verify_time_stamp
from hub.trust.tokens import DIGEST_BYTES, Token, read_token, to_one_form
from hub.trust.turningpoints import TurningPoints
from hub.trust.uses import (
    USE_POLICIES,
    ExtendedUsageRule,
    KeyUsage,
    UsePolicy,
    known_algorithm,
    policies_allowing,
)
from hub.trust.validation import Validator
from hub.trust.words import spoken

if TYPE_CHECKING:
    from hub.trust.routes import explanation_routes

_LOADED_ON_USE = {"explanation_routes": "hub.trust.routes"}

__all__ = [
    "ALGORITHMS",
    "ANY_ALGORITHM",
    "DEFAULT_ALGORITHMS",
    "DIGEST_BYTES",
    "DIGEST_OIDS",
    "EXPIRY_ALARM",
    "EXPIRY_THRESHOLDS_DAYS",
    "NOT_CHECKED",
    "OCSP_AGE_WITHOUT_NEXT_UPDATE",
    "SM2_SM3",
    "USE_POLICIES",
    "AnswerKind",
    "Authority",
    "Bilingual",
    "ExpiryWatch",
    "ExplainedCertificate",
    "Explanation",
    "ExtendedUsageRule",
    "Fetcher",
    "HeldRevocation",
    "Judgement",
    "KeyUsage",
    "ListedService",
    "OnlineRevocation",
    "PeerTrust",
    "PrivateKey",
    "PublicKey",
    "RevocationAnswer",
    "RevocationJudge",
    "RevocationPolicy",
    "RevocationRefresher",
    "RevocationSource",
    "Scheme",
    "SignatureAlgorithm",
    "Signed",
    "SignedObject",
    "SignerCheck",
    "SigningKey",
    "Sm2PrivateKey",
    "Sm2PublicKey",
    "StepRecorder",
    "StoredRevocation",
    "TimeStamp",
    "TimeStampAuthority",
    "TimeStampClient",
    "Token",
    "TrustList",
    "TrustLists",
    "TurningPoints",
    "Use",
    "UsePolicy",
    "ValidatedPath",
    "Validator",
    "VerificationReport",
    "VerificationStep",
    "WatchedCertificate",
    "algorithm_for",
    "algorithm_named",
    "algorithms_for",
    "algorithms_of",
    "answer_to_json",
    "believe_token",
    "cures",
    "describe",
    "describe_key",
    "describe_signature",
    "explanation_routes",
    "explanation_to_json",
    "failures",
    "failures_of",
    "full_name",
    "is_signature_valid",
    "is_signed_by",
    "issuer_of",
    "key_problem",
    "known_algorithm",
    "latest_certificates",
    "listed_authorities",
    "member_of_certificate",
    "policies_allowing",
    "prove_possession",
    "public_key_of",
    "read_token",
    "refusal",
    "require_possession",
    "short_name",
    "sign",
    "signature_problem",
    "signing_function",
    "spoken",
    "stated_algorithm",
    "subject_of",
    "title_of",
    "tls_authorities",
    "to_one_form",
    "validity_of",
    "verdict",
    "verify_time_stamp",
]


def __getattr__(name: str) -> object:
    if name not in _LOADED_ON_USE:
        raise AttributeError(name)
    return getattr(import_module(_LOADED_ON_USE[name]), name)
