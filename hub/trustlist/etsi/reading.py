# SPDX-License-Identifier: Apache-2.0
"""What a trusted list says of each service: type, certificates, and its status over time.

Source: TS 119 612 clauses 5.3 (scheme), 5.5 (services) and 5.6 (history).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from hub.trust import refusal

if TYPE_CHECKING:
    from lxml.etree import _Element

_N = {"t": "http://uri.etsi.org/02231/v2#"}
_VERSIONS = {"5", "6"}
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True)
class StatusPeriod:
    """From when a service had a type and a status; it ends where the next one begins.

    Attributes:
        service_type: URI.
        status: URI.
        starts_at: UTC.
    """

    service_type: str
    status: str
    starts_at: datetime


@dataclass(frozen=True)
class EtsiService:
    """One service of one provider.

    Attributes:
        provider: its name.
        name: the service's name.
        certificates: of its digital identity; several hold the same key.
        periods: the oldest first; the last one is the present.
        supply_points: URLs where it answers.
        additional: URIs of additionalServiceInformation.
        critical: names of extensions that must be understood, other than that one.
    """

    provider: str
    name: str
    certificates: tuple[x509.Certificate, ...]
    periods: tuple[StatusPeriod, ...]
    supply_points: tuple[str, ...]
    additional: frozenset[str]
    critical: tuple[str, ...]


@dataclass(frozen=True)
class EtsiList:
    """One trusted list.

    Attributes:
        operator: the scheme operator's name.
        territory: country or scheme.
        sequence: the list's own number.
        issued_at: UTC.
        next_update: UTC; None for a list that is closed.
        services: in the list's order.
    """

    operator: str
    territory: str
    sequence: int
    issued_at: datetime
    next_update: datetime | None
    services: tuple[EtsiService, ...]


def read_etsi_list(root: _Element) -> EtsiList:
    """Read a list whose signature was verified.

    Raises:
        TrustError: `trust.trust_list_invalid`, naming what is missing or of another version.
    """
    try:
        return _read(root)
    except (ValueError, binascii.Error, x509.InvalidVersion) as exc:
        raise refusal("tsl_unreadable", problem=str(exc)[:200]) from exc


def _read(root: _Element) -> EtsiList:
    version = _need(root, "t:SchemeInformation/t:TSLVersionIdentifier")
    if version not in _VERSIONS:
        raise ValueError(f"version {version[:20]} of the format is not known")
    scheme = _child(root, "t:SchemeInformation")
    next_update = _text(scheme, "t:NextUpdate/t:dateTime")
    services = tuple(
        _read_service(_name(provider, "t:TSPInformation/t:TSPName/t:Name"), service)
        for provider in root.iterfind("t:TrustServiceProviderList/t:TrustServiceProvider", _N)
        for service in provider.iterfind("t:TSPServices/t:TSPService", _N)
    )
    return EtsiList(
        operator=_name(scheme, "t:SchemeOperatorName/t:Name"),
        territory=_text(scheme, "t:SchemeTerritory") or "",
        sequence=int(_need(scheme, "t:TSLSequenceNumber")),
        issued_at=_instant(_need(scheme, "t:ListIssueDateTime")),
        next_update=_instant(next_update) if next_update else None,
        services=services,
    )


def _read_service(provider: str, service: _Element) -> EtsiService:
    information = _child(service, "t:ServiceInformation")
    past = service.iterfind("t:ServiceHistory/t:ServiceHistoryInstance", _N)
    periods = sorted((_period(each) for each in (information, *past)), key=lambda each: each.starts_at)
    if periods[-1] != _period(information):
        raise ValueError(f"the history of a service of {provider!r} is later than its present")
    extensions = information.findall("t:ServiceInformationExtensions/t:Extension", _N)
    additional = {
        (uri.text or "").strip()
        for extension in extensions
        for uri in extension.iterfind("t:AdditionalServiceInformation/t:URI", _N)
    }
    points = information.iterfind("t:ServiceSupplyPoints/t:ServiceSupplyPoint", _N)
    return EtsiService(
        provider=provider,
        name=_name(information, "t:ServiceName/t:Name"),
        certificates=tuple(_certificates(information)),
        periods=tuple(periods),
        supply_points=tuple((each.text or "").strip() for each in points),
        additional=frozenset(additional),
        critical=tuple(name for each in extensions for name in _critical_names(each)),
    )


def _period(information: _Element) -> StatusPeriod:
    return StatusPeriod(
        service_type=_need(information, "t:ServiceTypeIdentifier").rstrip("/"),
        status=_need(information, "t:ServiceStatus").rstrip("/"),
        starts_at=_instant(_need(information, "t:StatusStartingTime")),
    )


def _certificates(information: _Element) -> list[x509.Certificate]:
    found: list[x509.Certificate] = []
    for each in information.iterfind("t:ServiceDigitalIdentity/t:DigitalId/t:X509Certificate", _N):
        der = b64decode("".join((each.text or "").split()), validate=True)
        certificate = x509.load_der_x509_certificate(der)
        if certificate not in found:
            found.append(certificate)
    return found


def _critical_names(extension: _Element) -> list[str]:
    """Name the children of a critical extension; additionalServiceInformation is understood."""
    if extension.get("Critical", "false").strip() not in {"true", "1"}:
        return []
    names = [str(child.tag).rpartition("}")[2] for child in extension.iterchildren("*")]
    return [name for name in names or ["(empty)"] if name != "AdditionalServiceInformation"]


def _name(element: _Element, path: str) -> str:
    """Return a name, Chinese or English where the list has it."""
    names = {each.get(_LANG, ""): " ".join((each.text or "").split()) for each in element.iterfind(path, _N)}
    if not names:
        raise ValueError(f"{path.replace('t:', '')} is missing")
    for language in ("zh", "en"):
        if names.get(language):
            return names[language]
    return next(iter(names.values()))


def _child(element: _Element, path: str) -> _Element:
    child = element.find(path, _N)
    if child is None:
        raise ValueError(f"{path.replace('t:', '')} is missing")
    return child


def _text(element: _Element, path: str) -> str | None:
    text = element.findtext(path, None, _N)
    return text.strip() if text else None


def _need(element: _Element, path: str) -> str:
    text = _text(element, path)
    if text is None:
        raise ValueError(f"{path.replace('t:', '')} is missing")
    return text


def _instant(text: str) -> datetime:
    """Read xsd:dateTime; TS 119 612 clause 5.1.4 asks for UTC with Z and no fractions, more is read."""
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
