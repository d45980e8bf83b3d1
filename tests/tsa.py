# SPDX-License-Identifier: Apache-2.0
"""A time-stamping authority on loopback that does what a test asks of it, right or wrong.

It shares no code with the hub but the signing: requests are read and tokens written with asn1crypto.
"""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography import x509

    from hub.trust import SigningKey

REPLY = "application/timestamp-reply"
POLICY = "1.2.156.10197.6.1"
_SIGNATURES = {"secp256r1": "sha256_ecdsa", "secp384r1": "sha384_ecdsa"}
_CHUNK = b"\x00" * 65536


@dataclass
class Behaviour:
    """What the authority does; each field is one thing it may do wrong.

    Attributes:
        key: signs.
        shown: the certificates sent along; those of the key when None.
        named: whose issuer and serial number the signer is named by, and whose digest is bound.
        off: how far its clock is off.
        accuracy: in seconds, or None.
        nonce: what becomes of the request's nonce.
        imprint: what becomes of the request's digest.
        bound: whose digest the signing-certificate attribute carries; None leaves the attribute out.
        binding: which attribute binds it.
        binds_serial: whether that attribute also states issuer and serial number (RFC 5035 section 4).
        fields: of the TSTInfo, instead of the right ones.
        status: of the answer.
        token: what becomes of the token, as ContentInfo.
        answer: what becomes of the whole answer's bytes.
        http_status: of the answer.
        content_type: of the answer.
        endless: never ends its answer.
        drips: sends one byte at a time, with this many seconds between.
        hangs: set when it may answer; None answers at once.
    """

    key: SigningKey
    shown: tuple[x509.Certificate, ...] | None = None
    named: x509.Certificate | None = None
    off: timedelta = timedelta(0)
    accuracy: int | None = 1
    nonce: Callable[[int | None], int | None] = lambda nonce: nonce
    imprint: Callable[[bytes], bytes] = lambda digest: digest
    bound: Callable[[bytes], bytes] | None = lambda certificate: certificate
    binding: str = "signing_certificate_v2"
    binds_serial: bool = False
    fields: dict[str, Any] = field(default_factory=dict)
    status: str = "granted"
    token: Callable[[Any], Any] = lambda token: token
    answer: Callable[[bytes], bytes] = lambda answer: answer
    http_status: int = 200
    content_type: str = REPLY
    endless: bool = False
    drips: float = 0
    hangs: threading.Event | None = None


@dataclass
class Authority:
    """A running authority.

    Attributes:
        url: where it answers.
        behaviour: may be changed while it runs.
        requests: every request it got, in DER.
        answers: every answer it gave.
    """

    url: str
    behaviour: Behaviour
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)


