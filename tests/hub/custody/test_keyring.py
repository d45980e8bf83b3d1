# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub.clock import FixedClock
from hub.custody import KeyRing
from hub.envelope.cades import sign_manifest, verify_cades
from hub.errors import TrustError

if TYPE_CHECKING:
    from cryptography import x509

    from hub.trust import SigningKey
    from tests.pki import ServedPki

NOW = datetime.now(UTC)


def leaf(key: SigningKey) -> x509.Certificate:
    return key.certificate_chain[0]


def test_a_key_that_is_only_held_does_not_sign_until_it_is_activated(pki: ServedPki) -> None:
    old, new = pki.signer("labour-sign"), pki.signer("labour-p384")
    ring = KeyRing([old])
    ring.add(new)
    assert ring.current(NOW) is old
    ring.activate(new)
    assert ring.current(NOW) is new
    ring.retire(new)
    assert ring.current(NOW) is old


def test_of_the_active_keys_the_newest_that_is_valid_signs(pki: ServedPki) -> None:
    old, future = pki.signer("labour-sign"), pki.signer("labour-not-yet-valid")
    ring = KeyRing([future, old, pki.signer("labour-expired")])
    assert ring.current(NOW) is old
    assert ring.current(leaf(future).not_valid_before_utc) is future
    assert ring.current(leaf(future).not_valid_before_utc - timedelta(milliseconds=1)) is old


def test_with_its_own_clock_a_ring_takes_up_the_next_key_when_its_day_comes(pki: ServedPki) -> None:
    old, future = pki.signer("labour-sign"), pki.signer("labour-not-yet-valid")
    clock = FixedClock(NOW)
    ring = KeyRing([old, future], clock=clock)
    assert ring.certificate_chain == old.certificate_chain
    clock.move_to(leaf(future).not_valid_before_utc + timedelta(days=1))
    assert ring.certificate_chain == future.certificate_chain
    assert ring.snapshot() is future


def test_a_ring_without_a_valid_key_signs_nothing(pki: ServedPki) -> None:
    ring = KeyRing([pki.signer("labour-expired")])
    with pytest.raises(TrustError) as refused:
        ring.sign(b"data")
    assert refused.value.code == "trust.key_unusable"
    with pytest.raises(TrustError, match="at least one"):
        KeyRing([])


def test_keys_of_two_members_never_hang_on_one_ring(pki: ServedPki) -> None:
    ring = KeyRing([pki.signer("labour-sign")])
    with pytest.raises(TrustError) as refused:
        ring.activate(pki.signer("tax-sign"))
    assert refused.value.code == "trust.wrong_member"
    with pytest.raises(TrustError):
        KeyRing([pki.signer("labour-sign"), pki.signer("tax-sign")])
    assert len(ring.keys) == 1


def test_the_last_active_key_stays(pki: ServedPki) -> None:
    key, held = pki.signer("labour-sign"), pki.signer("labour-p384")
    ring = KeyRing([key])
    ring.add(held)
    with pytest.raises(TrustError, match="no active key would be left"):
        ring.retire(key)
    assert ring.current(NOW) is key


def test_adding_an_active_key_again_leaves_it_active(pki: ServedPki) -> None:
    key = pki.signer("labour-sign")
    ring = KeyRing([key])
    ring.add(pki.signer("labour-sign"))
    assert [held.is_active for held in ring.keys] == [True]


def test_a_ring_on_a_ring_holds_the_key_of_the_moment(pki: ServedPki) -> None:
    inner = KeyRing([pki.signer("labour-sign")])
    outer = KeyRing([inner])
    inner.activate(pki.signer("labour-p384"))
    assert leaf(outer) == leaf(pki.signer("labour-sign"))


class RestlessRing(KeyRing):
    """Switches to the other key whenever it has been asked for anything."""

    def snapshot(self) -> SigningKey:
        key = super().snapshot()
        self.activate(next(held.key for held in self.keys if held.key is not key))
        return key


def test_every_signature_made_while_keys_switch_fits_its_certificate(pki: ServedPki) -> None:
    keys = [pki.signer("labour-sign"), pki.signer("labour-p384")]
    ring = RestlessRing(keys)
    signers = [verify_cades(sign_manifest(b"a manifest", ring, NOW), b"a manifest") for _ in range(4)]
    assert {signer.chain[0] for signer in signers} == {leaf(key) for key in keys}


def test_keys_may_be_activated_while_other_threads_sign(pki: ServedPki) -> None:
    keys = [pki.signer("labour-sign"), pki.signer("labour-p384")]
    ring = KeyRing(keys)
    stopped = threading.Event()

    def switch() -> None:
        while not stopped.is_set():
            for key in keys:
                ring.activate(key)

    switching = threading.Thread(target=switch)
    switching.start()
    try:
        for _ in range(200):
            verify_cades(sign_manifest(b"a manifest", ring, NOW), b"a manifest")
    finally:
        stopped.set()
        switching.join()
