# SPDX-License-Identifier: Apache-2.0
"""What the hub does about certificates by itself: it changes its own, and tells of those that end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from hub.custody import RollOver, RollOverState
from hub.errors import HubError
from hub.registry.watching import certificates_to_watch
from hub.trust import EXPIRY_ALARM, ExpiryWatch, Use

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from hub.alarms import Alarms
    from hub.clock import Clock
    from hub.custody import KeyRing
    from hub.identifiers import MemberId
    from hub.registry.desk import CertificateDesk
    from hub.trust import SigningKey, TrustLists

EXPIRY_CHECKED_EVERY = timedelta(hours=1)
_BY = "the hub"
_logger = structlog.get_logger(__name__)


def plan_own_roll_over(  # noqa: PLR0913 - each by its name
    *,
    ring: KeyRing,
    open_next: Callable[[], SigningKey],
    next_chain: Path | None,
    note: Path,
    desk: CertificateDesk,
    member: MemberId,
) -> RollOver:
    """Return the change of the hub's own certificate.

    It is registered where the hub's member has registered certificates, and otherwise only believed: gateways
    know the hub by its organizationIdentifier.
    """

    def register(key: SigningKey) -> datetime:
        chain = key.certificate_chain
        if (member, Use.ENVELOPE) in desk.registry.snapshot.certificates:
            return desk.register(chain, member, Use.ENVELOPE, by=_BY).registered_at
        now = desk.clock.now()
        desk.validator.validate(chain, use=Use.ENVELOPE, at=max(now, chain[0].not_valid_before_utc))
        return now

    return RollOver(
        ring=ring,
        open_next=open_next,
        next_chain=next_chain,
        register=register,
        note=note,
        clock=desk.clock,
    )


class CertificateUpkeep:
    """Looks after certificates while the hub serves.

    Args:
        desk: knows the members' certificates.
        trust_lists: the authorities.
        ring: the hub's own keys.
        roll_over: the change of the hub's own certificate.
        alarms: takes what an operator has to know.
        clock: says what is near.
        connections: tells which certificate the hub shows by TLS; None where it speaks plain HTTP.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        *,
        desk: CertificateDesk,
        trust_lists: TrustLists,
        ring: KeyRing,
        roll_over: RollOver,
        alarms: Alarms,
        clock: Clock,
        connections: Callable[[], x509.Certificate] | None = None,
    ) -> None:
        self._desk = desk
        self._connections = connections
        self._trust_lists = trust_lists
        self._ring = ring
        self._roll_over = roll_over
        self._clock = clock
        self._state = RollOverState.NONE
        self._checked_at: datetime | None = None
        self._watch = ExpiryWatch(
            alarms, lambda: [each.subject for each in alarms.alarms() if each.kind.code == EXPIRY_ALARM]
        )

    def look(self) -> None:
        """Do what is to be done now; called every few seconds."""
        try:
            state = self._roll_over.step()
        except (HubError, OSError) as error:
            # The old certificate signs on; its own end is watched below.
            _logger.warning("keys.not_rolled_over", reason=str(error))
        else:
            if state is not self._state:
                _logger.info("keys.rolled_over", state=state.value)
            self._state = state
        now = self._clock.now()
        if self._checked_at is None or now >= self._checked_at + EXPIRY_CHECKED_EVERY:
            self.check_expiry(now)
            self._checked_at = now

    def check_expiry(self, at: datetime) -> None:
        """Raise and clear the alarms about certificates that end."""
        own = [held.key.certificate_chain[0] for held in self._ring.keys]
        shown = self._connections() if self._connections is not None else None
        watched = certificates_to_watch(
            self._desk.registry.snapshot, self._trust_lists.of(at), own, at, connections=shown
        )
        self._watch.check(watched, at)
