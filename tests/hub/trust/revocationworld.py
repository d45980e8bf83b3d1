# SPDX-License-Identifier: Apache-2.0
"""A small PKI whose services a test commands, and what the hub says of its one member's certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from hub.errors import TrustError
from hub.trust import (
    Authority,
    Fetcher,
    ListedService,
    OnlineRevocation,
    RevocationPolicy,
    TrustList,
    Use,
    ValidatedPath,
    Validator,
)
from tests.responders import Holder, MiniPki, Services, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from http.server import BaseHTTPRequestHandler

    from hub.trust import RevocationAnswer
    from tests.responders import Behaviour

_SECONDS = 0.6
OCSP_PATH, CRL_PATH = "/ca", "/ca.crl"


class Alarms:
    """Notes the alarms that are open."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, str], str] = {}

    def raise_alarm(self, code: str, subject: str, detail: str) -> None:
        self.open[code, subject] = detail

    def clear(self, code: str, subject: str) -> None:
        self.open.pop((code, subject), None)


@dataclass
class World:
    """A PKI, the leaf of a case, and what the hub says of it."""

    pki: MiniPki
    leaf: Holder
    alarms: Alarms = field(default_factory=Alarms)
    longest_answer_age: timedelta | None = None
    responders: tuple[ListedService, ...] = ()

    def __post_init__(self) -> None:
        self.at = self.pki.now
        self.source = OnlineRevocation(
            fetcher=Fetcher(seconds_a_request=_SECONDS, seconds_a_judgement=4 * _SECONDS)
        )

    def validate(
        self,
        policy: RevocationPolicy = RevocationPolicy.EITHER,
        *,
        unsafe: bool = False,
        at: datetime | None = None,
        judged_at: datetime | None = None,
        stapled: Sequence[RevocationAnswer] = (),
    ) -> ValidatedPath:
        validator = Validator(self.trust_list(policy, unsafe=unsafe), self.source, alarms=self.alarms)
        return validator.validate(
            [self.leaf.certificate, self.pki.ca.certificate],
            use=Use.ENVELOPE,
            at=at or self.at,
            judged_at=judged_at,
            stapled=stapled,
        )

    def trust_list(self, policy: RevocationPolicy, *, unsafe: bool = False) -> TrustList:
        begin, end = self.pki.now - timedelta(days=50), self.pki.now + timedelta(days=50)
        root = Authority(
            self.pki.root.certificate,
            is_anchor=True,
            uses=frozenset(),
            approved_from=begin,
            approved_until=end,
            revocation=RevocationPolicy.EITHER,
            name="root",
        )
        ca = Authority(
            self.pki.ca.certificate,
            is_anchor=False,
            uses=frozenset({Use.ENVELOPE}),
            approved_from=begin,
            approved_until=end,
            revocation=policy,
            name="ca",
            longest_answer_age=self.longest_answer_age,
            unsafe_accepts_unknown_revocation=unsafe,
        )
        return TrustList((root, ca), ocsp_responders=self.responders)

    def refused(
        self, policy: RevocationPolicy = RevocationPolicy.EITHER, *, unsafe: bool = False, **how: Any
    ) -> str:
        """Return the reason's name; fails when the certificate is believed."""
        with pytest.raises(TrustError) as refused:
            self.validate(policy, unsafe=unsafe, **how)
        finding = refused.value.finding
        assert finding is not None
        assert finding.code == refused.value.code
        return finding.reason_id


def make_world(services: Services, *, with_ocsp: bool, with_crl: bool) -> World:
    pki = MiniPki(services)
    leaf = pki.leaf(
        ocsp_urls=[pki.url(OCSP_PATH)] if with_ocsp else [], crls=[pki.url(CRL_PATH)] if with_crl else []
    )
    world = World(pki, leaf)
    pki.serve(OCSP_PATH, responding(world))
    pki.serve(CRL_PATH, answer(pki.crl()))
    return world


def responding(world: World, change: Callable[[bytes], bytes] = bytes, **how: Any) -> Behaviour:
    """Answer about the leaf with the request's nonce, unless told otherwise."""

    def behave(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        request = ocsp.load_der_ocsp_request(body)
        nonce = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        about = how.get("certificate", world.leaf.certificate)
        more = {name: value for name, value in how.items() if name != "certificate"}
        answer(change(world.pki.respond(about, **{"nonce": nonce, **more})))(handler, body)

    return behave
