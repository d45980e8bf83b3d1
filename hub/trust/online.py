# SPDX-License-Identifier: Apache-2.0
"""Revocation answers from the services a certificate names: OCSP by POST, CRLs by GET, both over HTTP.

Source: RFC 6960 appendix A.1; RFC 9654 (nonce); RFC 5280 sections 4.2.1.13, 4.2.1.15 and 5.2.6.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from hub.errors import TrustError
from hub.trust.answers import cert_id, load_ocsp, ocsp_answer
from hub.trust.fetching import Fetcher
from hub.trust.lists import crl_answer, load_crl
from hub.trust.refusals import refusal
from hub.trust.revocation import distribution_points, freshest_points
from hub.trust.statements import CLOCK_SKEW, with_more

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    import httpx2

    from hub.trust.model import RevocationAnswer

_logger = structlog.get_logger(__name__)

LONGEST_AGE = timedelta(minutes=5)
"""How long a fetched answer is used before a newer one is asked for, even when it would hold longer."""

_MOST_ANSWERS = 4096
_MOST_BYTES = 256 * 1024 * 1024
_MOST_OCSP_BYTES = 64 * 1024
_MOST_CRL_BYTES = 16 * 1024 * 1024
_MOST_URLS = 8
_NONCE_BYTES = 32
_LOCKS = 16
_IN_USE = timedelta(days=1)

_Key = tuple[str, bytes]


@dataclass(frozen=True)
class _Kept:
    """An answer and how it came.

    Attributes:
        answer: the newest.
        before: the one before it, in case the newest turns out not to hold.
        entity_tag: to ask with next time.
    """

    answer: RevocationAnswer
    before: RevocationAnswer | None = None
    entity_tag: str = ""


_Ask = Callable[[str, _Kept | None], _Kept]
"""Asks one address for an answer; given what is remembered from there."""


class OnlineRevocation:
    """Asks the services a certificate names, one after another, and remembers what they gave.

    An answer is asked for again after `longest_age`. When that fails, the last one serves while it holds;
    whether it is too old is for the judge and the trust list to say. The addresses come out of certificates,
    so hand over only certificates whose signature chain was checked before. Safe to use from several threads.

    Args:
        client: carries the requests; one without redirects when left out.
        longest_age: how long an answer is used before it is asked for again.
        fetcher: carries the requests within bounds; made around `client` when left out.
    """

    def __init__(
        self,
        client: httpx2.Client | None = None,
        *,
        longest_age: timedelta = LONGEST_AGE,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._fetcher = fetcher or Fetcher(client)
        self._longest_age = longest_age
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._asked: dict[str, datetime] = {}
        self._size = 0
        self._lock = threading.Lock()
        # One request about the same thing at a time: what one thread fetched, those that waited use too.
        self._asking = [threading.Lock() for _ in range(_LOCKS)]

    def one_judgement(self) -> AbstractContextManager[None]:
        """Let everything that is asked inside share one time."""
        return self._fetcher.one_judgement()

    def ocsp_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Ask the certificate's OCSP responders, one after another until one answers.

        Raises:
            TrustError: `trust.revocation_unknown` when it names responders and none gives a usable answer.
        """
        about = _request(certificate, issuer, None)

        def ask(url: str, known: _Kept | None) -> _Kept:
            del known
            return _Kept(self._ask_responder(url, certificate, issuer, at))

        return self._first(ocsp_urls(certificate), about, ask, at)

    def crl_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Fetch the certificate's CRLs, of each distribution point from the first place that gives one.

        Delta CRLs come along where they can be had; without them a complete CRL serves alone.

        Raises:
            TrustError: `trust.revocation_unknown` when it names places and none gives a CRL.
        """
        del issuer  # a CRL's place stands in the certificate itself
        points = distribution_points(certificate)
        divided = any(point.reasons for point in points)
        answers: list[RevocationAnswer] = []
        failures: list[TrustError] = []
        for point in points:
            try:
                answers += self._list_of(point, at)
            except TrustError as exc:
                failures.append(exc)
            if answers and not divided:
                break  # Points that all tell of every reason are places of one list.
        if failures and not answers:
            raise failures[0]
        return (*answers, *self._deltas(certificate, answers, at))

    def kept_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> tuple[RevocationAnswer, ...]:
        """Return what is remembered about a certificate; asks nobody."""
        about = _request(certificate, issuer, None)
        keys = [(url, about) for url in ocsp_urls(certificate)]
        keys += [(url, b"") for point in distribution_points(certificate) for url in _urls(point)]
        with self._lock:
            found = [self._kept.get(each) for each in keys]
        return tuple(each.answer for each in found if each)

    def disbelieve(self, answers: Iterable[RevocationAnswer]) -> None:
        """Forget answers that do not hold, and ask those who gave them no more within this judgement."""
        gone = {answer.der for answer in answers}
        with self._lock:
            for key, kept in list(self._kept.items()):
                if kept.answer.der in gone:
                    self._fetcher.disbelieve(key[0])
                    if kept.before is None or kept.before.der in gone:
                        self._size -= len(self._kept.pop(key).answer.der)
                    else:
                        self._kept[key] = _Kept(kept.before)

    def crls_kept(self, at: datetime) -> dict[str, RevocationAnswer]:
        """Return the CRLs that were asked for during the last day, by the place each came from."""
        with self._lock:
            lists = {url: kept.answer for (url, about), kept in self._kept.items() if not about}
            self._asked = {url: asked for url, asked in self._asked.items() if at < asked + _IN_USE}
            return {url: answer for url, answer in lists.items() if url in self._asked}

    def renew_crl(self, url: str, at: datetime) -> RevocationAnswer:
        """Fetch a CRL again, whatever is remembered.

        Raises:
            TrustError: `trust.revocation_unknown` when it cannot be had.
        """
        with self._asking[hash(url) % _LOCKS]:
            return self._renew((url, b""), lambda _url, known: self._fetch_list(url, known, at), at)

    def close(self) -> None:
        """Close the connections."""
        self._fetcher.close()

    def _list_of(self, point: x509.DistributionPoint, at: datetime) -> tuple[RevocationAnswer, ...]:
        return self._first(_urls(point), b"", lambda url, known: self._fetch_list(url, known, at), at)

    def _deltas(
        self, certificate: x509.Certificate, complete: Iterable[RevocationAnswer], at: datetime
    ) -> list[RevocationAnswer]:
        points = [*freshest_points(certificate)]
        for answer in complete:
            points += load_crl(answer.der).freshest
        deltas: list[RevocationAnswer] = []
        for point in dict.fromkeys(points):
            try:
                deltas += self._list_of(point, at)
            except TrustError as exc:
                _logger.info("revocation.delta_crl_missing", detail=exc.detail)
        return deltas

    def _first(
        self, urls: Sequence[str], about: bytes, ask: _Ask, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        failures = []
        for url in urls[:_MOST_URLS]:
            if self._fetcher.is_disbelieved(url):
                continue
            try:
                return (self._answer((url, about), ask, at),)
            except TrustError as exc:
                failures.append(exc)
        if failures:
            raise with_more(*failures)
        return ()

    def _answer(self, key: _Key, ask: _Ask, at: datetime) -> RevocationAnswer:
        if not key[1]:
            self._asked[key[0]] = at
        kept = self._fresh(key, at)
        if kept:
            return kept
        with self._asking[hash(key[0]) % _LOCKS]:
            kept = self._fresh(key, at)
            if kept:
                return kept
            try:
                return self._renew(key, ask, at)
            except TrustError:
                with self._lock:
                    last = self._kept.get(key)
                if last is None or not _is_current(last.answer, at):
                    raise
                return last.answer

    def _fresh(self, key: _Key, at: datetime) -> RevocationAnswer | None:
        with self._lock:
            kept = self._kept.get(key)
        obtained = kept.answer.obtained_at if kept else None
        if kept is None or obtained is None or not obtained - CLOCK_SKEW <= at < obtained + self._longest_age:
            return None
        return kept.answer if _is_current(kept.answer, at) else None

    def _renew(self, key: _Key, ask: _Ask, at: datetime) -> RevocationAnswer:
        """Ask, and remember the answer unless it is older than one that still holds."""
        with self._lock:
            known = self._kept.get(key)
        fetched = ask(key[0], known)
        before = known.answer if known and _is_current(known.answer, at) else None
        if known and before is not None and fetched.answer.this_update < before.this_update:
            fetched = replace(known, answer=replace(before, obtained_at=at))
        if before is not None and before.der == fetched.answer.der and known:
            before = known.before
        with self._lock:
            gone = self._kept.pop(key, None)
            self._size += len(fetched.answer.der) - (len(gone.answer.der) if gone else 0)
            self._kept[key] = replace(fetched, before=before)
            while len(self._kept) > _MOST_ANSWERS or (self._size > _MOST_BYTES and len(self._kept) > 1):
                self._size -= len(self._kept.popitem(last=False)[1].answer.der)
        return fetched.answer

    def _ask_responder(
        self, url: str, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> RevocationAnswer:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        fetched = self._fetcher.fetch(
            url,
            most_bytes=_MOST_OCSP_BYTES,
            body=_request(certificate, issuer, nonce),
            headers={"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"},
        )
        answer = ocsp_answer(fetched.content, certificate, issuer, at)
        if answer is None:
            raise refusal("ocsp_other_certificate", certificate, at)
        if load_ocsp(answer.der).nonce not in {None, nonce}:
            raise refusal("ocsp_other_nonce", certificate, at, url=url)
        return answer

    def _fetch_list(self, url: str, known: _Kept | None, at: datetime) -> _Kept:
        headers = {"If-None-Match": known.entity_tag} if known and known.entity_tag else {}
        fetched = self._fetcher.fetch(url, most_bytes=_MOST_CRL_BYTES, headers=headers)
        if not fetched.is_unchanged:
            return _Kept(crl_answer(fetched.content, at), entity_tag=fetched.entity_tag)
        if known is None:
            raise refusal("revocation_unreachable", url=url, why="HTTP 304")
        return replace(known, answer=replace(known.answer, obtained_at=at))


def ocsp_urls(certificate: x509.Certificate) -> list[str]:
    """Return a certificate's OCSP responders (RFC 5280 section 4.2.2.1)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    return [
        str(each.access_location.value)
        for each in access
        if each.access_method == AuthorityInformationAccessOID.OCSP and _is_http(each.access_location)
    ]


def _urls(point: x509.DistributionPoint) -> list[str]:
    return [str(name.value) for name in point.full_name or () if _is_http(name)]


def _is_http(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith(("http://", "https://"))


def _request(certificate: x509.Certificate, issuer: x509.Certificate, nonce: bytes | None) -> bytes:
    """Write an OCSP request; RFC 5019 section 2.1.1 asks for SHA-1 in the CertID, where it only names."""
    named = cert_id(certificate, issuer, "sha1")
    if named is None:
        raise TypeError("SHA-1 names every certificate")
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(*named, hashes.SHA1())  # noqa: S303 (see above)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def _is_current(answer: RevocationAnswer, at: datetime) -> bool:
    return answer.this_update - CLOCK_SKEW <= at < answer.usable_until
