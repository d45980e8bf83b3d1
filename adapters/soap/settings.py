# SPDX-License-Identifier: Apache-2.0
"""What a description says about a SOAP connection."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from adapters.addresses import Endpoint, endpoint_of
from adapters.entry import ConnectionSettings, OutcomeCode
from adapters.references import (
    ReferredPath,
    ReferredPort,
    ReferredText,
    SecretReference,
)
from adapters.web import TlsSettings, with_port


class PasswordType(StrEnum):
    """How a UsernameToken carries its password (OASIS WSS UsernameToken Profile 1.1.1 section 3.1)."""

    TEXT = "text"
    DIGEST = "digest"


class SoapMessageId(StrEnum):
    """How a SOAP header carries the message id."""

    WS_ADDRESSING = "ws-addressing"
    """`wsa:MessageID`, a UUID URN (W3C Web Services Addressing 1.0 Core section 3.1)."""


class UsernameTokenSettings(ConnectionSettings):
    """WS-Security UsernameToken."""

    username: ReferredText
    password: SecretReference
    password_type: Annotated[PasswordType, Field(strict=False)] = PasswordType.DIGEST


class SignatureSettings(ConnectionSettings):
    """An X.509 signature over body and time stamp.

    Attributes:
        key: PEM, with its `passphrase` where it is encrypted.
        certificate: PEM of the key's certificate, which goes along.
        valid_seconds: how long the message may be on its way.
    """

    key: ReferredPath
    passphrase: SecretReference | None = None
    certificate: ReferredPath
    valid_seconds: Annotated[int, Field(ge=10, le=3600)] = 300


class ReplySignatureSettings(ConnectionSettings):
    """Whose signature an answer has to bear.

    Attributes:
        certificates: PEM files of the only certificates believed; several while one is being replaced.
        needs_time_stamp: whether the answer has to have a signed time stamp that has not expired.
        clock_skew_seconds: how far the other clock may be off.
        unsafe_allow_sha1: also accept SHA-1, for a system that cannot do better; forgeable.
    """

    certificates: Annotated[tuple[ReferredPath, ...], Field(min_length=1, strict=False)]
    needs_time_stamp: bool = True
    clock_skew_seconds: Annotated[int, Field(ge=0, le=900)] = 60
    unsafe_allow_sha1: bool = False


class SoapSettings(ConnectionSettings):
    """A SOAP connection.

    Attributes:
        wsdl: a file beside the description, or an http(s) address.
        imports_below: the folder a WSDL file's imports must stay in; its own folder without it.
        catalog: files to use in place of imported addresses.
        catalog_folders: folders of schemas that answer for imports, by namespace or file name.
        repairs: codes of the findings about the WSDL that are accepted (`adapters.sources`); with any other
            defect the description is refused.
        import_hosts: further hosts the WSDL's imports may be loaded from; none without it.
        binding: the binding's name as `{namespace}name`, where the WSDL has no service or several.
        address: where the service is, in place of the WSDL's own address.
        port: TCP port in place of the one in `wsdl` and `address`.
        flags: local names of elements without content whose presence says something, such as "nothing found";
            each becomes true or false in `answer`, which zeep alone would leave null in both cases.
        fault_codes: fault codes, without prefix, that mean something better than `system_fault`.
        fault_code_element: local name of the fault detail's element that holds the code.
        signature: signs what is sent.
        reply_signature: whose signature an answer has to bear.
        attachments: whether parts of a MIME answer that nothing in it includes go into `answer._attachments`.
        message_id: whether the message id goes into the SOAP header, for a service that does its work only
            once for each. A service that has a field of its own for it gets `call.message_id` by the request
            mapping.
        message_id_header: an HTTP header that carries it.
    """

    wsdl: ReferredText
    imports_below: ReferredPath | None = None
    catalog: dict[str, ReferredPath] = Field(default={})
    catalog_folders: tuple[ReferredPath, ...] = Field(default=(), strict=False)
    repairs: tuple[str, ...] = Field(default=(), strict=False)
    import_hosts: tuple[str, ...] = Field(default=(), strict=False)
    binding: str | None = None
    address: ReferredText | None = None
    port: ReferredPort | None = None
    operation: str
    username_token: UsernameTokenSettings | None = None
    signature: SignatureSettings | None = None
    reply_signature: ReplySignatureSettings | None = None
    attachments: bool = False
    flags: tuple[str, ...] = Field(default=(), strict=False)
    fault_codes: dict[str, Annotated[OutcomeCode, Field(strict=False)]] = Field(default={})
    fault_code_element: str | None = None
    message_id: Annotated[SoapMessageId, Field(strict=False)] | None = None
    message_id_header: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9-]{0,63}$")] | None = None
    max_answer_bytes: Annotated[int, Field(ge=1024, le=200_000_000)] = 7_000_000
    tls: TlsSettings = TlsSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.address is not None and urlsplit(self.address).scheme not in {"http", "https"}:
            raise ValueError("address is an http or https address")
        return self

    def is_remote(self) -> bool:
        """Tell whether the WSDL comes over the network."""
        return urlsplit(self.wsdl).scheme in {"http", "https"}

    def endpoints(self, location: str) -> list[Endpoint]:
        """Return where the settings themselves lead to; `location` is the WSDL's."""
        urls = [location] if self.is_remote() else []
        urls += [f"{scheme}://{host}" for host in self.import_hosts for scheme in ("http", "https")]
        if self.address is not None:
            urls.append(with_port(self.address, self.port))
        return [endpoint_of(url) for url in urls]

    def wsdl_location(self, folder: Path) -> str:
        """Return the address or the absolute path of the WSDL."""
        return with_port(self.wsdl, self.port) if self.is_remote() else str((folder / self.wsdl).resolve())
