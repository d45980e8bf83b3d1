# SPDX-License-Identifier: Apache-2.0
"""TLS as others see it: openssl s_client and curl against the guard, on both event loops."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from hub.wire import ClientCertificates, TlsMaterial, WireLimits, peer_chain, server_context
from tests.hub.wire.servers import Served, guarded, read_all, request_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.pki import ServedPki

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")

LIMITS = WireLimits(handshake_seconds=1, connections_per_address=20, connections=20)


def context(pki: ServedPki, clients: ClientCertificates = ClientCertificates.FOR_MESSAGES) -> ssl.SSLContext:
    material = TlsMaterial(pki.chain("hub-tls"), pki.key("hub-tls"), pki.passphrase.decode)
    return server_context(material, [row.certificate for row in pki.approved().authorities], clients)


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def served(request: pytest.FixtureRequest, pki: ServedPki) -> Iterator[Served]:
    made = context(pki)
    with guarded(tls=lambda: made, limits=LIMITS, loop=request.param) as running:
        yield running


def s_client(
    served: Served, pki: ServedPki, *options: str, sent: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}"]
    command += ["-CAfile", str(pki.certificate("root")), "-verify_return_error", "-ign_eof", *options]
    sent = sent or request_of("GET", "/tls", "Connection: close")
    return subprocess.run(command, input=sent, capture_output=True, check=False, timeout=30)


def as_client(pki: ServedPki, label: str) -> Sequence[str]:
    return (
        *("-cert", str(pki.certificate(label)), "-cert_chain", str(pki.certificate("tls-ca"))),
        *("-key", str(pki.key(label)), "-pass", f"pass:{pki.passphrase.decode()}"),
    )


def shown_to_application(output: bytes) -> dict[str, object]:
    body = output[output.index(b'{"server_cert"') :]
    shown: dict[str, object] = json.JSONDecoder().raw_decode(body.decode())[0]
    return shown


@openssl
@pytest.mark.parametrize(("option", "version"), [("-tls1_3", 0x0304), ("-tls1_2", 0x0303)])
def test_the_client_certificate_reaches_the_application(
    served: Served, pki: ServedPki, option: str, version: int
) -> None:
    tls = shown_to_application(s_client(served, pki, option, *as_client(pki, "labour-tls")).stdout)
    assert tls["tls_version"] == version
    assert tls["client_cert_error"] is None
    chain = tls["client_cert_chain"]
    assert isinstance(chain, list)
    assert chain == [
        part + "-----END CERTIFICATE-----\n"
        for part in pki.chain("labour-tls").read_text().split("-----END CERTIFICATE-----\n")[:-1]
    ]
    assert "NTRCN-11510108MB1A00002M" in str(tls["client_cert_name"])
    assert isinstance(tls["cipher_suite"], int)


@openssl
def test_without_a_certificate_the_application_sees_none(served: Served, pki: ServedPki) -> None:
    tls = shown_to_application(s_client(served, pki).stdout)
    assert tls["client_cert_chain"] == []
    assert tls["client_cert_name"] is None


@openssl
@pytest.mark.parametrize("label", ["rogue/labour-sign", "labour-tls-expired"])
def test_a_stranger_or_an_expired_certificate_is_refused_by_the_handshake(
    served: Served, pki: ServedPki, label: str
) -> None:
    ended = s_client(served, pki, *as_client(pki, label))
    assert ended.returncode != 0
    assert b"server_cert" not in ended.stdout
    wait_until(lambda: served.keeper.connections == 0)


@openssl
def test_where_everybody_needs_a_certificate_nobody_connects_without(pki: ServedPki) -> None:
    made = context(pki, ClientCertificates.REQUIRED)
    with guarded(tls=lambda: made) as served:
        assert b"server_cert" not in s_client(served, pki).stdout
        assert b"server_cert" in s_client(served, pki, *as_client(pki, "labour-tls")).stdout


@openssl
@pytest.mark.parametrize(
    "options",
    [
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES128-SHA"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"),
        ("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"),
    ],
)
def test_what_is_old_or_weak_is_not_spoken(served: Served, pki: ServedPki, options: tuple[str, ...]) -> None:
    ended = s_client(served, pki, *options)
    assert ended.returncode != 0
    assert b"server_cert" not in ended.stdout


@openssl
@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_no_tickets_are_given_out_and_a_session_keeps_its_certificate(
    served: Served, pki: ServedPki, version: str, tmp_path: Path
) -> None:
    certificate = as_client(pki, "labour-tls")
    kept = ("-sess_out", str(tmp_path / "session"))
    first = s_client(served, pki, version, *certificate, *kept)
    assert b"TLS session ticket:" not in first.stdout
    if version == "-tls1_2":
        # OpenSSL remembers such sessions by their id, with the certificate they began with.
        again = s_client(served, pki, version, "-sess_in", str(tmp_path / "session"))
        tls = shown_to_application(again.stdout)
        assert ("NTRCN-11510108MB1A00002M" in str(tls["client_cert_name"])) == (b"Reused" in again.stdout)


@openssl
def test_a_client_does_not_agree_anew_within_a_connection(served: Served) -> None:
    ended = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", "-tls1_2"],
        input=b"R\n" + request_of("GET", "/tls"),
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert b"server_cert" not in ended.stdout
    assert b"no renegotiation" in ended.stderr


@curl
def test_curl_connects_with_a_certificate_and_by_name(served: Served, pki: ServedPki) -> None:
    command = ["curl", "--silent", "--show-error", "--cacert", str(pki.certificate("root"))]
    command += ["--cert", str(pki.chain("labour-tls")), "--key", str(pki.key("labour-tls"))]
    command += ["--pass", pki.passphrase.decode(), f"https://localhost:{served.port}/tls"]
    shown = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)
    assert len(shown["client_cert_chain"]) == 2


@curl
def test_curl_refuses_the_server_under_another_name(served: Served, pki: ServedPki) -> None:
    command = ["curl", "--silent", "--show-error", "--cacert", str(pki.certificate("root"))]
    command += ["--resolve", f"other.example:{served.port}:127.0.0.1"]
    command += [f"https://other.example:{served.port}/tls"]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=30)
    assert ended.returncode == 60
    assert b"other.example" in ended.stderr


def test_plain_http_to_a_tls_port_is_hung_up(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(request_of("GET", "/"))
        assert not read_all(connection).startswith(b"HTTP")


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01", b"\x16"])
def test_a_handshake_that_does_not_end_is_given_up(served: Served, sent: bytes) -> None:
    before = served.keeper.refused["wire.handshake_failed"]
    with served.connect() as connection:
        connection.sendall(sent)
        assert read_all(connection) == b""
    wait_until(lambda: served.keeper.refused["wire.handshake_failed"] > before)
    wait_until(lambda: served.keeper.connections == 0)


def test_connections_are_counted_before_their_handshake(pki: ServedPki) -> None:
    made = context(pki)
    limits = WireLimits(handshake_seconds=30, connections_per_address=5, connections=5)
    with guarded(tls=lambda: made, limits=limits) as served, ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(served.connect())
        wait_until(lambda: served.keeper.connections == 5)
        with served.connect() as refused:
            assert read_all(refused) == b""
        assert served.keeper.refused["wire.too_many_connections"] == 1


def test_a_server_ends_while_handshakes_are_open(pki: ServedPki) -> None:
    made = context(pki)
    with ExitStack() as stack:
        with guarded(tls=lambda: made) as served:
            for _ in range(3):
                stack.enter_context(served.connect())
            wait_until(lambda: served.keeper.connections == 3)
        assert served.keeper.connections == 0


def test_limits_hold_within_tls(served: Served, pki: ServedPki) -> None:
    with (
        served.connect() as plain,
        pki.tls_of(None).wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(request_of("POST", "/", f"Content-Length: {10**12}"))
        assert b"wire.body_too_large" in read_all(connection)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_an_answer_that_is_taken_slowly_is_cut_off_within_tls_too(pki: ServedPki, loop: str) -> None:
    made = context(pki)
    limits = WireLimits(window_seconds=1, least_bytes_per_second=10_000)
    with guarded(tls=lambda: made, limits=limits, loop=loop) as served, socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(20)
        plain.connect(("127.0.0.1", served.port))
        with pki.tls_of(None).wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(request_of("GET", "/large"))
            wait_until(lambda: served.keeper.refused["wire.too_slow"] == 1)
            wait_until(lambda: served.keeper.connections == 0)


def test_a_body_in_many_records_is_answered_within_tls(served: Served, pki: ServedPki) -> None:
    body = bytes(3_000_000)
    with (
        served.connect() as plain,
        pki.tls_of("labour-tls").wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert len(peer_chain(connection)) == 2
        connection.sendall(
            request_of("POST", "/", f"Content-Length: {len(body)}", "Connection: close", body=body)
        )
        assert read_all(connection).endswith(b'{"bytes":3000000}')


def test_each_connection_gets_the_context_of_its_moment(pki: ServedPki) -> None:
    made = [context(pki)]
    with guarded(tls=lambda: made[-1]) as served:
        first = ssl.get_server_certificate(("127.0.0.1", served.port))
        material = TlsMaterial(pki.chain("labour-tls"), pki.key("labour-tls"), pki.passphrase.decode)
        made.append(server_context(material, [], ClientCertificates.NONE))
        second = ssl.get_server_certificate(("127.0.0.1", served.port))
    assert first == pki.certificate("hub-tls").read_text()
    assert second == pki.certificate("labour-tls").read_text()


def test_the_answer_to_a_request_that_fails_arrives_within_tls_too(served: Served, pki: ServedPki) -> None:
    for _ in range(5):
        with (
            served.connect() as plain,
            pki.tls_of(None).wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(request_of("GET", "/fail", "Connection: close"))
            assert read_all(connection).startswith(b"HTTP/1.1 500")
