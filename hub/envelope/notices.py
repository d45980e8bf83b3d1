# SPDX-License-Identifier: Apache-2.0
"""What receipts and faults say: `receipt.json` and `fault.json`.

Source: docs/protocols/envelope.md sections 7 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from hub.canonical import encode_canonical
from hub.clock import format_instant, parse_instant
from hub.envelope.model import Envelope, Payload
from hub.errors import Culprit, EnvelopeError, Finding, HubError, Language, ReportedFaultError
from hub.findings import finding_to_json, read_finding
from hub.identifiers import MessageId  # noqa: TC001 - pydantic reads it at run time

FAULT_NAME = "fault.json"
RECEIPT_NAME = "receipt.json"

_STRICT = ConfigDict(extra="forbid", strict=True)
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Instant = Annotated[
    datetime, BeforeValidator(lambda value: parse_instant(value) if isinstance(value, str) else value)
]


class ReceiptStatus(StrEnum):
    """The rungs of the ladder: what has really happened to a request."""

    ACCEPTED = "accepted"
    """Verified, authorised and logged; about to be delivered."""
    DELIVERED = "delivered"
    """The recipient has it, safely; an answer may follow, `expected_by` when it says so."""
    PROCESSED = "processed"
    """Answered, and the answer verified, bound to the request and logged."""
    REFUSED = "refused"
    """Not answered; the code says why. The same message may be sent again."""


@checked_dataclass(frozen=True, kw_only=True, config=_STRICT)
class MessageReference:
    """One container, by its id and digests."""

    id: MessageId
    container_sha256: _Sha256
    manifest_sha256: _Sha256


@checked_dataclass(frozen=True, kw_only=True, config=_STRICT)
class LogReference:
    """Where in whose log the event stands.

    Attributes:
        leaf_sha256: the Merkle leaf hash of the entry (RFC 9162 section 2.1.1), hexadecimal.
    """

    origin: str
    index: int
    leaf_sha256: _Sha256


@checked_dataclass(frozen=True, kw_only=True, config=_STRICT)
class Receipt:
    """The signed word on what became of a message: the hub's, or that of the department it was for.

    Attributes:
        at: UTC; when it became so.
        message: what the receipt is about.
        log: where the hub's log says so; None in a department's own receipt, and only there.
        answer: what the hub passes on as the answer: a response, a fault, or a department's receipt.
        code: why it was refused; present exactly then.
        expected_by: UTC; until when an answer is promised. Only in a receipt `delivered`.
    """

    status: ReceiptStatus = Field(strict=False)
    at: _Instant
    message: MessageReference
    log: LogReference | None = None
    answer: MessageReference | None = None
    code: str | None = None
    expected_by: _Instant | None = None

    @model_validator(mode="after")
    def _fields_fit_the_status(self) -> Receipt:
        if (self.code is not None) != (self.status is ReceiptStatus.REFUSED):
            raise ValueError("a code belongs to refused, and refused needs one")
        if self.expected_by is not None:
            if self.status is not ReceiptStatus.DELIVERED:
                raise ValueError("expected_by belongs to delivered")
            if self.expected_by < self.at:
                raise ValueError("expected_by is before at")
        # A department knows that it has a message and has worked on it; all else needs a log.
        if self.log is None and (
            self.status not in {ReceiptStatus.DELIVERED, ReceiptStatus.PROCESSED} or self.answer is not None
        ):
            raise ValueError("this needs a place in the log")
        return self


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a message was not answered, for programs (`code`) and for people.

    `finding` is the failed check, where a certificate was refused.
    """

    code: str
    culprit: Culprit
    is_retryable: bool
    detail: str
    message: dict[Language, str]
    cure: dict[Language, str]
    finding: Finding | None = None

    def to_error(self) -> ReportedFaultError:
        """Return this fault as an error with its own code."""
        return ReportedFaultError(
            self.code,
            self.detail,
            culprit=self.culprit,
            is_retryable=self.is_retryable,
            finding=self.finding,
        )


