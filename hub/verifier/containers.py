# SPDX-License-Identifier: Apache-2.0
"""Verifying an envelope offline: the same checks as on the wire, told one by one.

An exported container is taken apart first: what passed the hub is checked as on the wire, the evidence record
behind it by further steps.

Source: docs/protocols/envelope.md section 10; RFC 4998 section 5.3.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.envelope import (
    Kind,
    Limits,
    assemble_envelope,
    check_manifest,
    check_members,
    check_payloads,
    decode_header,
    is_encrypted,
    read_fault,
    read_receipt,
    read_zip,
    require_encrypted,
    verify_cades,
    verify_canonical_cades,
)
from hub.errors import EnvelopeError, ExchangeError, Language
from hub.identifiers import member_of
from hub.preservation import RECORD_NAME, RecordVerification, group_of, without_record
from hub.trust import VerificationReport, refusal
from hub.verifier.certificates import describe_once, member_once
from hub.verifier.steps import DependentSteps, known

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from hub.envelope import Envelope, Header, Member, Receipt, Signature
    from hub.verifier.certificates import SignerCertificate, SignerJudgement

_CLOCK_SKEW = timedelta(seconds=60)

ZIP = "Size and ZIP form"
MEMBERS = "Members"
HEADER = "Header"
PAYLOADS = "Payload digests"
SECRECY = "Encrypted payloads"
MANIFEST = "Manifest"
SIGNATURE = "Signature"
TIME = "Signing time"
PATH = "Certificate path and usage"
REVOCATION = "Not revoked when signing"
SENDER = "The certificate's member is the sender"
BINDING = "Bound to the message it answers"
NOTICE = "What the notice says"
RECORD = "Evidence record"

_RECORD_NAME = RECORD_NAME.encode("ascii")
# The directory of 38 members with the longest names; a record that it does not show is refused as a member.
_LONGEST_DIRECTORY = 16 * 1024


@dataclass(frozen=True)
class Examined:
    """A container's report, and what could be read of it.

    Attributes:
        report: every step.
        envelope: as it passed the hub, without evidence record; None where header or payloads do not hold.
        chain: the certificates that came with its signature, the signer's first; whether they may be believed
            is in the report.
    """

    report: VerificationReport
    envelope: Envelope | None
    chain: tuple[x509.Certificate, ...]


def verify_envelope(
    raw: bytes, certificate: SignerCertificate, *, at: datetime, subject: str, needs_record: bool = False
) -> Examined:
    """Verify a container in the canonical form, or exported with its evidence record.

    Args:
        raw: the container.
        certificate: judges the signer's certificate, by who was approved when it signed.
        at: UTC; the instant of verification. Nothing may have been signed after it.
        subject: names the container in the report.
        needs_record: whether a container without an evidence record is not valid.
    """
    return _Verification(raw, certificate, at, needs_record=needs_record).examine(subject)


class _Verification:
    """One verification; what a step finds, later ones use."""

    def __init__(
        self, raw: bytes, certificate: SignerCertificate, at: datetime, *, needs_record: bool
    ) -> None:
        self._raw = raw
        self._certificate = certificate
        self._at = at
        self._needs_record = needs_record
        self._record: bytes | None = None
        self._members: tuple[Member, ...] = ()
        self._header: Header | None = None
        self._envelope: Envelope | None = None
        self._signature: Signature | None = None
        self._judgement: SignerJudgement | None = None
        self._facts: dict[str, str] = {}

    def examine(self, subject: str) -> Examined:
        """Carry out every step."""
        steps = DependentSteps()
        steps.run(ZIP, "envelope.not_a_zip", self._read_zip)
        steps.run(MEMBERS, "envelope.member_unexpected", self._check_members, needs=(ZIP,))
        steps.run(HEADER, "envelope.header_invalid", self._read_header, needs=(MEMBERS,))
        steps.run(PAYLOADS, "envelope.payload_mismatch", self._check_payloads, needs=(HEADER,))
        if self._header is not None and any(map(is_encrypted, self._header.payload)):
            steps.run(SECRECY, "envelope.encryption_malformed", self._check_secrecy, needs=(PAYLOADS,))
        steps.run(MANIFEST, "envelope.manifest_invalid", self._check_manifest, needs=(HEADER,))
        steps.run(SIGNATURE, "envelope.signature_invalid", self._check_signature, needs=(MEMBERS,))
        steps.run(TIME, "envelope.signing_time_mismatch", self._check_time, needs=(HEADER, SIGNATURE))
        steps.run(PATH, "trust.path_invalid", self._check_path, needs=(SIGNATURE,))
        steps.run(REVOCATION, "trust.revocation_unknown", self._check_revocation, needs=(PATH,))
        steps.run(SENDER, "trust.wrong_member", self._check_sender, needs=(HEADER, PATH))
        steps.run(BINDING, "exchange.answer_not_bound", self._check_binding, needs=(HEADER,))
        if self._header is None or self._header.kind in {Kind.RECEIPT, Kind.FAULT}:
            steps.run(NOTICE, "envelope.header_invalid", self._read_notice, needs=(HEADER, PAYLOADS))
        if self._record is not None or self._needs_record:
            self._run_record(steps)
        report = VerificationReport(subject, "envelope", steps.steps, MappingProxyType(self._facts))
        return Examined(report, self._envelope, self._signature.chain if self._signature else ())

    def _run_record(self, steps: DependentSteps) -> None:
        """Let the evidence record be checked as RFC 4998 says, over every member but `mimetype`."""
        steps.run(RECORD, "envelope.member_missing", self._find_record, needs=(MEMBERS,))
        verification = RecordVerification(
            self._record or b"",
            lambda digest: group_of(self._members, digest),
            self._certificate.time_stamps,
            at=self._at,
        )
        for step in verification.steps():
            steps.run(step.name, step.code, step.check, needs=(RECORD, *step.needs))
        if all(step.is_passed for step in steps.steps):
            self._facts["existed_at"] = format_instant(verification.result().existed_at)

    def _find_record(self) -> str:
        if self._record is None:
            raise EnvelopeError("envelope.member_missing", f"{RECORD_NAME}: nothing shows when it existed")
        return f"{len(self._record)} bytes, over {len(self._members) - 1} members"

    def _read_zip(self) -> str:
        if _RECORD_NAME in self._raw[-_LONGEST_DIRECTORY:]:
            self._raw, self._record = without_record(self._raw)
        self._members = read_zip(self._raw, Limits())
        return f"{len(self._raw)} bytes, {len(self._members)} members, canonical"

    def _check_members(self) -> str:
        check_members(self._members, Limits())
        return ", ".join(member.name for member in self._members)

    def _read_header(self) -> str:
        header = decode_header(self._members[1].content)
        self._header = header
        fields = {
            "id": header.id,
            "kind": header.kind.value,
            "sender": header.sender,
            "recipient": header.recipient,
            "service": header.service,
            "contract": header.contract,
            "topic": header.topic,
            "sent_at": format_instant(header.sent_at),
            "in_reply_to": header.in_reply_to and header.in_reply_to.id,
            "purpose": header.purpose and f"{header.purpose.item}, case {header.purpose.case}",
        }
        self._facts |= {name: value for name, value in fields.items() if value}
        return f"{header.kind} {header.id} from {header.sender} to {header.recipient}"

    def _check_payloads(self) -> str:
        header = known(self._header)
        check_payloads(header, self._members)
        self._envelope = assemble_envelope(self._raw, header, self._members)
        self._facts |= {f"payload/{entry.name}": f"SHA-256 {entry.sha256}" for entry in header.payload}
        return f"{len(header.payload)} payloads have the sizes and digests the header states"

    def _check_secrecy(self) -> str:
        """Tell for whom the payloads are; whether they are what was agreed, only that one can tell."""
        envelope = known(self._envelope)
        encrypted = require_encrypted(envelope)
        serial = f"certificate with serial number {encrypted.certificate.serial:x}"
        self._facts["encrypted_for"] = f"{envelope.header.recipient}, {serial}"
        sizes = ", ".join(f"{name} of {size} bytes" for name, size in encrypted.sizes.items())
        return f"only the holder of the key can read {sizes}; bound to this message, {encrypted.scheme.value}"

    def _check_manifest(self) -> str:
        check_manifest(known(self._header), self._members)
        return "names the header and every payload with its digest, and nothing else"

    def _check_signature(self) -> str:
        """Check the signature over the manifest as it is, whatever became of header and payloads."""
        signature = self._verify_signature()
        self._signature = signature
        signer = self._facts["signed_by"] = describe_once(signature.chain[0])
        return f"{signature.algorithm}, by {signer}"

    def _verify_signature(self) -> Signature:
        manifest, signature = self._members[-2].content, self._members[-1].content
        allowed = self._certificate.algorithms
        if self._header is not None:
            stated_at = self._header.sent_at.replace(microsecond=0)
            with suppress(EnvelopeError):
                # Nearly always it was signed when the header says; one signature is verified then, not two.
                return verify_canonical_cades(signature, manifest, stated_at, allowed)
        stated_at = verify_cades(signature, manifest, allowed).signed_at
        return verify_canonical_cades(signature, manifest, stated_at, allowed)

    def _check_time(self) -> str:
        signed_at = known(self._signature).signed_at
        self._facts["signed_at"] = format_instant(signed_at)
        if signed_at != known(self._header).sent_at.replace(microsecond=0):
            raise EnvelopeError("envelope.signing_time_mismatch", f"signed at {format_instant(signed_at)}")
        if signed_at > self._at + _CLOCK_SKEW:
            raise ExchangeError("exchange.from_the_future", f"signed at {format_instant(signed_at)}")
        return f"{format_instant(signed_at)}, as the signer says and the header too"

    def _check_path(self) -> str:
        signature = known(self._signature)
        self._judgement = self._certificate.judge(signature.chain, signature.signed_at)
        return self._judgement.path()

    def _check_revocation(self) -> str:
        return known(self._judgement).revocation(known(self._signature).signed_at)

    def _check_sender(self) -> str:
        leaf, sender = known(self._signature).chain[0], known(self._header).sender
        member = member_once(leaf)
        if member != member_of(sender):
            raise refusal("signed_for_another", leaf, member=member, sender=sender)
        self._facts["member"] = member
        return f"{member} signed for {sender}"

    def _check_binding(self) -> str:
        header = known(self._header)
        if header.in_reply_to is not None:
            return f"answers {header.in_reply_to.id} of manifest SHA-256 {header.in_reply_to.manifest_sha256}"
        if header.kind in {Kind.REQUEST, Kind.EVENT}:
            return f"nothing to be bound to: it is a {header.kind}"
        if header.kind is Kind.FAULT and header.sender == header.recipient:
            return "a fault about a message that could not be read, so it is bound to none"
        raise ExchangeError("exchange.answer_not_bound", f"a {header.kind} without in_reply_to")

    def _read_notice(self) -> str:
        envelope = known(self._envelope)
        is_receipt = envelope.header.kind is Kind.RECEIPT
        return self._read_receipt(envelope) if is_receipt else self._read_fault(envelope)

    def _read_receipt(self, envelope: Envelope) -> str:
        receipt = read_receipt(envelope)
        self._facts |= _receipt_facts(receipt)
        about = envelope.header.in_reply_to
        if about is None or (about.id, about.manifest_sha256) != (
            receipt.message.id,
            receipt.message.manifest_sha256,
        ):
            raise ExchangeError("exchange.answer_not_bound", "the receipt is about another message")
        place = f"log entry {receipt.log.index}" if receipt.log else "in no log: a department's own word"
        return f"{receipt.status}: message {receipt.message.id}, {place}"

    def _read_fault(self, envelope: Envelope) -> str:
        fault = read_fault(envelope)
        self._facts |= {
            "fault_code": fault.code,
            "fault_culprit": fault.culprit.value,
            "fault_retryable": str(fault.is_retryable).lower(),
            "fault_detail": fault.detail,
            **{f"fault_message_{language}": fault.message[language] for language in Language},
            **{f"fault_cure_{language}": fault.cure[language] for language in Language},
        }
        return f"{fault.code}, to be cured by the {fault.culprit}"


def _receipt_facts(receipt: Receipt) -> dict[str, str]:
    facts = {
        "receipt_status": receipt.status.value,
        "receipt_at": format_instant(receipt.at),
        "receipt_message": receipt.message.id,
        "receipt_container_sha256": receipt.message.container_sha256,
        "receipt_manifest_sha256": receipt.message.manifest_sha256,
    }
    if receipt.log is not None:
        facts["receipt_log"] = f"{receipt.log.origin}, entry {receipt.log.index}"
        facts["receipt_leaf_sha256"] = receipt.log.leaf_sha256
    if receipt.expected_by is not None:
        facts["receipt_expected_by"] = format_instant(receipt.expected_by)
    if receipt.answer is not None:
        facts["receipt_answer"] = receipt.answer.id
        facts["receipt_answer_container_sha256"] = receipt.answer.container_sha256
    if receipt.code is not None:
        facts["receipt_code"] = receipt.code
    return facts
