# SPDX-License-Identifier: Apache-2.0
"""WS-Security X.509 signatures: on what is sent, and on what is believed of an answer.

An answer is believed by the bytes that were signed, and by nothing else: the body that is read afterwards is
the one the signature was verified over. Certificates are pinned; what a message says of its key is not used.

Source: OASIS WSS SOAP Message Security 1.1.1 sections 7, 8 and 10; X.509 Certificate Token Profile 1.1.1;
W3C XML Signature 1.1; McIntosh and Austel, "XML Signature Element Wrapping Attacks and Countermeasures".
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import signxml
from cryptography import x509
from cryptography.exceptions import InvalidSignature as CryptographyInvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException

from adapters.soap.wsdl.names import is_element
from hub.clock import format_instant
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapters.soap.settings import ReplySignatureSettings, SignatureSettings
    from hub.clock import Clock

# signxml publishes no types that mypy could use, so at this edge it is Any.
_signxml: Any = signxml

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPES = frozenset(
    {"http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"}
)
_X509_TOKEN = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"  # noqa: S105 - a type's name
_BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
_ID = f"{{{WSU}}}Id"
_ID_NAMES = frozenset({"id"})
_METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.SHA512_RSA_MGF1,
    }
)
_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_TRANSFORMS = frozenset({EXC_C14N, f"{EXC_C14N}WithComments"})
_MOST_REFERENCES = 8


class _AnyText:
    """signxml copies elements by writing and reading them; so that names outside of ASCII survive it.

    Texts may be long; what is read at all was limited before.
    """

    @property
    def parser(self) -> etree.XMLParser:
        return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)

    def _tostring(self, xml_node: etree._Element, **options: Any) -> bytes:
        return bytes(etree.tostring(xml_node, encoding="utf-8", **options))


class _Verifier(_AnyText, _signxml.XMLVerifier):  # type: ignore[misc]  # signxml publishes no types
    """Verifies."""


class _Signer(_AnyText, _signxml.XMLSigner):  # type: ignore[misc]  # signxml publishes no types
    """Signs."""


@dataclass(frozen=True)
class Signer:
    """Signs envelopes: body and time stamp, the certificate beside the signature."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    valid_seconds: int
    clock: Clock

    @classmethod
    def load(cls, settings: SignatureSettings, clock: Clock, at: str) -> Signer:
        """Read the key and its certificate.

        Raises:
            AdapterError: `adapter.configuration_invalid`, they cannot be used or do not belong together.
        """
        passphrase = settings.passphrase.reveal().encode() if settings.passphrase else None
        try:
            key = load_pem_private_key(settings.key.read_bytes(), passphrase)
            certificate = x509.load_pem_x509_certificate(settings.certificate.read_bytes())
        except (OSError, ValueError, TypeError) as exc:
            raise _unusable(f"{at}.connection.signature", type(exc).__name__) from exc
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise _unusable(f"{at}.connection.signature", "neither an RSA nor an EC key")
        if key.public_key() != certificate.public_key():
            raise _unusable(f"{at}.connection.signature", "the certificate is not this key's")
        return cls(key, certificate, settings.valid_seconds, clock)

    def sign(self, envelope: etree._Element) -> None:
        """Sign an envelope in place."""
        space = etree.QName(envelope).namespace
        body = envelope.find(f"{{{space}}}Body")
        if body is None:
            raise AdapterError("adapter.mapping_failed", "the envelope has no body to sign")
        security = security_header(envelope)
        token = etree.SubElement(security, f"{{{WSSE}}}BinarySecurityToken", nsmap={"wsu": WSU})
        token.set(_ID, _new_id("token"))
        token.set("ValueType", _X509_TOKEN)
        token.set("EncodingType", _BASE64)
        token.text = base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode("ascii")
        stamp = self._time_stamp(security)
        body.set(_ID, body.get(_ID) or _new_id("body"))
        references = [f"#{node.get(_ID)}" for node in (body, stamp)]
        is_rsa = isinstance(self.key, rsa.RSAPrivateKey)
        signer = _Signer(
            method=_signxml.methods.detached,
            signature_algorithm=SignatureMethod.RSA_SHA256 if is_rsa else SignatureMethod.ECDSA_SHA256,
            digest_algorithm=DigestAlgorithm.SHA256,
            c14n_algorithm=_signxml.CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        signature = signer.sign(
            envelope,
            key=self.key,
            reference_uri=references,
            key_info=_key_info(str(token.get(_ID))),
            id_attribute="Id",
        )
        security.append(signature)

    def _time_stamp(self, security: etree._Element) -> etree._Element:
        now = self.clock.now()
        stamp = etree.SubElement(security, f"{{{WSU}}}Timestamp", nsmap={"wsu": WSU})
        stamp.set(_ID, _new_id("time"))
        etree.SubElement(stamp, f"{{{WSU}}}Created").text = format_instant(now)
        expires = now + timedelta(seconds=self.valid_seconds)
        etree.SubElement(stamp, f"{{{WSU}}}Expires").text = format_instant(expires)
        return stamp


@dataclass(frozen=True)
class Verifier:
    """Believes envelopes that pinned certificates have signed."""

    certificates: tuple[x509.Certificate, ...]
    settings: ReplySignatureSettings
    clock: Clock

    @classmethod
    def load(cls, settings: ReplySignatureSettings, clock: Clock, at: str) -> Verifier:
        """Read the pinned certificates.

        Raises:
            AdapterError: `adapter.configuration_invalid`, one cannot be read.
        """
        try:
            certificates = [
                certificate
                for path in settings.certificates
                for certificate in x509.load_pem_x509_certificates(path.read_bytes())
            ]
        except (OSError, ValueError) as exc:
            raise _unusable(f"{at}.connection.reply_signature", type(exc).__name__) from exc
        return cls(tuple(certificates), settings, clock)

    def verify(self, envelope: etree._Element) -> None:
        """Hold an envelope to its signature, and leave in it only the body that was signed.

        1. One envelope, one body, one security header with one signature; no id stands twice.
        2. The signature's references are ids of this document, canonicalised exclusively and nothing else.
        3. The body is referenced, and the time stamp where one is needed.
        4. The signature and all digests hold, by a pinned certificate that is valid now.
        5. The time stamp has not expired.
        6. The body is replaced by what was signed.

        Raises:
            AdapterError: `adapter.signature_invalid`, naming the rule and no content.
        """
        space = etree.QName(envelope).namespace
        if etree.QName(envelope).localname != "Envelope" or space not in ENVELOPES:
            raise _refused("not a SOAP envelope")
        if sum(1 for _ in envelope.iter(f"{{{space}}}Envelope")) != 1:
            raise _refused("an envelope within the envelope")
        body = _only(envelope, f"{{{space}}}Body", "body")
        header = _only(envelope, f"{{{space}}}Header", "header")
        security = _only(header, f"{{{WSSE}}}Security", "security header")
        signature = _only(security, f"{{{DS}}}Signature", "signature")
        if sum(1 for _ in envelope.iter(f"{{{DS}}}Signature")) != 1:
            raise _refused("several signatures")
        ids = _unique_ids(envelope)
        referenced = _referenced(signature, ids)
        if body not in referenced:
            raise _refused("the body is not signed")
        stamp = security.find(f"{{{WSU}}}Timestamp")
        if self.settings.needs_time_stamp and (stamp is None or stamp not in referenced):
            raise _refused("no signed time stamp")
        signed = self._signed(envelope, len(referenced))
        if stamp is not None and stamp in referenced:
            self._check_time(signed[referenced.index(stamp)])
        content = signed[referenced.index(body)]
        if content.tag != body.tag:
            raise _refused("what is signed is not the body")
        envelope.replace(body, content)

    def _signed(self, envelope: etree._Element, references: int) -> list[etree._Element]:
        config = _signxml.SignatureConfiguration(
            location=f"./{{*}}Header/{{{WSSE}}}Security/",
            expect_references=references,
            signature_methods=self._methods(),
            digest_algorithms=self._digests(),
            ignore_ambiguous_key_info=True,
            verification_time=self.clock.now(),
        )
        data = etree.tostring(envelope, encoding="utf-8")
        reason = "no pinned certificate"
        for certificate in self.certificates:
            try:
                results = _Verifier().verify(
                    data,
                    x509_cert=certificate,
                    expect_config=config,
                    id_attribute="Id",
                    validate_schema=False,
                )
            except (SignXMLException, CryptographyInvalidSignature, etree.LxmlError) as exc:
                reason = type(exc).__name__
                continue
            except (ValueError, TypeError, KeyError, AttributeError) as exc:
                raise _refused(f"malformed: {type(exc).__name__}") from exc
            listed = results if isinstance(results, list) else [results]
            if any(result.signed_xml is None for result in listed):
                raise _refused("what is signed is not XML")
            return [result.signed_xml for result in listed]
        raise _refused(f"by none of the pinned certificates ({reason})")

    def _methods(self) -> frozenset[SignatureMethod]:
        sha1 = {SignatureMethod.RSA_SHA1, SignatureMethod.ECDSA_SHA1}
        return _METHODS | sha1 if self.settings.unsafe_allow_sha1 else _METHODS

    def _digests(self) -> frozenset[DigestAlgorithm]:
        return _DIGESTS | {DigestAlgorithm.SHA1} if self.settings.unsafe_allow_sha1 else _DIGESTS

    def _check_time(self, stamp: etree._Element) -> None:
        now, skew = self.clock.now(), timedelta(seconds=self.settings.clock_skew_seconds)
        created = _instant(stamp.findtext(f"{{{WSU}}}Created"))
        expires = _instant(stamp.findtext(f"{{{WSU}}}Expires"))
        if created is None:
            raise _refused("the time stamp says no instant")
        if created > now + skew:
            raise _refused("the time stamp is of the future")
        if (expires or created + timedelta(minutes=5)) < now - skew:
            raise _refused("the time stamp has expired")


def security_header(envelope: etree._Element) -> etree._Element:
    """Return the envelope's security header; a new one where there is none."""
    space = etree.QName(envelope).namespace
    header = envelope.find(f"{{{space}}}Header")
    if header is None:
        header = etree.Element(f"{{{space}}}Header")
        envelope.insert(0, header)
    security = header.find(f"{{{WSSE}}}Security")
    if security is None:
        security = etree.SubElement(header, f"{{{WSSE}}}Security", nsmap={"wsse": WSSE, "wsu": WSU})
        security.set(f"{{{space}}}mustUnderstand", "1")
    return security


def _key_info(token_id: str) -> etree._Element:
    info = etree.Element(f"{{{DS}}}KeyInfo", nsmap={"ds": DS})
    reference = etree.SubElement(info, f"{{{WSSE}}}SecurityTokenReference", nsmap={"wsse": WSSE})
    etree.SubElement(reference, f"{{{WSSE}}}Reference", URI=f"#{token_id}", ValueType=_X509_TOKEN)
    return info


def _only(parent: etree._Element, tag: str, name: str) -> etree._Element:
    children = parent.findall(tag)
    if len(children) != 1:
        raise _refused(f"{len(children)} elements as {name}")
    return children[0]


def _unique_ids(envelope: etree._Element) -> Mapping[str, etree._Element]:
    """Return every element that has an id; by whatever attribute a verifier could take for one."""
    ids: dict[str, etree._Element] = {}
    for node in envelope.iter():
        if not is_element(node):
            continue
        own = {
            str(value)
            for key, value in node.attrib.items()
            if etree.QName(key).localname.lower() in _ID_NAMES
        }
        for value in own:
            if value in ids:
                raise _refused("two elements have the same id")
            ids[value] = node
    return ids


def _referenced(signature: etree._Element, ids: Mapping[str, etree._Element]) -> list[etree._Element]:
    references = signature.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")
    if not 1 <= len(references) <= _MOST_REFERENCES:
        raise _refused(f"{len(references)} references")
    found: list[etree._Element] = []
    for reference in references:
        transforms = [node.get("Algorithm") for node in reference.iter(f"{{{DS}}}Transform")]
        if len(transforms) != 1 or transforms[0] not in _TRANSFORMS:
            raise _refused("a transformation other than exclusive canonicalisation")
        uri = reference.get("URI") or ""
        if not uri.startswith("#") or uri[1:] not in ids:
            raise _refused("a reference to nothing in the message")
        found.append(ids[uri[1:]])
    return found


def _instant(text: str | None) -> datetime | None:
    try:
        instant = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


def _new_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(12)}"


def _refused(reason: str) -> AdapterError:
    return AdapterError("adapter.signature_invalid", reason)


def _unusable(at: str, reason: str) -> AdapterError:
    return AdapterError("adapter.configuration_invalid", f"{at}: {reason}")
