# SPDX-License-Identifier: Apache-2.0
"""An explanation as data: the same that `heliograph trust explain` draws, in every language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from hub.clock import format_instant
from hub.errors import Language
from hub.findings import finding_to_json, spoken_instant
from hub.trust.description import (
    describe_key,
    describe_signature,
    full_name,
    issuer_of,
    subject_of,
    validity_of,
)
from hub.trust.model import AnswerKind
from hub.trust.words import spoken

if TYPE_CHECKING:
    from hub.errors import Finding
    from hub.trust.explanation import ExplainedCertificate, Explanation
    from hub.trust.model import Authority, RevocationAnswer

NOT_CHECKED = "not_checked"
"""The reason of a check that was not made because another failed before."""


def verdict(explanation: Explanation, language: Language) -> str:
    """Say in one sentence whether the certificate is believed, for what and when."""
    at, use = spoken_instant(explanation.at, language), spoken(explanation.use, language)
    count = len(failures(explanation))
    if language is Language.ZH:
        if explanation.is_believed:
            return f"可信：证书在{at}可用于{use}。"
        return f"不可信：证书在{at}不得用于{use}，有{count}项检查未通过。"
    if explanation.is_believed:
        return f"Believed: the certificate may be used for {use} at {at}."
    checks = "1 check fails" if count == 1 else f"{count} checks fail"
    return f"Not believed: the certificate may not be used for {use} at {at}; {checks}."


def failures_of(one: ExplainedCertificate) -> tuple[Finding, ...]:
    """Return every check of a certificate that fails by itself, not only because it could not be made."""
    return tuple(each for each in one.findings if not each.is_passed and each.reason_id != NOT_CHECKED)


def failures(explanation: Explanation) -> tuple[Finding, ...]:
    """Return every check of a path that fails by itself."""
    return tuple(each for one in explanation.path for each in failures_of(one))


def cures(explanation: Explanation, language: Language) -> tuple[str, ...]:
    """Return what to do, each cure once, that of the first failed check first."""
    return tuple(dict.fromkeys(each.cure[language] for each in failures(explanation)))


def explanation_to_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as a JSON object; texts in every language, instants in UTC."""
    return {
        "use": explanation.use.value,
        "at": format_instant(explanation.at),
        "is_believed": explanation.is_believed,
        "verdict": {language.value: verdict(explanation, language) for language in Language},
        "cures": {language.value: list(cures(explanation, language)) for language in Language},
        "path": [_certificate(one) for one in explanation.path],
    }


def answer_to_json(answer: RevocationAnswer, certificate: x509.Certificate) -> dict[str, str | None]:
    """Return what a revocation answer says about a certificate.

    `status` is `good`, `revoked` or `unknown`; `by` names who signed it, or its key as `keyid:` and a digest.
    """
    if answer.kind is AnswerKind.CRL:
        crl = x509.load_der_x509_crl(answer.der)
        is_listed = crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
        status, signer = "revoked" if is_listed else "good", full_name(crl.issuer)
    else:
        response = ocsp.load_der_ocsp_response(answer.der)
        single = next(each for each in response.responses if each.serial_number == certificate.serial_number)
        status = single.certificate_status.name.lower()
        name, key_hash = response.responder_name, response.responder_key_hash
        signer = full_name(name) if name is not None else f"keyid:{(key_hash or b'').hex()}"
    return {
        "kind": answer.kind.value,
        "status": status,
        "by": signer,
        "this_update": format_instant(answer.this_update),
        "next_update": format_instant(answer.next_update) if answer.next_update else None,
    }


def _certificate(one: ExplainedCertificate) -> dict[str, Any]:
    certificate = one.certificate
    days = [format_instant(each) for each in validity_of(certificate) or ()] or ["", ""]
    return {
        "role": one.role,
        "subject": subject_of(certificate),
        "issuer": issuer_of(certificate),
        "serial": f"{certificate.serial_number:x}",
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "not_before": days[0],
        "not_after": days[1],
        "key": describe_key(certificate),
        "signed_with": describe_signature(certificate),
        "approval": _approval(one.approval) if one.approval else None,
        "revocation": [answer_to_json(answer, certificate) for answer in one.answers],
        "findings": [finding_to_json(finding) for finding in one.findings],
    }


def _approval(row: Authority) -> dict[str, Any]:
    return {
        "name": row.name,
        "is_anchor": row.is_anchor,
        "uses": sorted(use.value for use in row.uses),
        "approved_from": format_instant(row.approved_from),
        "approved_until": format_instant(row.approved_until) if row.approved_until else None,
        "revocation": row.revocation.value,
    }
