# SPDX-License-Identifier: Apache-2.0
"""A gateway's configuration: whose keys, which services, which caseworkers' drafts.

One YAML file a gateway. Secrets are references, such as `env:NAME`; see docs/configuration.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from adapters.console.settings import ConsoleSettings
from adapters.entry import invalid
from adapters.references import (
    ReferredKey,
    ReferredPath,
    ReferredPort,
    ReferredText,
    SecretReference,
    Surroundings,
)
from adapters.soap.inbound.settings import SoapServiceSettings
from hub.errors import SettingsError
from hub.identifiers import is_subsystem_id, is_uscc
from hub.trust import known_algorithm
from hub.wire import ClientCertificates, WireLimits, leaves_in_plain, read_limits, require_protected
from hub.yamlfile import YamlFileError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _uscc(text: str) -> str:
    if not is_uscc(text):
        raise ValueError("is not a unified social credit code")
    return text


def _subsystem(text: str) -> str:
    if not is_subsystem_id(text):
        raise ValueError("is not a subsystem id of the form <USCC>/<subsystem>")
    return text


_Member = Annotated[str, AfterValidator(_uscc)]
_Subsystem = Annotated[str, AfterValidator(_subsystem)]
_Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class KeySettings(_Settings):
    """A private key, its PEM chain, and where its passphrase is.

    Attributes:
        key: an encrypted PKCS#8 file, or the URI of a key in a token.
        passphrase: of the file, or the token's PIN.
        module: the PKCS#11 library, where the URI names none.
    """

    key: ReferredKey
    chain: ReferredPath
    passphrase: SecretReference
    module: ReferredPath | None = None


class DraftSettings(_Settings):
    """A subsystem whose caseworkers' drafts this gateway signs, and the token that fetches them."""

    subsystem: _Subsystem
    token: SecretReference


class TlsSettings(_Settings):
    """A gateway's TLS, on both sides.

    Attributes:
        key: encrypted PKCS#8 in PEM.
        chain: PEM; a renewed one is taken up without a restart.
        passphrase: of the key.
        client_certificates: who has to show one: `for-messages` the hub, `required` everybody, `none` nobody.
    """

    key: ReferredPath
    chain: ReferredPath
    passphrase: SecretReference
    client_certificates: Annotated[ClientCertificates, Field(strict=False)] = ClientCertificates.FOR_MESSAGES


class SealSettings(KeySettings):
    """The seal this member puts on documents, who stamps their time, and a notice drawn in the seal.

    Without addresses of its own, the time-stamping authorities of the trust list are asked.
    """

    time_stamp_urls: Annotated[tuple[ReferredText, ...], Field(strict=False)] = ()
    notice: str | None = None


