# SPDX-License-Identifier: Apache-2.0
"""Renewing records before what they rest on weakens.

    time-stamp renewal   a new time stamp over the old ones, many at once; same digest, same chain
    hash-tree renewal    the data objects are read again; a new digest begins a new chain, over them and all
                         chains before

Who asks the authority, and keeps what comes of it, is the caller.

Source: RFC 4998 section 5.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.preservation.digests import digest_of, write_digest
from hub.preservation.records import ArchiveTimeStamp, EvidenceRecord, archive_time_stamp, encode_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.preservation.records import ArchiveTimeStampChain, PartialHashtree


def covered_by_renewal(digest: str, time_stamp: bytes) -> bytes:
    """Return what a time-stamp renewal covers of an archive time stamp: the digest of its token.

    Args:
        digest: of the chain, by its `hashlib` name.
        time_stamp: the token in DER.
    """
    return digest_of(digest, time_stamp)


def covered_again(
    digest: str, hashes: Sequence[bytes], chains: tuple[ArchiveTimeStampChain, ...]
) -> tuple[bytes, ...]:
    """Return what a hash-tree renewal covers of a group: one hash a data object.

    Args:
        digest: the new one, by its `hashlib` name.
        hashes: of the data objects, with the new digest.
        chains: all there are.

    Source: RFC 4998 section 5.2, hash-tree renewal, steps 3 and 4.
    """
    before = digest_of(digest, encode_sequence(chains))
    return tuple(digest_of(digest, each + before) for each in hashes)


def with_time_stamp(
    record: EvidenceRecord, digest: str, tree: tuple[PartialHashtree, ...], time_stamp: bytes
) -> EvidenceRecord:
    """Put a time-stamp renewal into the last chain.

    Args:
        record: to be renewed.
        digest: of the last chain.
        tree: reduced from the tree that was stamped to `covered_by_renewal`; empty where nothing else was.
        time_stamp: the new token in DER.
    """
    renewed = archive_time_stamp(digest, tree, time_stamp)
    return _with_chains(record, (*record.chains[:-1], (*record.chains[-1], renewed)), digest)


def with_chain(
    record: EvidenceRecord, digest: str, tree: tuple[PartialHashtree, ...], time_stamp: bytes
) -> EvidenceRecord:
    """Begin a new chain, as a hash-tree renewal does.

    Args:
        record: to be renewed.
        digest: the new one.
        tree: reduced from the tree that was stamped to `covered_again`.
        time_stamp: the new token in DER.
    """
    first: ArchiveTimeStamp = archive_time_stamp(digest, tree, time_stamp)
    return _with_chains(record, (*record.chains, (first,)), digest)


def _with_chains(
    record: EvidenceRecord, chains: tuple[ArchiveTimeStampChain, ...], digest: str
) -> EvidenceRecord:
    known = dict.fromkeys((*record.digest_identifiers, write_digest(digest)))
    return replace(record, chains=chains, digest_identifiers=tuple(known))
