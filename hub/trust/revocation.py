# SPDX-License-Identifier: Apache-2.0
"""Where revocation answers come from: the authorities' services, or a folder of stored ones."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from hub.errors import TrustError
from hub.trust.answers import CLOCK_SKEW, is_current, read_crl, read_ocsp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from hub.trust.model import RevocationAnswer

LONGEST_AGE = timedelta(minutes=5)
"""How long a fetched answer is used before it is fetched again, even when it would hold longer."""

_MOST_ANSWERS = 4096
_TIMEOUT = httpx2.Timeout(3.0, connect=2.0)
_MOST_OCSP_BYTES = 64 * 1024
_MOST_CRL_BYTES = 16 * 1024 * 1024


class OnlineRevocation:
    """Asks the services a certificate names: OCSP by POST, CRLs by GET, both over HTTP.

    Answers are kept in memory for at most `longest_age` and never past their own end. The addresses come
    out of certificates, so hand over only certificates whose signature chain was checked before. Safe to use
    from several threads.

    Args:
        client: carries the requests; one with short timeouts and without redirects when left out.
        longest_age: how long an answer is used before it is fetched again.
    """

    def __init__(self, client: httpx2.Client | None = None, *, longest_age: timedelta = LONGEST_AGE) -> None:
        # Answers are minutes apart, so no connection is kept open between them.
        self._client = client or httpx2.Client(
            timeout=_TIMEOUT,
            limits=httpx2.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )
        self._longest_age = longest_age
        self._answers: OrderedDict[tuple[str, bytes], RevocationAnswer] = OrderedDict()
        self._lock = threading.Lock()

    def ocsp_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Ask the certificate's OCSP responders, one after another until one answers.

        Raises:
            TrustError: `trust.revocation_unknown` when it names responders and none gives a usable answer.

        Source: RFC 6960 appendix A; RFC 5019 section 2.1.1 asks for SHA-1 in the CertID, where it only names.
        """
        digest = hashes.SHA1()  # noqa: S303 (names the certificate; protects nothing)
        request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, digest).build()
        body = request.public_bytes(serialization.Encoding.DER)

        def fetch(url: str) -> RevocationAnswer:
            der = self._post(url, body)
            answer = read_ocsp(der, certificate, issuer, obtained_at=at)
            if answer is None:
                raise TrustError("trust.revocation_unknown", f"{url} answered about another certificate")
            return answer

        return self._first_usable(_ocsp_urls(certificate), body, fetch, at)

    def crl_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Fetch the certificate's CRL from the places it names, one after another until one gives it.

        Raises:
            TrustError: `trust.revocation_unknown` when it names places and none gives a usable CRL.

        Source: RFC 5280 section 4.2.1.13.
        """
        del issuer  # a CRL's place stands in the certificate itself

        def fetch(url: str) -> RevocationAnswer:
            return read_crl(self._get(url), obtained_at=at)[1]

        return self._first_usable(_crl_urls(certificate), b"", fetch, at)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _first_usable(
        self, urls: list[str], body: bytes, fetch: Callable[[str], RevocationAnswer], at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        failures = []
        for url in urls:
            try:
                return (self._answer(url, body, fetch, at),)
            except TrustError as exc:
                failures.append(exc.detail)
        if failures:
            raise TrustError("trust.revocation_unknown", "; ".join(failures))
        return ()

    def _answer(
        self, url: str, body: bytes, fetch: Callable[[str], RevocationAnswer], at: datetime
    ) -> RevocationAnswer:
        with self._lock:
            kept = self._answers.get((url, body))
        if kept and self._is_fresh(kept, at):
            return kept
        answer = fetch(url)
        if not is_current(answer, at):
            raise TrustError(
                "trust.revocation_unknown", f"{url} gave an answer that is too old or not yet valid"
            )
        with self._lock:
            self._answers[url, body] = answer
            self._answers.move_to_end((url, body))
            while len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)
        return answer

    def _is_fresh(self, answer: RevocationAnswer, at: datetime) -> bool:
        obtained = answer.obtained_at
        if obtained is None or not obtained - CLOCK_SKEW <= at < obtained + self._longest_age:
            return False
        return is_current(answer, at)

    def _post(self, url: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
        return self._send("POST", url, _MOST_OCSP_BYTES, body, headers)

    def _get(self, url: str) -> bytes:
        return self._send("GET", url, _MOST_CRL_BYTES)

    def _send(
        self,
        method: str,
        url: str,
        most_bytes: int,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        try:
            with self._client.stream(method, url, content=body, headers=headers) as response:
                if response.status_code != httpx2.codes.OK:
                    raise TrustError("trust.revocation_unknown", f"{url} answered {response.status_code}")
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > most_bytes:
                        raise TrustError(
                            "trust.revocation_unknown", f"{url} sent more than {most_bytes} bytes"
                        )
                return bytes(content)
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            detail = f"{url} cannot be reached ({type(exc).__name__})"
            raise TrustError("trust.revocation_unknown", detail) from exc


class HeldRevocation:
    """Answers at hand, for checking offline what was true at an earlier instant.

    Args:
        ocsp_responses: in DER.
        crls: in DER.

    Raises:
        TrustError: `trust.revocation_unknown` when a CRL cannot be read.
    """

    def __init__(self, ocsp_responses: Iterable[bytes], crls: Iterable[bytes]) -> None:
        self._responses = list(ocsp_responses)
        self._crls = [read_crl(der) for der in crls]

    def ocsp_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Return the stored OCSP responses about this certificate that hold at the instant.

        Raises:
            TrustError: `trust.revocation_unknown` when a stored response cannot be read.
        """
        answers = (read_ocsp(der, certificate, issuer) for der in self._responses)
        return tuple(answer for answer in answers if answer and is_current(answer, at))

    def crl_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Return the stored CRLs of this certificate's issuer that hold at the instant."""
        del issuer
        return tuple(
            answer for name, answer in self._crls if name == certificate.issuer and is_current(answer, at)
        )


class StoredRevocation(HeldRevocation):
    """Answers out of a folder.

    Args:
        folder: `*.ocsp` and `*.crl`, in DER, as the hub stores them beside a message. Read once.

    Raises:
        TrustError: `trust.revocation_unknown` when a CRL in it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            [path.read_bytes() for path in sorted(folder.glob("*.ocsp"))],
            [path.read_bytes() for path in sorted(folder.glob("*.crl"))],
        )


def _ocsp_urls(certificate: x509.Certificate) -> list[str]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    return [
        str(each.access_location.value)
        for each in access
        if each.access_method == AuthorityInformationAccessOID.OCSP and _is_http(each.access_location)
    ]


def _crl_urls(certificate: x509.Certificate) -> list[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for point in points for name in point.full_name or () if _is_http(name)]


def _is_http(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith(("http://", "https://"))
