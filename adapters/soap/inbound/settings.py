# SPDX-License-Identifier: Apache-2.0
"""What a gateway's configuration says about its SOAP endpoint: `soap:`, one entry a service."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from adapters.references import ReferredText, SecretReference
from hub.identifiers import is_contract_id, is_service_id, is_subsystem_id


def _service(text: str) -> str:
    if not is_service_id(text):
        raise ValueError("is not a service id of the form <USCC>/<subsystem>/<service>")
    return text


def _contract(text: str) -> str:
    if not is_contract_id(text):
        raise ValueError("is not a contract id of the form <name>/v<N>")
    return text


def _subsystem(text: str) -> str:
    if not is_subsystem_id(text):
        raise ValueError("is not a subsystem id of the form <USCC>/<subsystem>")
    return text


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SoapCallerSettings(_Settings):
    """Who may ask: a name with its password, or a certificate.

    Attributes:
        certificate: SHA-256 of the certificate its connections show, hexadecimal.
    """

    username: ReferredText | None = None
    password: SecretReference | None = None
    certificate: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        has_password = self.username is not None and self.password is not None
        has_half = (self.username is None) != (self.password is None)
        if has_half or has_password == (self.certificate is not None):
            raise ValueError("a caller has either username and password, or certificate")
        return self


class SoapServiceSettings(_Settings):
    """A service that this department's own systems may ask over SOAP.

    Attributes:
        service: who is asked, through the hub.
        subsystem: in whose name; one of this gateway's.
        purpose: what the request need not say about why it asks.
        max_request_bytes: of an envelope.
    """

    service: Annotated[str, AfterValidator(_service)]
    contract: Annotated[str, AfterValidator(_contract)]
    subsystem: Annotated[str, AfterValidator(_subsystem)]
    callers: Annotated[tuple[SoapCallerSettings, ...], Field(min_length=1, strict=False)]
    purpose: dict[str, ReferredText] = {}
    timeout_seconds: Annotated[float, Field(gt=0, le=600, strict=False)] = 60.0
    max_request_bytes: Annotated[int, Field(ge=1024, le=50_000_000)] = 1_000_000

    @model_validator(mode="after")
    def _check(self) -> Self:
        unknown = set(self.purpose) - {"item", "case", "legal_basis", "official", "post"}
        if unknown:
            raise ValueError("purpose has item, case, legal_basis, official and post")
        return self
