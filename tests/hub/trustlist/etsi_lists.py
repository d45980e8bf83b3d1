# SPDX-License-Identifier: Apache-2.0
"""Trusted lists as ETSI TS 119 612 describes them, with all a national list has, signed in XAdES."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml import methods
from signxml.xades.xades import XAdESSigner

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TYPE = "http://uri.etsi.org/TrstSvc/Svctype/"
STATUS = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/"
OLD_STATUS = "http://uri.etsi.org/TrstSvc/eSigDir-1999-93-EC-TrustedList/Svcstatus/"
EXTENSION = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/"


def certificate(
    name: str,
    *,
    is_authority: bool,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    length: int | None = 0,
) -> x509.Certificate:
    """Make a service's certificate."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    constraints = x509.BasicConstraints(ca=is_authority, path_length=length if is_authority else None)
    return (
        x509.CertificateBuilder(names, names, own.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=4000))
        .not_valid_after(NOW + timedelta(days=2000))
        .add_extension(constraints, critical=True)
        .sign(own, hashes.SHA256())
    )


@dataclass(frozen=True)
class Operator:
    """A scheme operator: who signs a list."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def certificate(self) -> x509.Certificate:
        """Its certificate, the same one each time."""
        names = x509.Name(
            [
                x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Scheme operator"),
            ]
        )
        return (
            x509.CertificateBuilder(names, names, self.key.public_key(), 7)
            .not_valid_before(NOW - timedelta(days=4000))
            .not_valid_after(NOW + timedelta(days=2000))
            .sign(self.key, hashes.SHA256(), ecdsa_deterministic=True)
        )


@dataclass(frozen=True)
class Listed:
    """A service as a test describes it.

    Attributes:
        statuses: status URI and the day from which it held, the newest first.
    """

    name: str
    type: str
    certificates: tuple[x509.Certificate, ...]
    statuses: tuple[tuple[str, datetime], ...]
    supply_point: str = ""
    extensions: str = ""
    earlier_type: str = ""


def granted(name: str, kind: str, *certificates: x509.Certificate, **changes: Any) -> Listed:
    """Describe a service that has been granted for ten years."""
    statuses = ((f"{STATUS}granted", NOW - timedelta(days=3650)),)
    return replace(Listed(name, kind, certificates, statuses), **changes)


def additional(*names: str) -> str:
    """Write additionalServiceInformation."""
    return "".join(
        f'<Extension Critical="true"><AdditionalServiceInformation><URI xml:lang="en">{EXTENSION}{name}</URI>'
        "</AdditionalServiceInformation></Extension>"
        for name in names
    )


def write_list(
    *services: Listed, next_update: datetime | None = NOW + timedelta(days=90), version: int = 6
) -> bytes:
    """Write an unsigned list with one provider."""
    due = f"<dateTime>{_time(next_update)}</dateTime>" if next_update else ""
    body = "".join(map(_service, services))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#" Id="list"
 TSLTag="http://uri.etsi.org/19612/TSLTag">
<SchemeInformation>
<TSLVersionIdentifier>{version}</TSLVersionIdentifier>
<TSLSequenceNumber>42</TSLSequenceNumber>
<TSLType>http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUgeneric</TSLType>
<SchemeOperatorName><Name xml:lang="en">Scheme operator</Name></SchemeOperatorName>
<SchemeOperatorAddress><PostalAddresses><PostalAddress xml:lang="en"><StreetAddress>1</StreetAddress>
<Locality>Here</Locality><CountryName>CN</CountryName></PostalAddress></PostalAddresses>
<ElectronicAddress><URI xml:lang="en">mailto:tl@example.org</URI></ElectronicAddress></SchemeOperatorAddress>
<SchemeName><Name xml:lang="en">CN:Trusted list</Name></SchemeName>
<SchemeInformationURI><URI xml:lang="en">https://example.org/tl</URI></SchemeInformationURI>
<StatusDeterminationApproach>http://uri.etsi.org/TrstSvc/TrustedList/StatusDetn/EUappropriate</StatusDeterminationApproach>
<SchemeTypeCommunityRules><URI xml:lang="en">http://uri.etsi.org/TrstSvc/TrustedList/schemerules/EUcommon</URI></SchemeTypeCommunityRules>
<SchemeTerritory>CN</SchemeTerritory>
<PolicyOrLegalNotice><TSLLegalNotice xml:lang="en">None.</TSLLegalNotice></PolicyOrLegalNotice>
<HistoricalInformationPeriod>65535</HistoricalInformationPeriod>
<ListIssueDateTime>{_time(NOW - timedelta(days=10))}</ListIssueDateTime>
<NextUpdate>{due}</NextUpdate>
</SchemeInformation>
<TrustServiceProviderList><TrustServiceProvider>
<TSPInformation><TSPName><Name xml:lang="en">Provider</Name><Name xml:lang="zh">服务机构</Name></TSPName>
<TSPAddress><PostalAddresses><PostalAddress xml:lang="en"><StreetAddress>2</StreetAddress>
<Locality>There</Locality><CountryName>CN</CountryName></PostalAddress></PostalAddresses>
<ElectronicAddress><URI xml:lang="en">mailto:ca@example.org</URI></ElectronicAddress></TSPAddress>
<TSPInformationURI><URI xml:lang="en">https://example.org/ca</URI></TSPInformationURI></TSPInformation>
<TSPServices>{body}</TSPServices>
</TrustServiceProvider></TrustServiceProviderList>
</TrustServiceStatusList>""".encode()


