# SPDX-License-Identifier: Apache-2.0
"""Whom a TLS certificate speaks for: the same trust list, revocation and member as for signatures.

Source: RFC 5280 section 4.2.1.12 (clientAuth, serverAuth); docs/protocols/exchange.md section 14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.clock import Clock
    from hub.identifiers import MemberId
    from hub.trust.model import TrustList, Use, ValidatedPath
    from hub.trust.validation import Validator


class PeerTrust:
    """Judges the certificates of one side of TLS connections; a `hub.wire.PeerJudge`.

    Args:
        validator: holds the trust list.
        use: `Use.TLS_CLIENT` for those who connect, `Use.TLS_SERVER` for those who answer.
        clock: certificates are judged for now.
    """

    def __init__(self, validator: Validator, use: Use, clock: Clock) -> None:
        self._validator = validator
        self._use = use
        self._clock = clock

    def known(self, chain: Sequence[x509.Certificate]) -> MemberId | None:
        """Return the member where that is remembered, or None; never waits."""
        path = self._validator.known(chain, use=self._use, at=self._clock.now())
        return None if path is None else _member(path)

    def judge(self, chain: Sequence[x509.Certificate]) -> MemberId:
        """Return the member; asks the network about revocation where need be.

        Raises:
            TrustError: as `Validator.validate`.
        """
        return _member(self._validator.validate(chain, use=self._use, at=self._clock.now()))


def tls_authorities(trust_list: TrustList, use: Use, at: datetime) -> tuple[x509.Certificate, ...]:
    """Return what a handshake holds certificates to: the roots, and the authorities approved for the use.

    The handshake keeps strangers out before a request is read. It does not decide: `PeerTrust` does.
    """
    return tuple(
        row.certificate
        for row in trust_list.authorities
        if row.is_approved(at) and (row.is_anchor or use in row.uses)
    )


def _member(path: ValidatedPath) -> MemberId:
    if path.member_id is None:
        raise TypeError("TLS certificates name their member")
    return path.member_id
