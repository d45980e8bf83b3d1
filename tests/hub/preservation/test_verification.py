# SPDX-License-Identifier: Apache-2.0
"""Evidence records are believed for what they cover, as long as they were renewed, and for nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from hub.errors import HubError
from hub.preservation import (
    Answers,
    DigestEnds,
    EvidenceRecord,
    HashTree,
    TimeStampJudge,
    VerifiedRecord,
    archive_time_stamp,
    covered_again,
    covered_by_renewal,
    verify_record,
    with_chain,
    with_time_stamp,
    write_crypto_infos,
)
from tests.hub.preservation.authorities import Authorities, TimeStampKey

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST = datetime(2021, 6, 1, tzinfo=UTC)
SECOND = FIRST + timedelta(days=700)
THIRD = SECOND + timedelta(days=700)
MALFORMED, INVALID, LAPSED = (
    f"envelope.evidence_record_{each}" for each in ("malformed", "invalid", "lapsed")
)
GROUPS = (
    [b"message", b"payload", b"manifest"],
    [b"alone"],
    [b"a", b"b"],
    [b"checkpoint"],
    [b"x", b"y", b"z"],
)


def hashes_of(data: Sequence[bytes], digest: str = "sha256") -> list[bytes]:
    return [hashlib.new(digest, each).digest() for each in data]


@dataclass(frozen=True)
class World:
    """Authorities of three generations; each ends some time after the next one begins."""

    authorities: Authorities
    first: TimeStampKey
    second: TimeStampKey
    third: TimeStampKey

    @property
    def crls(self) -> Answers:
        return self.authorities.answers(FIRST, SECOND, THIRD)

    def record(self, index: int) -> EvidenceRecord:
        """Stamp all groups at once and return the record of one."""
        tree = HashTree("sha256", [hashes_of(group) for group in GROUPS])
        token = self.authorities.stamp(self.first, tree.root, FIRST)
        stamp = archive_time_stamp("sha256", tree.reduce(index), token)
        return EvidenceRecord.of(((stamp,),), write_crypto_infos(self.crls))

    def renew(
        self, record: EvidenceRecord, key: TimeStampKey, at: datetime, *others: bytes, digest: str = "sha256"
    ) -> EvidenceRecord:
        """Renew the time stamp together with others."""
        covered = covered_by_renewal(digest, record.chains[-1][-1].time_stamp)
        tree = HashTree(digest, [[each] for each in (*others, covered)])
        token = self.authorities.stamp(key, tree.root, at, digest)
        return with_time_stamp(record, digest, tree.reduce(len(others)), token)

    def rehash(
        self, record: EvidenceRecord, index: int, key: TimeStampKey, at: datetime, digest: str = "sha512"
    ) -> EvidenceRecord:
        """Renew the hash tree together with another group."""
        again = covered_again(digest, hashes_of(GROUPS[index], digest), record.chains)
        tree = HashTree(digest, [again, [hashlib.new(digest, b"another").digest()]])
        token = self.authorities.stamp(key, tree.root, at, digest)
        return with_chain(record, digest, tree.reduce(0), token)

    def verify(
        self,
        record: EvidenceRecord | bytes,
        data: Sequence[bytes],
        at: datetime = FIRST + timedelta(days=1),
        judge: TimeStampJudge | None = None,
    ) -> VerifiedRecord:
        der = record if isinstance(record, bytes) else record.encode()
        judge = judge or self.authorities.judge()
        return verify_record(der, lambda digest: hashes_of(data, digest), judge, at=at)

    def refused(
        self,
        record: EvidenceRecord | bytes,
        data: Sequence[bytes],
        at: datetime = FIRST + timedelta(days=1),
        judge: TimeStampJudge | None = None,
    ) -> tuple[str, str]:
        with pytest.raises(HubError) as caught:
            self.verify(record, data, at, judge)
        return caught.value.code, caught.value.detail


@pytest.fixture(scope="module")
def world() -> World:
    authorities = Authorities()
    begin, life = FIRST - timedelta(days=30), timedelta(days=760)
    keys = [
        authorities.authority(
            f"tsa-{n}", begin + n * timedelta(days=690), begin + n * timedelta(days=690) + life
        )
        for n in range(3)
    ]
    return World(authorities, *keys)


@pytest.mark.parametrize("index", range(len(GROUPS)))
def test_every_group_of_a_batch_has_a_record_of_its_own_that_holds(world: World, index: int) -> None:
    verified = world.verify(world.record(index), GROUPS[index])

    assert verified.existed_at == verified.renewed_at == FIRST
    assert verified.lasts_until == world.first.certificate_chain[0].not_valid_after_utc
    assert verified.digest == "sha256"


def test_a_record_says_nothing_of_another_group_nor_of_a_part_or_more_of_its_own(world: World) -> None:
    record = world.record(0)

    assert world.refused(record, GROUPS[2])[0] == INVALID
    assert world.refused(record, [*GROUPS[0], b"one more"])[0] == INVALID
    assert world.refused(record, [])[0] == INVALID
    code, detail = world.refused(record, GROUPS[0][:2])
    assert (code, "1 data objects of the group are not here" in detail) == (INVALID, True)


def test_a_part_of_a_group_existed_too_where_the_whole_is_not_asked_for(world: World) -> None:
    verified = verify_record(
        world.record(0).encode(),
        lambda digest: hashes_of(GROUPS[0][:2], digest),
        world.authorities.judge(),
        at=FIRST,
        is_whole_group=False,
    )

    assert (
        "Evidence record covers the data objects",
        "2 data objects, and 1 hashes of others",
    ) in verified.facts


@pytest.mark.parametrize("index", [0, 1])
def test_a_record_outlives_its_authorities_through_both_renewals(world: World, index: int) -> None:
    record = world.renew(world.record(index), world.second, SECOND, b"\1" * 32, b"\2" * 32)
    record = world.rehash(record, index, world.third, THIRD)

    verified = world.verify(record, GROUPS[index], THIRD + timedelta(days=30))

    assert [stamp.at for stamp in verified.time_stamps] == [FIRST, SECOND, THIRD]
    assert (verified.existed_at, verified.renewed_at, verified.digest) == (FIRST, THIRD, "sha512")
    assert EvidenceRecord.decode(record.encode()) == record


def test_a_record_that_nobody_renewed_ends_with_the_certificate_of_its_authority(world: World) -> None:
    end = world.first.certificate_chain[0].not_valid_after_utc
    record = world.record(0)

    assert world.verify(record, GROUPS[0], end).renewed_at == FIRST
    assert world.refused(record, GROUPS[0], end + timedelta(seconds=1))[0] == LAPSED


@pytest.mark.parametrize("how", ["time stamp", "hash tree"])
def test_a_renewal_that_came_too_late_revives_nothing(world: World, how: str) -> None:
    late = world.first.certificate_chain[0].not_valid_after_utc + timedelta(days=1)
    record = world.record(0)
    if how == "time stamp":
        record = world.renew(record, world.second, late)
    else:
        record = world.rehash(record, 0, world.second, late)
    record = replace(record, crypto_infos=write_crypto_infos(world.authorities.answers(FIRST, late)))

    code, detail = world.refused(record, GROUPS[0], late + timedelta(days=1))

    assert (code, "before it was renewed" in detail) == (LAPSED, True)


def test_a_digest_that_ended_before_the_hash_tree_was_renewed_is_not_relied_on(world: World) -> None:
    renewed = world.rehash(world.record(0), 0, world.second, SECOND)
    in_time = replace(world.authorities.judge(), ends=DigestEnds({"sha256": SECOND + timedelta(days=1)}))
    too_late = replace(in_time, ends=DigestEnds({"sha256": SECOND - timedelta(days=1)}))

    assert world.verify(renewed, GROUPS[0], SECOND + timedelta(days=9), in_time).digest == "sha512"
    code = world.refused(renewed, GROUPS[0], SECOND + timedelta(days=9), too_late)[0]
    assert code == "envelope.algorithm_not_allowed"


def test_time_stamps_have_to_follow_one_another(world: World) -> None:
    record = world.renew(world.record(0), world.first, FIRST - timedelta(days=1))

    code, detail = world.refused(record, GROUPS[0])

    assert (code, "follows" in detail) == (INVALID, True)


def test_a_renewal_with_another_digest_is_no_renewal_of_the_time_stamp(world: World) -> None:
    record = world.renew(world.record(0), world.second, SECOND, digest="sha512")

    code, detail = world.refused(record, GROUPS[0], SECOND + timedelta(days=1))

    assert (code, detail) == (INVALID, "one chain uses sha256 and sha512")


def test_a_tree_may_not_state_another_digest_than_its_time_stamp(world: World) -> None:
    root = HashTree("sha512", [hashes_of([b"alone"], "sha512")]).root
    token = world.authorities.stamp(world.first, root[:32], FIRST)
    record = EvidenceRecord.of(((archive_time_stamp("sha512", ((root,),), token),),))

    code, detail = world.refused(record, [b"alone"])

    assert (code, detail) == (INVALID, "one chain uses sha256 and sha512")


def test_renewals_of_another_record_do_not_fit(world: World) -> None:
    record, other = world.record(0), world.record(1)
    renewed = world.renew(other, world.second, SECOND)
    rehashed = world.rehash(other, 1, world.second, SECOND)
    later = SECOND + timedelta(days=1)

    with_renewal = replace(record, chains=((*record.chains[0], renewed.chains[0][1]),))
    with_chain_of_other = replace(
        rehashed, chains=(record.chains[0], rehashed.chains[1]), crypto_infos=record.crypto_infos
    )

    assert world.refused(with_renewal, GROUPS[0], later)[0] == INVALID
    assert world.refused(with_chain_of_other, GROUPS[0], later)[0] == INVALID


def test_what_is_before_a_hash_tree_renewal_cannot_be_exchanged_for_another_that_holds(world: World) -> None:
    record = world.record(0)
    renewed = world.rehash(record, 0, world.second, SECOND)
    other = world.renew(record, world.first, FIRST + timedelta(days=5))

    forged = replace(renewed, chains=(other.chains[0], renewed.chains[1]))

    assert world.refused(forged, GROUPS[0], SECOND + timedelta(days=1))[0] == INVALID


@pytest.mark.parametrize("reason", [x509.ReasonFlags.key_compromise, x509.ReasonFlags.superseded])
def test_a_revocation_before_the_time_stamp_ends_it(world: World, reason: x509.ReasonFlags) -> None:
    record = replace(world.record(0), crypto_infos=())
    crl = world.authorities.crl(FIRST, (world.first, FIRST - timedelta(hours=2), reason))

    assert (
        world.refused(record, GROUPS[0], judge=world.authorities.judge(crl))[0] == "trust.certificate_revoked"
    )


@pytest.mark.parametrize(
    ("reason", "is_refused"),
    [
        (x509.ReasonFlags.key_compromise, True),
        (x509.ReasonFlags.unspecified, True),
        (x509.ReasonFlags.superseded, False),
        (x509.ReasonFlags.cessation_of_operation, False),
    ],
)
def test_a_key_that_fell_into_wrong_hands_before_the_renewal_takes_its_tokens_along(
    world: World, reason: x509.ReasonFlags, *, is_refused: bool
) -> None:
    record = world.renew(world.record(0), world.second, SECOND)
    later = world.authorities.crl(SECOND, (world.first, SECOND - timedelta(days=9), reason))
    judge = world.authorities.judge(later)
    record = replace(record, crypto_infos=write_crypto_infos(world.authorities.answers(FIRST)))

    if is_refused:
        assert (
            world.refused(record, GROUPS[0], SECOND + timedelta(hours=2), judge)[0]
            == "trust.certificate_revoked"
        )
    else:
        assert world.verify(record, GROUPS[0], SECOND + timedelta(hours=2), judge).existed_at == FIRST


def test_what_one_list_approved_is_not_believed_under_another(world: World) -> None:
    judge = world.authorities.judge()
    assert world.verify(world.record(0), GROUPS[0], judge=judge).existed_at == FIRST

    strange = replace(judge, trust_lists=Authorities().judge().trust_lists)
    assert world.refused(world.record(0), GROUPS[0], judge=strange)[0] == "trust.unknown_authority"


def test_without_an_answer_about_revocation_nothing_is_believed(world: World) -> None:
    record = replace(world.record(0), crypto_infos=())

    assert world.refused(record, GROUPS[0])[0] == "trust.revocation_unknown"
    assert (
        world.verify(record, GROUPS[0], judge=world.authorities.judge(*world.crls.crls)).existed_at == FIRST
    )


def test_an_authority_that_nobody_approved_proves_nothing(world: World) -> None:
    strangers = Authorities()
    assert world.refused(world.record(0), GROUPS[0], judge=strangers.judge())[0] == "trust.unknown_authority"


def test_a_record_from_the_future_proves_nothing_yet(world: World) -> None:
    assert world.refused(world.record(0), GROUPS[0], FIRST - timedelta(days=1))[0] == INVALID


def test_no_byte_of_a_record_can_be_changed_so_that_it_proves_anything_else(world: World) -> None:
    """What neither a hash, a signature nor the one form in DER covers changes nothing that is concluded."""
    record = world.rehash(world.renew(world.record(0), world.second, SECOND), 0, world.third, THIRD)
    record = replace(record, crypto_infos=())
    der, at, judge = record.encode(), THIRD + timedelta(days=1), world.authorities.judge(*world.crls.crls)
    verified = world.verify(der, GROUPS[0], at, judge)
    unnoticed = 0

    for position in range(0, len(der), 5):
        changed = bytearray(der)
        changed[position] ^= 0x01
        try:
            assert world.verify(bytes(changed), GROUPS[0], at, judge) == verified
            unnoticed += 1
        except HubError:
            continue

    # The versions of the last token's CMS and its signer, and whether its tree states the digest again.
    assert unnoticed <= 3