def sign_list(raw: bytes, operator: Operator) -> bytes:
    """Sign a list as its scheme operator: enveloped XAdES."""
    signer = XAdESSigner(
        method=methods.enveloped,
        signature_algorithm="ecdsa-sha256",
        digest_algorithm="sha256",
        c14n_algorithm="http://www.w3.org/2006/12/xml-c14n11",
    )
    key = operator.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signed = signer.sign(
        etree.fromstring(raw), key=key, cert=[operator.certificate], always_add_key_value=False
    )
    content: bytes = etree.tostring(signed, xml_declaration=True, encoding="UTF-8")
    return content


def _service(listed: Listed) -> str:
    (status, since), *past = listed.statuses
    points = (
        f"<ServiceSupplyPoints><ServiceSupplyPoint>{listed.supply_point}</ServiceSupplyPoint></ServiceSupplyPoints>"
        if listed.supply_point
        else ""
    )
    extensions = (
        f"<ServiceInformationExtensions>{listed.extensions}</ServiceInformationExtensions>"
        if listed.extensions
        else ""
    )
    identity = "".join(
        f"<DigitalId><X509Certificate>{b64encode(each.public_bytes(Encoding.DER)).decode()}</X509Certificate>"
        "</DigitalId>"
        for each in listed.certificates
    )
    name = f'<ServiceName><Name xml:lang="en">{escape(listed.name)}</Name></ServiceName>'
    history = "".join(
        f"<ServiceHistoryInstance><ServiceTypeIdentifier>{listed.earlier_type or listed.type}"
        f"</ServiceTypeIdentifier>{name}<ServiceDigitalIdentity><DigitalId><X509SKI>AAAA</X509SKI></DigitalId>"
        f"</ServiceDigitalIdentity><ServiceStatus>{earlier}</ServiceStatus>"
        f"<StatusStartingTime>{_time(begin)}</StatusStartingTime></ServiceHistoryInstance>"
        for earlier, begin in past
    )
    return (
        f"<TSPService><ServiceInformation><ServiceTypeIdentifier>{listed.type}</ServiceTypeIdentifier>{name}"
        f"<ServiceDigitalIdentity>{identity}</ServiceDigitalIdentity><ServiceStatus>{status}</ServiceStatus>"
        f"<StatusStartingTime>{_time(since)}</StatusStartingTime>{points}{extensions}</ServiceInformation>"
        f"<ServiceHistory>{history}</ServiceHistory></TSPService>"
    )


def _time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
