# SPDX-License-Identifier: Apache-2.0
"""Certificates of nobody's authority that name services of a test's choice, and a server that hears calls."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from hub.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

STRANGER = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "stranger"),
        x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, "NTRCN-11510108MB1A00002M"),
        x509.NameAttribute(NameOID.COMMON_NAME, "stranger"),
    ]
)


def certificate_naming_services(url: str, issuer: x509.Name | None = None) -> tuple[x509.Certificate, ...]:
    """Make a certificate fit for envelopes, and its self-signed issuer.

    Args:
        url: where its OCSP responder, its CRL and its issuer's certificate are said to be.
        issuer: the issuer's name, such as that of a listed authority whose key is another.
    """
    issuer = issuer or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger's authority")])
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = SystemClock().now().replace(microsecond=0)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    services = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, _uri(f"{url}/ocsp")),
            x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, _uri(f"{url}/issuer")),
        ]
    )
    place = x509.DistributionPoint([_uri(f"{url}/crl")], None, None, None)
    leaf = (
        builder(STRANGER, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(services, critical=False)
        .add_extension(x509.CRLDistributionPoints([place]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    authority = (
        builder(issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    return leaf, authority


def _uri(url: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(url)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=signs,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signs,
        crl_sign=not signs,
        encipher_only=False,
        decipher_only=False,
    )


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """Serve on loopback and write down who asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET  # noqa: N815 - the name http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