class GatewaySettings(_Settings):
    """What a gateway needs to run.

    Attributes:
        report_seconds: how often the gateway tells the hub how it is; None for never.
        subsystems: the member's subsystems this gateway answers and asks for.
        tls: the key for TLS; without it the gateway speaks plain HTTP, on this machine only unless
            `plain_http_beyond_loopback` says otherwise.
        plain_http_beyond_loopback: whether plain HTTP may leave this machine, because a terminator encrypts.
        limits: what callers may take of the server.
        hub_url: where the hub answers.
        collects: whether the gateway comes for its messages, because nobody can call it; its services then
            stand in the registry without an address.
        hub_member: whose receipts are believed.
        signing: the key that signs.
        next: the key that shall sign after it, as soon as its chain is there; a running gateway notices it.
        decryption: the keys that open what is encrypted to this member, the present one first; earlier ones
            stay for as long as something encrypted to them has to be read.
        pins: SHA-256 of the only encryption certificates used for a member, by its code.
        trust_list: folder of signed trust lists, or one; later versions are fetched from the hub.
        trust_list_signer: PEM of who signed the first trust list.
        services: the adapters' YAML files; none for a gateway that only asks.
        soap: services that this department's own systems may ask over SOAP, at `/soap/<service>`.
        data_folder: where finished exchanges of drafts and fetched trust lists are put.
        also_allowed_algorithms: ids of rows of the table of algorithms that are off by default.
        status_host: address of the port of its own on which it shows how it is.
        status_port: that port; None for none.
        console: where this gateway's administrators register adapters; None for no such port.
        trace_endpoint: an OTLP collector for traces, over HTTP; none by default.
        trace_ratio: which part of the messages is traced, as at the hub.
    """

    member: _Member
    subsystems: Annotated[list[_Subsystem], Field(min_length=1)]
    host: str = "127.0.0.1"
    port: ReferredPort
    tls: TlsSettings | None = None
    plain_http_beyond_loopback: bool = False
    limits: Annotated[WireLimits, BeforeValidator(read_limits)] = WireLimits()
    hub_url: ReferredText
    hub_member: _Member
    collects: bool = False
    report_seconds: Annotated[int, Field(ge=5, le=3600)] | None = 60
    signing: KeySettings
    next: KeySettings | None = None
    decryption: Annotated[tuple[KeySettings, ...], Field(strict=False)] = ()
    pins: dict[_Member, list[_Fingerprint]] = {}
    seal: SealSettings | None = None
    trust_list: ReferredPath
    trust_list_signer: ReferredPath
    contracts: ReferredPath
    services: list[ReferredPath] = []
    drafts: list[DraftSettings] = []
    soap: Annotated[tuple[SoapServiceSettings, ...], Field(strict=False)] = ()
    data_folder: ReferredPath
    also_allowed_algorithms: Annotated[
        tuple[Annotated[str, AfterValidator(known_algorithm)], ...], Field(strict=False)
    ] = ()
    status_host: str = "127.0.0.1"
    status_port: ReferredPort | None = None
    console: ConsoleSettings | None = None
    trace_endpoint: ReferredText | None = None
    trace_ratio: Annotated[float, Field(ge=0, le=1, strict=False)] = 1.0


def load_gateway_settings(file: Path, environment: Mapping[str, str] | None = None) -> GatewaySettings:
    """Read a gateway's configuration; relative paths start at the file's folder.

    Raises:
        SettingsError: `settings.invalid`, naming every wrong or unknown key and no value.
    """
    surroundings = Surroundings(file.parent, os.environ if environment is None else environment)
    try:
        settings = GatewaySettings.model_validate(read_yaml(file), context=surroundings)
    except YamlFileError as error:
        raise SettingsError("settings.invalid", f"{file} cannot be read: {error}") from error
    except ValidationError as error:
        raise SettingsError("settings.invalid", invalid(str(file), error).detail) from None
    _require_protection(file, settings)
    for subsystem in settings.subsystems:
        if not subsystem.startswith(settings.member):
            raise SettingsError("settings.invalid", f"{file}: {subsystem} is not this member's")
    for asked in settings.soap:
        if asked.subsystem not in settings.subsystems:
            raise SettingsError("settings.invalid", f"{file}: soap: {asked.subsystem} is not in subsystems")
    for draft in settings.drafts:
        if draft.subsystem not in settings.subsystems:
            raise SettingsError("settings.invalid", f"{file}: drafts: {draft.subsystem} is not in subsystems")
    return settings


def _require_protection(file: Path, settings: GatewaySettings) -> None:
    allows_plain = settings.plain_http_beyond_loopback
    require_protected(host=settings.host, has_tls=settings.tls is not None, allows_plain=allows_plain)
    if settings.console is not None:
        require_protected(
            host=settings.console.host, has_tls=settings.tls is not None, allows_plain=allows_plain
        )
    if settings.hub_url.startswith("https:"):
        if settings.tls is None:
            raise SettingsError("settings.invalid", f"{file}: hub_url is https, and tls is not set")
    elif leaves_in_plain(settings.hub_url) and not allows_plain:
        detail = f"{file}: hub_url: neither https nor plain_http_beyond_loopback"
        raise SettingsError("settings.connection_unprotected", detail)
