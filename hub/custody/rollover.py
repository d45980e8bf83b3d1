# SPDX-License-Identifier: Apache-2.0
"""From one certificate to the next without a break: noticed, registered, switched, and back if need be.

    1  the chain of the next key appears where the settings say
    2  it is opened, and held to the member and the days of the one in use
    3  it is registered, by whoever runs this: a gateway asks the hub by a message signed with the old key
    4  a note of that is written, so that a restart goes on with the next key and not with the old one
    5  the ring signs with it; what was signed before stays signed with the old key

Until the hub has confirmed step 3 nothing changes, so a failure leaves the old certificate in use.

Source: docs/protocols/registration.md section 6.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from hub.clock import format_instant, parse_instant
from hub.errors import TrustError
from hub.trust import describe, member_of_certificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from hub.clock import Clock
    from hub.custody.keyring import KeyRing
    from hub.trust import SigningKey


class RollOverState(StrEnum):
    """How far a change of certificate has come."""

    NONE = "none"
    """There is no next certificate."""
    FOUND = "found"
    """There is one, and it is not registered yet."""
    REGISTERED = "registered"
    """It is registered and its first instant is still to come."""
    SWITCHED = "switched"
    """It signs."""
    HELD = "held"
    """It is registered, and an operator went back to the old one."""


@dataclass(frozen=True)
class RollOverNote:
    """What has to outlive the process.

    Attributes:
        certificate_sha256: of the next certificate, hexadecimal.
        registered_at: UTC, when it was registered.
        is_held: whether an operator went back to the old one.
    """

    certificate_sha256: str
    registered_at: datetime
    is_held: bool = False


class RollOver:
    """The change from the keys of a ring to one more.

    Several processes may hold one note, such as a running gateway and the command line: what one writes, the
    other follows at its next look.

    Args:
        ring: the keys in use.
        open_next: opens the next key; asked again only after its chain has changed.
        next_chain: where the next certificate's chain appears; None where none is awaited.
        register: has a key's certificate registered and returns since when it is.
        note: the file of the note.
        clock: tells what is valid now.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        *,
        ring: KeyRing,
        open_next: Callable[[], SigningKey],
        next_chain: Path | None,
        register: Callable[[SigningKey], datetime],
        note: Path,
        clock: Clock,
    ) -> None:
        self._ring = ring
        self._open_next = open_next
        self._next_chain = next_chain
        self._register = register
        self._note = note
        self._clock = clock
        self._opened: tuple[tuple[int, int], SigningKey] | None = None

    def resume(self) -> RollOverState:
        """Go on where an earlier process stopped; asks nobody.

        Raises:
            TrustError: the next key cannot be opened or does not fit.
        """
        key, note = self.next_key(), self._read_note()
        if key is None:
            return RollOverState.NONE
        if note is None or note.certificate_sha256 != _sha256(key):
            return RollOverState.FOUND
        return self._follow(key, note)

    def step(self) -> RollOverState:
        """Look once, and do what is to be done.

        Raises:
            TrustError: the next key cannot be opened or does not fit.
            HubError: it could not be registered; the old one stays in use.
        """
        state = self.resume()
        key = self.next_key()
        if state is not RollOverState.FOUND or key is None:
            return state
        note = RollOverNote(_sha256(key), self._register(key))
        self._write_note(note)
        return self._follow(key, note)

    def release(self) -> None:
        """Let the next key be used again after `go_back`."""
        note = self._read_note()
        if note is not None and note.is_held:
            self._write_note(RollOverNote(note.certificate_sha256, note.registered_at))

    def go_back(self) -> SigningKey:
        """Return to the key before, as long as its certificate is valid and counts.

        Raises:
            TrustError: `trust.key_unusable`, there is none to return to.
            HubError: its certificate does not count any more.
        """
        key, note = self.next_key(), self._read_note()
        if key is None or note is None or note.certificate_sha256 != _sha256(key):
            raise TrustError("trust.key_unusable", "there is no roll-over to go back from")
        old = self._older(key)
        self._register(old)
        held = RollOverNote(note.certificate_sha256, note.registered_at, is_held=True)
        self._write_note(held)
        self._follow(key, held)
        return old

    def next_key(self) -> SigningKey | None:
        """Open the next key, or return None while its chain is not there.

        Raises:
            TrustError: it cannot be opened; or `trust.wrong_member` or `trust.key_unusable`, it does not fit.
        """
        if self._next_chain is None:
            return None
        try:
            status = self._next_chain.stat()
        except FileNotFoundError:
            return None
        look = (status.st_mtime_ns, status.st_size)
        if self._opened is None or self._opened[0] != look:
            key = self._open_next().snapshot()
            self._require_fitting(key.certificate_chain[0])
            self._opened = (look, key)
        return self._opened[1]

    def _follow(self, key: SigningKey, note: RollOverNote) -> RollOverState:
        if note.is_held:
            is_active = any(held.is_active and _leaf(held.key) == _leaf(key) for held in self._ring.keys)
            if is_active:
                self._older(key)
                self._ring.retire(key)
            return RollOverState.HELD
        self._ring.activate(key)
        is_used = _leaf(self._ring.snapshot()) == _leaf(key)
        return RollOverState.SWITCHED if is_used else RollOverState.REGISTERED

    def _older(self, key: SigningKey) -> SigningKey:
        """Return the newest other key that may sign now."""
        now = self._clock.now()
        for held in self._ring.keys:
            if held.is_active and held.begins <= now <= held.ends and _leaf(held.key) != _leaf(key):
                return held.key
        raise TrustError("trust.key_unusable", f"beside {describe(_leaf(key))} no key is valid any more")

    def _require_fitting(self, certificate: x509.Certificate) -> None:
        for held in self._ring.keys:
            used = _leaf(held.key)
            if member_of_certificate(certificate) != member_of_certificate(used):
                raise TrustError("trust.wrong_member", f"{describe(certificate)} is not of the same member")
            # The newest key of a ring signs: an older one would be registered and never used.
            if certificate.not_valid_before_utc < held.begins:
                detail = f"{describe(certificate)} begins before {describe(used)}, which is in use"
                raise TrustError("trust.key_unusable", detail)

    def _read_note(self) -> RollOverNote | None:
        try:
            fields = json.loads(self._note.read_text(encoding="utf-8"))
            return RollOverNote(
                str(fields["certificate_sha256"]),
                parse_instant(fields["registered_at"]),
                fields["held"] is True,
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as exc:
            raise TrustError("trust.key_unusable", f"the note {self._note.name} is not readable") from exc

    def _write_note(self, note: RollOverNote) -> None:
        content = {
            "certificate_sha256": note.certificate_sha256,
            "registered_at": format_instant(note.registered_at),
            "held": note.is_held,
        }
        self._note.parent.mkdir(parents=True, exist_ok=True)
        partial = self._note.with_suffix(".part")
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial.replace(self._note)


def _leaf(key: SigningKey) -> x509.Certificate:
    return key.certificate_chain[0]


def _sha256(key: SigningKey) -> str:
    return _leaf(key).fingerprint(hashes.SHA256()).hex()