@checked_dataclass(frozen=True, kw_only=True, config=_STRICT)
class _FaultFields:
    # As long as a log entry's code may be.
    code: Annotated[str, Field(pattern=r"^[a-z]{1,20}\.[a-z0-9_]{1,60}$")]
    culprit: Culprit = Field(strict=False)
    retryable: bool
    detail: Annotated[str, Field(max_length=2000)]
    message: dict[str, str]
    cure: dict[str, str]
    finding: Annotated[Any, BeforeValidator(read_finding)] = None


_RECEIPT = TypeAdapter(Receipt)
_FAULT = TypeAdapter(_FaultFields)
_LONGEST_DETAIL = 2000


def describe_fault(error: HubError) -> Fault:
    """Return what a fault says about an error."""
    return Fault(
        code=error.code,
        culprit=error.culprit,
        is_retryable=error.is_retryable,
        detail=error.detail[:_LONGEST_DETAIL],
        message=error.kind.message,
        cure=error.kind.cure,
        finding=error.finding,
    )


def write_fault(fault: Fault) -> Payload:
    """Write `fault.json`."""
    fields: dict[str, Any] = {
        "code": fault.code,
        "culprit": fault.culprit.value,
        "retryable": fault.is_retryable,
        "detail": fault.detail,
        "message": {language.value: text for language, text in fault.message.items()},
        "cure": {language.value: text for language, text in fault.cure.items()},
    }
    if fault.finding is not None:
        fields["finding"] = finding_to_json(fault.finding)
    return Payload(FAULT_NAME, "application/json", encode_canonical(fields))


def read_fault(envelope: Envelope) -> Fault:
    """Read the fault an envelope carries.

    Raises:
        EnvelopeError: `header_invalid`, the payload is missing or is no fault.
    """
    try:
        fields = _FAULT.validate_json(_payload(envelope, FAULT_NAME))
    except ValidationError as error:
        raise EnvelopeError("envelope.header_invalid", f"{FAULT_NAME} is not a fault") from error
    return Fault(
        code=fields.code,
        culprit=fields.culprit,
        is_retryable=fields.retryable,
        detail=fields.detail,
        message={language: fields.message.get(language.value, "") for language in Language},
        cure={language: fields.cure.get(language.value, "") for language in Language},
        finding=fields.finding,
    )


def write_receipt(receipt: Receipt) -> Payload:
    """Write `receipt.json`."""
    fields: dict[str, Any] = {
        "status": receipt.status.value,
        "at": format_instant(receipt.at),
        "message": _reference(receipt.message),
    }
    if receipt.log is not None:
        fields["log"] = {
            "origin": receipt.log.origin,
            "index": receipt.log.index,
            "leaf_sha256": receipt.log.leaf_sha256,
        }
    if receipt.answer is not None:
        fields["answer"] = _reference(receipt.answer)
    if receipt.code is not None:
        fields["code"] = receipt.code
    if receipt.expected_by is not None:
        fields["expected_by"] = format_instant(receipt.expected_by)
    return Payload(RECEIPT_NAME, "application/json", encode_canonical(fields))


def read_receipt(envelope: Envelope) -> Receipt:
    """Read the receipt an envelope carries.

    Raises:
        EnvelopeError: `header_invalid`, the payload is missing or is no receipt.
    """
    try:
        return _RECEIPT.validate_json(_payload(envelope, RECEIPT_NAME))
    except ValidationError as error:
        raise EnvelopeError("envelope.header_invalid", f"{RECEIPT_NAME} is not a receipt") from error


def refer_to(envelope: Envelope) -> MessageReference:
    """Return the reference to an envelope that receipts carry."""
    return MessageReference(
        id=envelope.header.id,
        container_sha256=envelope.container_sha256,
        manifest_sha256=envelope.manifest_sha256,
    )


def _reference(reference: MessageReference) -> dict[str, str]:
    return {
        "id": reference.id,
        "container_sha256": reference.container_sha256,
        "manifest_sha256": reference.manifest_sha256,
    }


def _payload(envelope: Envelope, name: str) -> bytes:
    if name not in envelope.payloads:
        raise EnvelopeError("envelope.member_missing", f"payload/{name}")
    return envelope.payloads[name]