@contextmanager
def authority(behaviour: Behaviour) -> Iterator[Authority]:
    """Run an authority as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    running = Authority(f"http://127.0.0.1:{server.server_port}/tsa", behaviour)
    server.running = running  # type: ignore[attr-defined]  # the handler finds it there
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        if running.behaviour.hangs is not None:
            running.behaviour.hangs.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        running: Authority = self.server.running  # type: ignore[attr-defined]  # see `authority`
        behaviour = running.behaviour
        body = self.rfile.read(int(self.headers["Content-Length"]))
        running.requests.append(body)
        if behaviour.hangs is not None:
            behaviour.hangs.wait(30)
        content = behaviour.answer(answer(body, behaviour))
        running.answers.append(content)
        try:
            self.send_response(behaviour.http_status)
            self.send_header("Content-Type", behaviour.content_type)
            if not behaviour.endless:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for part in [content[i : i + 1] for i in range(len(content))] if behaviour.drips else [content]:
                self.wfile.write(part)
                time.sleep(behaviour.drips)
            while behaviour.endless:
                self.wfile.write(_CHUNK)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


def answer(request: bytes, behaviour: Behaviour) -> bytes:
    """Answer a request (RFC 3161 section 2.4)."""
    asked = tsp.TimeStampReq.load(request, strict=True)
    if behaviour.status in {"granted", "granted_with_mods"}:
        token = behaviour.token(write_token(asked, behaviour))
        granted = {"status": {"status": behaviour.status}, "time_stamp_token": token}
        return bytes(tsp.TimeStampResp(granted).dump())
    status = tsp.PKIStatusInfo(
        {
            "status": behaviour.status,
            "status_string": ["时间源不可用"],
            "fail_info": {"time_not_available"},
        }
    ).dump()
    # asn1crypto writes no answer without a token.
    return b"\x30" + bytes([len(status)]) + bytes(status)


def write_token(asked: Any, behaviour: Behaviour) -> Any:
    """Write a token for a request."""
    leaf = behaviour.key.certificate_chain[0]
    certificate = asn1_x509.Certificate.load(leaf.public_bytes(Encoding.DER))
    imprint = asked["message_imprint"].copy()
    imprint["hashed_message"] = behaviour.imprint(imprint["hashed_message"].native)
    fields: dict[str, Any] = {
        "version": "v1",
        "policy": asked["req_policy"].native or POLICY,
        "message_imprint": imprint,
        "serial_number": 4711,
        "gen_time": (datetime.now(UTC) + behaviour.off).replace(microsecond=120_000),
        "tsa": asn1_x509.GeneralName("directory_name", certificate.subject),
    }
    if behaviour.accuracy is not None:
        fields["accuracy"] = {"seconds": behaviour.accuracy}
    nonce = behaviour.nonce(asked["nonce"].native)
    if nonce is not None:
        fields["nonce"] = nonce
    info = tsp.TSTInfo(fields | behaviour.fields).dump()
    return sign_token(info, behaviour)


def sign_token(info: bytes, behaviour: Behaviour) -> Any:
    """Sign a TSTInfo (RFC 5652 section 5, RFC 5816)."""
    chain = behaviour.key.certificate_chain
    shown = [
        asn1_x509.Certificate.load(each.public_bytes(Encoding.DER))
        for each in (chain if behaviour.shown is None else behaviour.shown)
    ]
    named = asn1_x509.Certificate.load((behaviour.named or chain[0]).public_bytes(Encoding.DER))
    key = asn1_x509.Certificate.load(chain[0].public_bytes(Encoding.DER)).public_key
    signature = _SIGNATURES[key.curve[1]] if key.algorithm == "ec" else "sha256_rsa"
    digest = signature.partition("_")[0]
    digest_algorithm = algos.DigestAlgorithm({"algorithm": digest})
    attributes = [
        _attribute("content_type", "tst_info"),
        _attribute("message_digest", hashlib.new(digest, info).digest()),
    ]
    if behaviour.bound is not None:
        attributes.append(_binding(behaviour, behaviour.bound(named.dump())))
    signed = cms.CMSAttributes(attributes)
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                "issuer_and_serial_number",
                {"issuer": named.issuer, "serial_number": named.serial_number},
            ),
            "digest_algorithm": digest_algorithm,
            "signed_attrs": signed,
            "signature_algorithm": {"algorithm": signature},
            "signature": behaviour.key.sign(signed.dump()),
        }
    )
    signed_data = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [digest_algorithm],
            "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(info)},
            "certificates": shown,
            "signer_infos": [signer],
        }
    )
    return cms.ContentInfo({"content_type": "signed_data", "content": signed_data})


def _binding(behaviour: Behaviour, certificate: bytes) -> Any:
    if behaviour.binding == "signing_certificate":
        bound: Any = {"cert_hash": hashlib.sha1(certificate, usedforsecurity=False).digest()}
    else:
        bound = {
            "hash_algorithm": {"algorithm": "sha256"},
            "cert_hash": hashlib.sha256(certificate).digest(),
        }
    if behaviour.binds_serial:
        named = asn1_x509.Certificate.load(
            (behaviour.named or behaviour.key.certificate_chain[0]).public_bytes(Encoding.DER)
        )
        issuer = asn1_x509.GeneralName("directory_name", named.issuer)
        bound["issuer_serial"] = {"issuer": [issuer], "serial_number": named.serial_number}
    return _attribute(behaviour.binding, {"certs": [bound]})


def _attribute(kind: str, value: Any) -> Any:
    return cms.CMSAttribute({"type": kind, "values": [value]})
