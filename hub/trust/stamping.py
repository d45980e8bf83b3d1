# SPDX-License-Identifier: Apache-2.0
"""Asking time-stamping authorities, one after another, until one gives a token that holds.

Source: RFC 3161 sections 2.4 (request and answer) and 3.4 (over HTTP).
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2
import structlog
from asn1crypto import algos, cms, core, tsp

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust.bilingual import Bilingual
from hub.trust.refusals import refusal
from hub.trust.timestamps import believe_token
from hub.trust.tokens import DIGEST_BYTES, MOST_TOKEN_BYTES, read_token, to_one_form

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from hub.clock import Clock
    from hub.trust.ports import TrustLists
    from hub.trust.timestamps import TimeStamp
    from hub.trust.tokens import Token
    from hub.trust.validation import Validator

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a token's time may lie outside the time between request and answer by our clock."""

MOST_ACCURACY = timedelta(minutes=1)
"""The widest accuracy a token may state; a wider one would make its time mean little."""

REST = timedelta(minutes=1)
"""How long an authority that failed is asked after all others."""

LONGEST_SECONDS = 10.0

_TIMEOUT = httpx2.Timeout(5.0, connect=2.0)
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_NONCE_BITS = 64
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TimeStampAuthority:
    """Where a time-stamping authority answers.

    Attributes:
        name: for people.
        url: RFC 3161 over HTTP or HTTPS.
        policy: object identifier of the policy asked for, dotted; None leaves it to the authority.
    """

    name: str
    url: str
    policy: str | None = None


def listed_authorities(trust_lists: TrustLists) -> Callable[[datetime], tuple[TimeStampAuthority, ...]]:
    """Return what finds the authorities of the trust list in force, in their order."""

    def find(at: datetime) -> tuple[TimeStampAuthority, ...]:
        return tuple(
            TimeStampAuthority(service.name, service.url)
            for service in trust_lists.of(at).time_stamping
            if service.url is not None and service.is_approved(at)
        )

    return find


