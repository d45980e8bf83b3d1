# SPDX-License-Identifier: Apache-2.0
"""The one error tree, and what each stable code means.

    HubError
    ├── EnvelopeError     envelope.*   the container's shape, digests or signature
    ├── TrustError        trust.*      a certificate, its chain, its revocation state, its member
    ├── ContractError     contract.*   content that does not keep to its contract
    ├── DocumentError     document.*   typesetting, sealing or checking a PDF
    ├── LogError          log.*        the message log
    ├── VaultError        vault.*      what was kept: its keys, its retention, its archives
    ├── RegistryError     registry.*   members, services, rights
    ├── AccessError       access.*     a caller without the right
    ├── ExchangeError     exchange.*   expiry, duplicates, binding, delivery
    ├── BundleError       bundle.*     evidence put together for a reader
    ├── AdapterError      adapter.*    a department's legacy system
    ├── AlarmError        alarm.*      what operators have to be told
    ├── PortalError       portal.*     the pages: a session, a form, an address
    ├── WireError         wire.*       a connection or a request that takes more than it may
    └── SettingsError     settings.*   the operator's configuration

Every code stands once in `errors.toml`, with who is at fault, whether trying again may help, and for
people, in zh-CN and en, what happened and what cures it. An HTTP status is given at the edge, never here.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime


class Culprit(StrEnum):
    """Who has to act before the same message can succeed."""

    SENDER = "sender"
    HUB = "hub"
    RECIPIENT = "recipient"


class Language(StrEnum):
    """Languages spoken to people (BCP 47)."""

    ZH = "zh-CN"
    EN = "en"


@dataclass(frozen=True)
class ErrorKind:
    """What a stable code means; one row of `errors.toml`."""

    code: str
    culprit: Culprit
    retryable: bool
    message: dict[Language, str]
    cure: dict[Language, str]


@cache
def error_kinds() -> dict[str, ErrorKind]:
    """Return every error code there is."""
    table = tomllib.loads(resources.files("hub").joinpath("errors.toml").read_text(encoding="utf-8"))
    return {
        f"{family}.{name}": ErrorKind(
            code=f"{family}.{name}",
            culprit=Culprit(row["culprit"]),
            retryable=row["retryable"],
            message={Language.ZH: row["zh"], Language.EN: row["en"]},
            cure={Language.ZH: row["cure_zh"], Language.EN: row["cure_en"]},
        )
        for family, rows in table.items()
        for name, row in rows.items()
    }


class HubError(Exception):
    """A refusal with a stable code.

    Args:
        code: a code of `errors.toml`, of this class's family.
        detail: the facts of this very case, in English, without personal data or secrets.
    """

    family: ClassVar[str] = ""

    def __init__(self, code: str, detail: str = "") -> None:
        self.kind = error_kinds()[code]
        if not code.startswith(f"{self.family}."):
            raise ValueError(f"{type(self).__name__} cannot carry the code {code}")
        self.detail = detail
        self._finding: Finding | None = None
        super().__init__(f"{code}: {detail or self.kind.message[Language.EN]}")

    @property
    def finding(self) -> Finding | None:
        """The failed check of a certificate, where this error, or the one it was raised from, refuses one."""
        if self._finding is None and isinstance(self.__cause__, HubError):
            return self.__cause__.finding
        return self._finding

    @property
    def code(self) -> str:
        """The stable code, for example `envelope.signature_invalid`."""
        return self.kind.code

    @property
    def culprit(self) -> Culprit:
        """Who has to act."""
        return self.kind.culprit

    @property
    def is_retryable(self) -> bool:
        """Whether the same message may succeed later, unchanged."""
        return self.kind.retryable


class EnvelopeError(HubError):
    """The container's shape, digests or signature are wrong."""

    family = "envelope"


@dataclass(frozen=True)
class Finding:
    """What one check found, in words for people and in parts for programs.

    Attributes:
        reason_id: stable name of the outcome, a row of `hub/trust/refusals/*.toml`.
        code: the error code it leads to; None for a check that holds.
        clause: standard and clause that ask for the check.
        subject: of the certificate it is about (RFC 4514); empty where it is about none.
        issuer: of that certificate (RFC 4514).
        serial: of that certificate, hexadecimal.
        at: UTC; the instant the check was made for, None where time does not matter.
        reason: what was found, in each language.
        cure: what to do about it, in each language.
        facts: what the reason's words name, for programs.
    """

    reason_id: str
    code: str | None
    clause: str
    subject: str
    issuer: str
    serial: str
    at: datetime | None
    reason: dict[Language, str]
    cure: dict[Language, str]
    facts: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def is_passed(self) -> bool:
        """Whether the check holds."""
        return self.code is None


class TrustError(HubError):
    """A certificate, its chain, its revocation state or its member is not acceptable.

    Args:
        code: a code of the family trust.
        detail: the facts, in English.
        finding: the failed check in full, where one certificate's check failed.
    """

    family = "trust"

    def __init__(self, code: str, detail: str = "", finding: Finding | None = None) -> None:
        super().__init__(code, detail)
        self._finding = finding


class ContractError(HubError):
    """Content does not keep to its contract."""

    family = "contract"


class DocumentError(HubError):
    """A PDF cannot be typeset, sealed or confirmed."""

    family = "document"


class LogError(HubError):
    """The message log cannot do what was asked, or is not what it claims to be."""

    family = "log"


class VaultError(HubError):
    """What was kept cannot be read, or may not be erased."""

    family = "vault"


class RegistryError(HubError):
    """The registry does not know it, or refuses the entry."""

    family = "registry"


class AccessError(HubError):
    """The caller has not the right."""

    family = "access"


class ExchangeError(HubError):
    """A message cannot be exchanged: expired, repeated, unbound or undeliverable."""

    family = "exchange"


class BundleError(HubError):
    """Evidence cannot be put together as asked."""

    family = "bundle"


class AdapterError(HubError):
    """A department's legacy system, or the mapping to it, failed."""

    family = "adapter"


class AlarmError(HubError):
    """There is no such alarm."""

    family = "alarm"


class PortalError(HubError):
    """A page cannot be shown, or a form not be taken."""

    family = "portal"


class WireError(HubError):
    """A connection or a request takes more than it may, or is none at all."""

    family = "wire"


class SettingsError(HubError):
    """The operator's configuration cannot be used."""

    family = "settings"


class ReportedFaultError(HubError):
    """The other side's signed fault, carried on with its own code and culprit.

    Its code may be one this version does not know, so nothing is looked up.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        culprit: Culprit,
        is_retryable: bool,
        finding: Finding | None = None,
    ) -> None:
        known = error_kinds().get(code)
        self.kind = ErrorKind(
            code=code,
            culprit=culprit,
            retryable=is_retryable,
            message=known.message if known else dict.fromkeys(Language, detail),
            cure=known.cure if known else dict.fromkeys(Language, ""),
        )
        self.detail = detail
        self._finding = finding
        Exception.__init__(self, f"{code}: {detail}")
