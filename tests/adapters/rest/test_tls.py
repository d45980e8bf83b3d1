# SPDX-License-Identifier: Apache-2.0
"""A service that knows its clients by their certificates."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.errors import AdapterError
from tests.adapters.rest.test_oauth_peer import ECHO, changed
from tests.adapters.running import call_of, only_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Service(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass

    def do_GET(self) -> None:
        shown: Any = self.connection.getpeercert()
        body = b'"' + shown["subject"][0][0][1].encode() + b'"'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _QuietServer(HTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # Who shows no certificate is cut off here; the test looks at what the adapter makes of it.
        pass


def certify(folder: Path, name: str, issuer: str | None) -> None:
    """Write the certificate and key of a name; an authority of its own without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
    )
    if issuer is None:
        certificate = builder.issuer_name(subject).sign(key, hashes.SHA256())
    else:
        authority = x509.load_pem_x509_certificate((folder / f"{issuer}.pem").read_bytes())
        signer: Any = serialization.load_pem_private_key((folder / f"{issuer}.key").read_bytes(), None)
        certificate = builder.issuer_name(authority.subject).sign(signer, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))


@contextmanager
def running_service(folder: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "service.pem", folder / "service.key")
    context.load_verify_locations(folder / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with _QuietServer(("127.0.0.1", 0), _Service) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, issuer in (("authority", None), ("service", "authority"), ("gateway", "authority")):
        certify(tmp_path, name, issuer)
    certify(tmp_path, "stranger", None)
    return tmp_path


def asked(folder: Path, port: int, **tls: str) -> Any:
    connection: dict[str, Any] = {
        "url": "https://127.0.0.1",
        "path": "/",
        "auth": [],
        "probe_path": None,
        "tls": tls,
    }
    path = changed(folder, response=ECHO, request={"object": {}}, **connection)
    with only_adapter(path, {"QUOTA_PORT": str(port)}) as configured:
        return configured.adapter.answer({}, call_of(configured)).data["echo"]


def test_the_gateway_shows_its_certificate(folder: Path) -> None:
    with running_service(folder) as port:
        shown = asked(folder, port, authorities="authority.pem", certificate="gateway.pem", key="gateway.key")

    assert shown == "gateway"


@pytest.mark.parametrize(
    "tls",
    [
        {"authorities": "authority.pem"},
        {"authorities": "authority.pem", "certificate": "stranger.pem", "key": "stranger.key"},
        {"authorities": "stranger.pem", "certificate": "gateway.pem", "key": "gateway.key"},
    ],
    ids=["no certificate", "a stranger's certificate", "a service nobody vouches for"],
)
def test_without_trust_on_both_sides_nothing_is_asked(folder: Path, tls: dict[str, str]) -> None:
    with running_service(folder) as port, pytest.raises(AdapterError) as caught:
        asked(folder, port, **tls)

    assert caught.value.code == "adapter.system_unreachable"
