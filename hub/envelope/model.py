# SPDX-License-Identifier: Apache-2.0
"""What an envelope says: its header, its payloads, and the whole container as one value.

Source: docs/protocols/envelope.md sections 2 and 3.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from hub.clock import parse_instant
from hub.identifiers import (
    ContractId,
    MessageId,
    ServiceId,
    SubsystemId,
    is_contract_id,
    is_message_id,
    is_service_id,
    is_subsystem_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography import x509

CONTAINER_MEDIA_TYPE = "application/vnd.etsi.asic-e+zip"
MANIFEST_NAME = "META-INF/ASiCManifest.xml"
SIGNATURE_NAME = "META-INF/signature.p7s"
HEADER_NAME = "message.json"
HEADER_MEDIA_TYPE = "application/json"

PAYLOAD_NAME_PATTERN = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"
_MEDIA_TYPE_PATTERN = r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}$"
_SHA256_PATTERN = r"^[0-9a-f]{64}$"
TOPIC_PATTERN = r"^[a-z0-9][a-z0-9.-]{0,79}$"


class Kind(StrEnum):
    """What a message is."""

    REQUEST = "request"
    RESPONSE = "response"
    FAULT = "fault"
    RECEIPT = "receipt"
    EVENT = "event"


def _matching(is_valid: Callable[[str], bool], form: str) -> AfterValidator:
    def check(text: str) -> str:
        if not is_valid(text):
            raise ValueError(f"is not {form}")
        return text

    return AfterValidator(check)


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("is not an instant")  # noqa: TRY004 - pydantic collects ValueError
    return parse_instant(value)


_Message = Annotated[MessageId, _matching(is_message_id, "a UUIDv7")]
_Subsystem = Annotated[SubsystemId, _matching(is_subsystem_id, "a subsystem id")]
_Service = Annotated[ServiceId, _matching(is_service_id, "a service id")]
_Contract = Annotated[ContractId, _matching(is_contract_id, "a contract id")]
_Instant = Annotated[datetime, BeforeValidator(_instant)]
_Text = Annotated[str, Field(min_length=1, max_length=200)]

_STRICT = ConfigDict(extra="forbid", strict=True)


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class InReplyTo:
    """Binds an answer to its question.

    Attributes:
        id: the message answered.
        manifest_sha256: SHA-256 of that message's ASiCManifest.xml, hexadecimal.
    """

    id: _Message
    manifest_sha256: Annotated[str, Field(pattern=_SHA256_PATTERN)]


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Purpose:
    """Why personal data is asked for.

    Attributes:
        item: code of the power item or procedure, for example `000788002000`.
        case: number of the case it is needed in.
        legal_basis: the provision that allows it.
        official: who asks, as the department knows them.
        post: in what function.
    """

    item: _Text
    case: _Text
    legal_basis: _Text
    official: _Text
    post: _Text


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class PayloadEntry:
    """One line of the header's list of payloads.

    Attributes:
        name: file name below `payload/`.
        media_type: as registered with IANA.
        bytes: size of the content.
        sha256: digest of the content, hexadecimal.
    """

    name: Annotated[str, Field(pattern=PAYLOAD_NAME_PATTERN)]
    media_type: Annotated[str, Field(pattern=_MEDIA_TYPE_PATTERN)]
    bytes: Annotated[int, Field(ge=0, le=2**53 - 1)]
    sha256: Annotated[str, Field(pattern=_SHA256_PATTERN)]


@checked_dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Header:
    """The signed header `message.json`.

    Attributes:
        conversation: id of the message that began the conversation this one belongs to.
        service: what is asked, or was asked; absent from a fault about an unreadable message.
        in_reply_to: present in responses and receipts, and in faults about a readable message.
        purpose: present in requests and in events of a service.
        topic: what an event of a service is about, for example `proof.revoked`; present only there.
    """

    id: _Message
    kind: Kind = Field(strict=False)
    sender: _Subsystem
    recipient: _Subsystem
    sent_at: _Instant
    expires_at: _Instant
    conversation: _Message
    service: _Service | None = None
    contract: _Contract | None = None
    in_reply_to: InReplyTo | None = None
    purpose: Purpose | None = None
    topic: Annotated[str, Field(pattern=TOPIC_PATTERN)] | None = None
    payload: tuple[PayloadEntry, ...] = Field(default=(), strict=False, max_length=32)

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> Header:
        if self.expires_at <= self.sent_at:
            raise ValueError("expires_at is not after sent_at")
        # An event of no service, such as a trust list, is for everybody and travels no exchange.
        if (self.topic is not None) != (self.kind is Kind.EVENT and self.service is not None):
            raise ValueError("a topic belongs to a service's event, which needs one")
        if self.kind is Kind.REQUEST or self.topic is not None:
            if self.in_reply_to is not None:
                raise ValueError(f"a {self.kind} has no in_reply_to")
            if self.service is None or self.contract is None or self.purpose is None:
                raise ValueError(f"a {self.kind} needs service, contract and purpose")
        elif self.kind in {Kind.RESPONSE, Kind.RECEIPT} and self.in_reply_to is None:
            raise ValueError(f"a {self.kind} needs in_reply_to")
        if len({entry.name for entry in self.payload}) != len(self.payload):
            raise ValueError("two payloads have the same name")
        return self


@dataclass(frozen=True, slots=True)
class Payload:
    """One data file travelling in an envelope."""

    name: str
    media_type: str
    content: bytes

    def describe(self) -> PayloadEntry:
        """Return this payload's line in the header."""
        return PayloadEntry(
            name=self.name,
            media_type=self.media_type,
            bytes=len(self.content),
            sha256=hashlib.sha256(self.content).hexdigest(),
        )


@dataclass(frozen=True)
class Envelope:
    """A container whose structure and digests hold; its signature is checked separately.

    Attributes:
        raw: the container, byte for byte.
        payloads: content by payload name, in the header's order.
        manifest: `META-INF/ASiCManifest.xml`, what the signature covers.
        signature: `META-INF/signature.p7s`, DER.
    """

    raw: bytes
    header: Header
    payloads: Mapping[str, bytes]
    manifest: bytes
    signature: bytes

    @property
    def absent_sizes(self) -> Mapping[str, int]:
        """How many octets the payloads have that are too large to be here, by name."""
        return {}

    @cached_property
    def container_sha256(self) -> str:
        """SHA-256 of the whole container, hexadecimal."""
        return hashlib.sha256(self.raw).hexdigest()

    @cached_property
    def manifest_sha256(self) -> str:
        """SHA-256 of the manifest, hexadecimal; what an answer binds to."""
        return hashlib.sha256(self.manifest).hexdigest()

    def as_in_reply_to(self) -> InReplyTo:
        """Return what an answer to this message must carry."""
        return InReplyTo(id=self.header.id, manifest_sha256=self.manifest_sha256)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that holds over the manifest; whether its certificate may be believed is a trust matter.

    Attributes:
        chain: the signer's certificate first, then its issuers as the signer sent them.
        signed_at: the signing-time attribute, UTC, whole seconds.
        algorithm: name of the row in `hub.trust.algorithms`.
    """

    chain: tuple[x509.Certificate, ...]
    signed_at: datetime
    algorithm: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a container may be; checked before anything in it is believed."""

    container_bytes: int = 16 * 1024 * 1024
    header_bytes: int = 64 * 1024
    signature_bytes: int = 64 * 1024
    members: int = 36