class TimeStampClient:
    """Gets time stamps from the first of several authorities that gives one that holds.

    An answer is checked completely before it is returned: status, form, imprint, nonce, policy, time against
    our clock, binding, signature, and the authority's certificate with its revocation. An authority that
    fails any of it is asked last for a while. Safe to use from several threads; calls wait for the network.

    Args:
        authorities: in the order in which they are asked; or what returns them for an instant.
        validator: judges their certificates, `Use.TIMESTAMP`.
        clock: ours, with which a token's time is compared.
        client: carries the requests; one with short timeouts and without redirects when left out.
        longest_seconds: how long one authority's answer may take in all, however steadily it trickles in.
    """

    def __init__(
        self,
        authorities: Sequence[TimeStampAuthority] | Callable[[datetime], Sequence[TimeStampAuthority]],
        validator: Validator,
        clock: Clock,
        *,
        client: httpx2.Client | None = None,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._authorities = authorities if callable(authorities) else lambda _at: authorities
        self._validator = validator
        self._clock = clock
        self._client = client or httpx2.Client(
            timeout=_TIMEOUT,
            # An outage must not leave a half-dead connection to be tried first when it is over.
            limits=httpx2.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )
        self._longest_seconds = longest_seconds
        self._resting: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def stamp(self, digest: bytes, digest_algorithm: str = "sha256") -> TimeStamp:
        """Have a digest stamped.

        Args:
            digest: of what is to be proven to have existed.
            digest_algorithm: `sha256`, `sha384` or `sha512`.

        Raises:
            TrustError: `trust.timestamp_unavailable` with what was wrong with each authority.
            ValueError: the digest has not the length of its algorithm.
        """
        if len(digest) != DIGEST_BYTES.get(digest_algorithm):
            raise ValueError(f"not a digest of {digest_algorithm}")
        problems = []
        for authority in self._in_order():
            try:
                stamp = self._ask(authority, digest, digest_algorithm)
            except TrustError as exc:
                problems.append(f"{authority.name}: {exc.code}: {exc.detail}")
                _logger.warning("time_stamp.refused", authority=authority.name, code=exc.code, why=exc.detail)
                self._rest(authority)
            else:
                self._wake(authority)
                return stamp
        raise refusal("timestamp_unavailable", problems="; ".join(problems) or "none is listed")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _in_order(self) -> list[TimeStampAuthority]:
        now = self._clock.now()
        authorities = self._authorities(now)
        with self._lock:
            self._resting = {
                url: until
                for url, until in self._resting.items()
                # A clock that was set back must not let anybody rest for longer.
                if now < until <= now + REST
            }
            return sorted(authorities, key=lambda each: each.url in self._resting)

    def _rest(self, authority: TimeStampAuthority) -> None:
        with self._lock:
            self._resting[authority.url] = self._clock.now() + REST

    def _wake(self, authority: TimeStampAuthority) -> None:
        with self._lock:
            self._resting.pop(authority.url, None)

    def _ask(self, authority: TimeStampAuthority, digest: bytes, digest_algorithm: str) -> TimeStamp:
        nonce = secrets.randbits(_NONCE_BITS)
        sent_at = self._clock.now()
        answer = self._send(authority.url, _request(authority, digest, digest_algorithm, nonce))
        received_at = self._clock.now()
        token = read_token(to_one_form(_granted(answer)))
        if (token.digest_algorithm, token.digest) != (digest_algorithm, digest):
            raise refusal("timestamp_imprint", token.certificates[0], token.at)
        if token.nonce != nonce:
            raise refusal("timestamp_nonce", token.certificates[0], token.at)
        if authority.policy not in {None, token.policy}:
            raise refusal(
                "timestamp_policy",
                token.certificates[0],
                token.at,
                found=token.policy,
                wanted=str(authority.policy),
            )
        _check_time(token, sent_at, received_at)
        return believe_token(token, self._validator, judged_at=max(received_at, token.at))

    def _send(self, url: str, body: bytes) -> bytes:
        headers = {"Content-Type": _QUERY, "Accept": _REPLY}
        started = time.monotonic()
        try:
            with self._client.stream("POST", url, content=body, headers=headers) as response:
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                if response.status_code != httpx2.codes.OK or kind != _REPLY:
                    problem = f"it answered {response.status_code} with {kind[:60] or 'no type'}"
                    raise refusal("timestamp_unreachable", problem=problem)
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > MOST_TOKEN_BYTES:
                        raise refusal(
                            "timestamp_unreachable", problem=Bilingual("its answer is too long", "应答过长")
                        )
                    if time.monotonic() - started > self._longest_seconds:
                        raise refusal(
                            "timestamp_unreachable",
                            problem=Bilingual("its answer takes too long", "应答超时"),
                        )
                return bytes(content)
        except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
            raise refusal("timestamp_unreachable", problem=type(exc).__name__) from exc


def _request(authority: TimeStampAuthority, digest: bytes, digest_algorithm: str, nonce: int) -> bytes:
    fields = {
        "version": 1,
        "message_imprint": {
            "hash_algorithm": algos.DigestAlgorithm({"algorithm": digest_algorithm}),
            "hashed_message": digest,
        },
        "nonce": nonce,
        "cert_req": True,
    }
    if authority.policy is not None:
        fields["req_policy"] = authority.policy
    written: bytes = tsp.TimeStampReq(fields).dump()
    return written


class _Answer(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """TimeStampResp; asn1crypto's own does not know that an answer may hold no token."""

    _fields: ClassVar[list[tuple[Any, ...]]] = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


def _granted(answer: bytes) -> bytes:
    """Return the token of an answer.

    Source: RFC 3161 section 2.4.2: a token is there only when the status is granted or grantedWithMods.
    """
    try:
        response = _Answer.load(answer, strict=True)
        status = response["status"]["status"].native
        if status not in {"granted", "granted_with_mods"}:
            said = response["status"]["status_string"].native or []
            info = sorted(response["status"]["fail_info"].native or ())
            words = ", ".join([str(status), *info, *map(str, said)])
            raise refusal("timestamp_rejected", status="".join(filter(str.isprintable, words))[:300])
        token: bytes = response["time_stamp_token"].dump()
        if not token:
            raise refusal(
                "timestamp_unreadable", problem=Bilingual("granted, without a token", "已同意却未附令牌")
            )
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as exc:
        raise refusal("timestamp_unreadable", problem=type(exc).__name__) from exc
    return token


def _check_time(token: Token, sent_at: datetime, received_at: datetime) -> None:
    """Compare a token's time with our clock, allowing for its accuracy."""
    accuracy = token.accuracy or timedelta(0)
    if accuracy > MOST_ACCURACY:
        raise refusal(
            "timestamp_accuracy",
            token.certificates[0],
            token.at,
            accuracy=f"{accuracy.total_seconds():g}",
            most=f"{MOST_ACCURACY.total_seconds():g}",
        )
    if not sent_at - CLOCK_TOLERANCE - accuracy <= token.at <= received_at + CLOCK_TOLERANCE + accuracy:
        raise refusal(
            "timestamp_time",
            token.certificates[0],
            token.at,
            found=format_instant(token.at),
            here=format_instant(received_at),
            most=f"{CLOCK_TOLERANCE.total_seconds() / 60:g}",
        )
