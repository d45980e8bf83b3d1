# SPDX-License-Identifier: Apache-2.0
"""The trust list as a document: `trust-list.json`, and what it says as a `TrustList`.

Source: docs/protocols/trust-list.md section 4.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from hub.canonical import encode_canonical
from hub.clock import format_instant, parse_instant
from hub.trust import Authority, Bilingual, ListedService, RevocationPolicy, TrustList, Use, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGHEST_SEQUENCE = 999_999


def _read_certificate(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        der = b64decode(value, validate=True)
        certificate = x509.load_der_x509_certificate(der)
    except (binascii.Error, ValueError, x509.InvalidVersion) as exc:
        raise ValueError("is not a certificate (base64 of DER)") from exc
    # One certificate has one form here, or two lists of different bytes would say the same.
    if _write_certificate(certificate) != value:
        raise ValueError("is not the one base64 form of its certificate")
    return certificate


def _write_certificate(certificate: x509.Certificate) -> str:
    return b64encode(certificate.public_bytes(Encoding.DER)).decode("ascii")


def _read_instant(value: object) -> object:
    return parse_instant(value) if isinstance(value, str) else value


Certificate = Annotated[
    x509.Certificate, BeforeValidator(_read_certificate), PlainSerializer(_write_certificate)
]
Instant = Annotated[datetime, BeforeValidator(_read_instant), PlainSerializer(format_instant)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
_Url = Annotated[str, Field(pattern=r"^https?://[!-~]{1,490}$")]


class Strict(BaseModel):
    """A part of the document: no field more, no field less, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


class BilingualName(Strict):
    """A name for people, in both languages."""

    zh: Text
    en: Text


class _Approved(Strict):
    certificate: Certificate
    name: Text
    approved_from: Instant
    approved_until: Instant | None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> _Approved:
        if self.approved_until is not None and self.approved_until <= self.approved_from:
            raise ValueError(f"the approval of {self.name!r} ends before it begins")
        return self


class AuthorityRow(_Approved):
    """One approved certification authority; the fields are those of `hub.trust.Authority`."""

    is_anchor: bool
    uses: tuple[Use, ...] = Field(strict=False)
    revocation: RevocationPolicy = Field(strict=False)
    reaches_below: bool
    longest_answer_age_seconds: Annotated[int, Field(ge=60, le=366 * 86_400)] | None
    unsafe_accept_unknown_revocation: bool

    def to_authority(self) -> Authority:
        """Return the row as validation reads it."""
        seconds = self.longest_answer_age_seconds
        return Authority(
            certificate=self.certificate,
            is_anchor=self.is_anchor,
            uses=frozenset(self.uses),
            approved_from=self.approved_from,
            approved_until=self.approved_until,
            revocation=self.revocation,
            name=self.name,
            reaches_below=self.reaches_below,
            longest_answer_age=None if seconds is None else timedelta(seconds=seconds),
            unsafe_accepts_unknown_revocation=self.unsafe_accept_unknown_revocation,
        )


class ServiceRow(_Approved):
    """One approved time-stamping authority or OCSP responder."""

    url: _Url | None

    def to_service(self) -> ListedService:
        """Return the row as validation reads it."""
        return ListedService(self.certificate, self.name, self.url, self.approved_from, self.approved_until)


class Content(Strict):
    """What a person decides about a version: who is approved, and who may sign the next one.

    Attributes:
        signers: certificates of whom the next version may be signed by.
        time_stamping_authorities: in the order in which they are asked.
    """

    name: BilingualName
    signers: Annotated[tuple[Certificate, ...], Field(strict=False, min_length=1, max_length=16)]
    authorities: Annotated[tuple[AuthorityRow, ...], Field(strict=False, min_length=1, max_length=2000)]
    time_stamping_authorities: Annotated[tuple[ServiceRow, ...], Field(strict=False, max_length=200)]
    ocsp_responders: Annotated[tuple[ServiceRow, ...], Field(strict=False, max_length=2000)]

    @model_validator(mode="after")
    def _rows_are_sound(self) -> Content:
        _refuse_twins("signers", self.signers)
        for field in ("authorities", "time_stamping_authorities", "ocsp_responders"):
            _refuse_twins(field, (row.certificate for row in getattr(self, field)))
        for row in self.authorities:
            if len(set(row.uses)) != len(row.uses):
                raise ValueError(f"{row.name!r} has a use twice")
        if not any(row.is_anchor for row in self.authorities):
            raise ValueError("no authority is a root (is_anchor)")
        return self


class TrustListDocument(Content):
    """The whole document.

    Attributes:
        sequence: number of the version, from 1 on without gaps.
        issued_at: from here on this version is in force.
        next_update: by then the next version is due.
        previous_sha256: SHA-256 of the previous version's container, hexadecimal; None for the first.
    """

    format: Literal["heliograph-trust-list/2"]
    sequence: Annotated[int, Field(ge=1, le=HIGHEST_SEQUENCE)]
    issued_at: Instant
    next_update: Instant
    previous_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None

    @model_validator(mode="after")
    def _places_itself(self) -> TrustListDocument:
        if self.next_update <= self.issued_at:
            raise ValueError("next_update is not after issued_at")
        if (self.sequence == 1) != (self.previous_sha256 is None):
            raise ValueError("exactly the first version has no previous_sha256")
        return self

    def to_trust_list(self) -> TrustList:
        """Return what the document says in the words of `hub.trust`."""
        return TrustList(
            authorities=tuple(row.to_authority() for row in self.authorities),
            time_stamping=tuple(row.to_service() for row in self.time_stamping_authorities),
            ocsp_responders=tuple(row.to_service() for row in self.ocsp_responders),
            sequence=self.sequence,
            issued_at=self.issued_at,
            next_update=self.next_update,
        )


def encode_document(document: TrustListDocument) -> bytes:
    """Write a document in its one form, RFC 8785 canonical JSON."""
    return encode_canonical(document.model_dump(mode="json"))


def decode_document(raw: bytes) -> TrustListDocument:
    """Read a document, refusing every form but the canonical one.

    Raises:
        TrustError: `trust.trust_list_invalid`, naming the place.
    """
    try:
        document = TrustListDocument.model_validate_json(raw)
    except ValidationError as exc:
        raise refusal("list_malformed", problem=describe_problem(exc)) from exc
    if encode_document(document) != raw:
        raise refusal(
            "list_malformed",
            problem=Bilingual(
                "the JSON is not in the canonical form of RFC 8785", "JSON不是RFC 8785规范形式"
            ),
        )
    return document


def describe_problem(error: ValidationError) -> str:
    """Say where and what the first problem is; certificates and values are not repeated."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    where = "/".join(str(part) for part in first["loc"])
    return f"at /{where}: {first['msg']}"


def _refuse_twins(field: str, certificates: Iterable[x509.Certificate]) -> None:
    ordered = sorted(certificate.public_bytes(Encoding.DER) for certificate in certificates)
    if any(one == other for one, other in pairwise(ordered)):
        raise ValueError(f"{field} lists a certificate twice")
