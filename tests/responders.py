# SPDX-License-Identifier: Apache-2.0
"""OCSP responders and CRL services on loopback that do what a test wants, and the small PKI they speak for.

    root ── ca ── leaves, responders          root ── sibling ── a responder
    an imposter, approved by nobody, bears the name of ca

What certomancer does not do wrong is done wrong here; everything is signed by cryptography's builders.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MEMBER = "NTRCN-11510108MB1A00002M"

Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]
"""What a service does with a request and its body."""

_serials = itertools.count(1001)


@dataclass(frozen=True)
class Holder:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def name(self) -> x509.Name:
        return self.certificate.subject


class Services:
    """An HTTP server whose every path behaves as it was told; unknown ones answer 404."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.requests: list[str] = []
        self.stopping = threading.Event()
        services = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve(b"")

            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers["Content-Length"])))

            def _serve(self, body: bytes) -> None:
                services.requests.append(self.path)
                behaviour = services.behaviours.get(self.path, answer(b"", status=404))
                try:
                    behaviour(self, body)
                except OSError:
                    self.close_connection = True  # The hub hung up, as it should on some behaviours.

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Services]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join(timeout=5)

    def slow(self, seconds: float, then: Behaviour) -> Behaviour:
        """Do something late."""

        def behave(handler: BaseHTTPRequestHandler, body: bytes) -> None:
            self.stopping.wait(seconds)
            then(handler, body)

        return behave

    def endless(self, *, pause: float = 0.0) -> Behaviour:
        """Send bytes until the other side hangs up."""

        def behave(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            handler.send_response(200)
            handler.end_headers()
            until = time.monotonic() + 20
            while time.monotonic() < until and not self.stopping.wait(pause):
                handler.wfile.write(b"\0" * (1 if pause else 65536))
                handler.wfile.flush()

        return behave

    def trickle(self) -> Behaviour:
        """Send a header that never ends, a byte at a time."""

        def behave(handler: BaseHTTPRequestHandler, _: bytes) -> None:
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
            until = time.monotonic() + 20
            while time.monotonic() < until and not self.stopping.wait(0.05):
                handler.wfile.write(b"x")
                handler.wfile.flush()

        return behave


def answer(content: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    """Give the same content to everybody."""

    def behave(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return behave


def redirect(to: str) -> Behaviour:
    """Send the caller elsewhere."""
    return answer(b"", status=302, headers={"Location": to})


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class MiniPki:
    """The PKI; certificates are made on demand, because what they name is part of each case.

    Attributes:
        services: where its services answer.
        now: UTC, whole seconds; when it was made.
    """

    services: Services
    now: datetime = field(default_factory=_now)

    def __post_init__(self) -> None:
        self.root = self._authority("root", None)
        self.ca = self._authority("ca", self.root, crls=[self.url("/root.crl")])
        self.sibling = self._authority("sibling", self.root, crls=[self.url("/root.crl")])
        self.imposter = self._authority("ca", None)
        self.responder = self.make_responder()
        self.serve("/root.crl", answer(self.crl(self.root)))

    def url(self, path: str) -> str:
        return self.services.url + path

    def serve(self, path: str, behaviour: Behaviour) -> None:
        self.services.behaviours[path] = behaviour

    def leaf(
        self,
        *,
        issuer: Holder | None = None,
        ocsp_urls: Sequence[str] = (),
        crls: Sequence[str] = (),
        extensions: Iterable[x509.ExtensionType] = (),
        valid: tuple[datetime, datetime] | None = None,
    ) -> Holder:
        """Issue a member's certificate for envelopes."""
        usage = _usage(digital_signature=True, content_commitment=True)
        return self._issue(
            "leaf", issuer or self.ca, [(usage, True), *((each, False) for each in extensions)],
            ocsp_urls=ocsp_urls, crls=crls, valid=valid,
        )  # fmt: skip

    def make_responder(
        self,
        issuer: Holder | None = None,
        *,
        has_usage: bool = True,
        is_unchecked: bool = True,
        ocsp_urls: Sequence[str] = (),
        crls: Sequence[str] = (),
        valid: tuple[datetime, datetime] | None = None,
    ) -> Holder:
        """Appoint an OCSP responder."""
        extensions: list[tuple[x509.ExtensionType, bool]] = [(_usage(digital_signature=True), True)]
        if has_usage:
            extensions.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False))
        if is_unchecked:
            extensions.append((x509.OCSPNoCheck(), False))
        return self._issue(
            "responder", issuer or self.ca, extensions, ocsp_urls=ocsp_urls, crls=crls, valid=valid
        )

    def respond(
        self,
        certificate: x509.Certificate,
        signer: Holder | None = None,
        *,
        issuer: Holder | None = None,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        begin: timedelta = timedelta(minutes=-1),
        end: timedelta | None = timedelta(minutes=10),
        revoked_at: datetime | None = None,
        reason: x509.ReasonFlags | None = None,
        digest: hashes.HashAlgorithm | None = None,
        by: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.HASH,
        nonce: bytes | None = None,
        with_certificate: bool = True,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> bytes:
        """Sign an OCSP response, a good and fresh one by the issuer's delegate unless told otherwise."""
        signer = signer or self.responder
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            certificate,
            (issuer or self.ca).certificate,
            digest or hashes.SHA1(),  # noqa: S303 (a CertID; protects nothing)
            status,
            self.now + begin,
            None if end is None else self.now + end,
            (revoked_at or self.now - timedelta(hours=1)) if is_revoked else None,
            reason if is_revoked else None,
        )
        builder = builder.responder_id(by, signer.certificate)
        if with_certificate:
            builder = builder.certificates([signer.certificate])
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        for value, is_critical in extensions:
            builder = builder.add_extension(value, critical=is_critical)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def crl(
        self,
        issuer: Holder | None = None,
        *,
        revoked: Iterable[x509.RevokedCertificate] = (),
        begin: timedelta = timedelta(minutes=-1),
        end: timedelta = timedelta(hours=1),
        number: int = 1,
        signed_by: Holder | None = None,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> bytes:
        """Sign a CRL, empty and fresh and of ca unless told otherwise."""
        issuer = issuer or self.ca
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.name)
            .last_update(self.now + begin)
            .next_update(self.now + end)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for value, is_critical in extensions:
            builder = builder.add_extension(value, critical=is_critical)
        for entry in revoked:
            builder = builder.add_revoked_certificate(entry)
        return builder.sign((signed_by or issuer).key, hashes.SHA256()).public_bytes(Encoding.DER)

    def entry(
        self,
        holder: Holder,
        *,
        at: datetime | None = None,
        reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> x509.RevokedCertificate:
        """Make a line of a CRL."""
        builder = x509.RevokedCertificateBuilder().serial_number(holder.certificate.serial_number)
        builder = builder.revocation_date(at or self.now - timedelta(hours=1))
        if reason is not None:
            builder = builder.add_extension(x509.CRLReason(reason), critical=False)
        for value, is_critical in extensions:
            builder = builder.add_extension(value, critical=is_critical)
        return builder.build()

    def _authority(self, name: str, issuer: Holder | None, *, crls: Sequence[str] = ()) -> Holder:
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (_usage(key_cert_sign=True, crl_sign=True, digital_signature=True), True),
        ]
        return self._issue(name, issuer, extensions, crls=crls)

    def _issue(
        self,
        name: str,
        issuer: Holder | None,
        extensions: Iterable[tuple[x509.ExtensionType, bool]],
        *,
        ocsp_urls: Sequence[str] = (),
        crls: Sequence[str] = (),
        valid: tuple[datetime, datetime] | None = None,
    ) -> Holder:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, MEMBER),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        signer = issuer or Holder(None, key)  # type: ignore[arg-type]
        begin, end = valid or (self.now - timedelta(days=100), self.now + timedelta(days=100))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.name if issuer else subject)
            .public_key(key.public_key())
            .serial_number(next(_serials))
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False
            )
        )
        for value, is_critical in [*extensions, *_places(ocsp_urls, crls)]:
            builder = builder.add_extension(value, critical=is_critical)
        return Holder(builder.sign(signer.key, hashes.SHA256()), key)


def _places(ocsp_urls: Sequence[str], crls: Sequence[str]) -> Iterator[tuple[x509.ExtensionType, bool]]:
    if ocsp_urls:
        access = [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
            for url in ocsp_urls
        ]
        yield x509.AuthorityInformationAccess(access), False
    if crls:
        points = [
            x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in crls
        ]
        yield x509.CRLDistributionPoints(points), False


def _usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
