# SPDX-License-Identifier: Apache-2.0
"""Several keys of one member, of which one signs: how a certificate is changed without a break.

A ring is used wherever a `SigningKey` is. The switch may happen between any two calls, so whoever needs
certificates and a signature that fit together takes `snapshot` first (`hub.trust.SigningKey`); nothing that
signs reads the chain of a ring and then asks the ring again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.clock import Clock, SystemClock, format_instant
from hub.errors import TrustError
from hub.trust import describe, member_of_certificate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography import x509

    from hub.trust import SignatureAlgorithm, SigningKey


@dataclass(frozen=True, slots=True)
class RingedKey:
    """One key of a ring.

    Attributes:
        key: signs; never a ring itself.
        begins: UTC, from when its certificate is valid.
        ends: UTC, the last instant at which it is.
        is_active: whether it may be chosen; a key whose certificate nobody knows yet is held, not active.
    """

    key: SigningKey
    begins: datetime
    ends: datetime
    is_active: bool


class KeyRing:
    """The keys of one member; a `SigningKey` that signs with the newest one that is active and valid.

    Thread-safe. A change is one assignment: every reader sees the keys before it or those after it.

    Args:
        keys: active from the start; at least one.
        clock: tells what is valid now; the machine's by default.

    Raises:
        TrustError: `trust.wrong_member` when a certificate names no member or two name different ones;
            `trust.key_unusable` without a key.
    """

    def __init__(self, keys: Iterable[SigningKey], *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._held: tuple[RingedKey, ...] = ()
        for key in keys:
            self._hold(key, is_active=True)
        if not self._held:
            raise TrustError("trust.key_unusable", "a ring of keys needs at least one")

    @property
    def keys(self) -> tuple[RingedKey, ...]:
        """Every key that is held, the newest first."""
        return self._held

    def current(self, now: datetime) -> SigningKey:
        """Return the key to sign with: the newest that is active and whose certificate is valid at `now`.

        Raises:
            TrustError: `trust.key_unusable` when none is; no certificate that has ended signs.
        """
        for held in self._held:
            if held.is_active and held.begins <= now <= held.ends:
                return held.key
        newest = describe(self._held[0].key.certificate_chain[0])
        detail = f"none of {len(self._held)} keys is active and valid at {format_instant(now)}"
        raise TrustError("trust.key_unusable", f"{detail}; the newest: {newest}")

    def add(self, key: SigningKey) -> None:
        """Hold a key without signing with it yet; a key that is held already stays as it is.

        Raises:
            TrustError: `trust.wrong_member` when it belongs to another member.
        """
        self._hold(key, is_active=False)

    def activate(self, key: SigningKey) -> None:
        """Let a key be chosen from now on; it need not be held yet.

        Raises:
            TrustError: `trust.wrong_member` when it belongs to another member.
        """
        self._hold(key, is_active=True)

    def retire(self, key: SigningKey) -> None:
        """Give a key up; the last one stays.

        Raises:
            TrustError: `trust.key_unusable` when no active key would be left.
        """
        leaf = key.snapshot().certificate_chain[0]
        with self._lock:
            left = tuple(held for held in self._held if _leaf(held) != leaf)
            if not any(held.is_active for held in left):
                raise TrustError(
                    "trust.key_unusable", f"no active key would be left without {describe(leaf)}"
                )
            self._held = left

    @property
    def certificate_chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates of the key that signs at this moment; for a signature, take `snapshot` first."""
        return self.snapshot().certificate_chain

    @property
    def algorithm(self) -> SignatureAlgorithm:
        """The row of the table that the key signs with which signs at this moment."""
        return self.snapshot().algorithm

    def sign(self, data: bytes) -> bytes:
        """Sign with the key of this moment; where its certificates go along, take `snapshot` first.

        Raises:
            TrustError: as `current`, and whatever the key raises.
        """
        return self.snapshot().sign(data)

    def snapshot(self) -> SigningKey:
        """Return the key of this moment, which stays the same whatever the ring does next.

        Raises:
            TrustError: as `current`.
        """
        return self.current(self._clock.now())

    def __repr__(self) -> str:
        return f"<ring of {len(self._held)} keys, the newest of {describe(_leaf(self._held[0]))}>"

    def _hold(self, key: SigningKey, *, is_active: bool) -> None:
        key = key.snapshot()
        leaf = key.certificate_chain[0]
        member = member_of_certificate(leaf)
        with self._lock:
            for held in self._held:
                if member_of_certificate(_leaf(held)) != member:
                    raise TrustError("trust.wrong_member", f"{describe(leaf)} is not of the ring's member")
            known = [held for held in self._held if _leaf(held) == leaf]
            others = [held for held in self._held if _leaf(held) != leaf]
            added = RingedKey(
                key=known[0].key if known else key,
                begins=leaf.not_valid_before_utc,
                ends=leaf.not_valid_after_utc,
                is_active=is_active or any(held.is_active for held in known),
            )
            # Of two that begin together, the one that came last is the newer.
            self._held = tuple(sorted([added, *others], key=lambda held: held.begins, reverse=True))


def _leaf(held: RingedKey) -> x509.Certificate:
    return held.key.certificate_chain[0]
