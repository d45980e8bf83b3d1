# SPDX-License-Identifier: Apache-2.0
"""An evidence record: what it is, and its one form in DER.

    EvidenceRecord        chains, oldest first
    └ ArchiveTimeStampChain    archive time stamps over one another, all of one digest
      └ ArchiveTimeStamp       a reduced hash tree, and the time stamp over its root
        └ PartialHashtree      the hashes of one node's children

Reading takes a record apart and writes it again: what differs from its own rewriting in one byte is refused.

Source: RFC 4998 sections 3.1, 4.1 and 5.1, and the module of appendix A (implicit tags).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier  # noqa: TC002 - read at run time by the decoder

from hub.envelope import der_of, tlv
from hub.errors import EnvelopeError
from hub.preservation.digests import read_digest, write_digest

MOST_RECORD_BYTES = 4 * 1024 * 1024
MOST_TIME_STAMPS = 1000

PartialHashtree = tuple[bytes, ...]
"""Hashes of the children of one node."""

_SEQUENCE = 0x30
_VERSION_1 = asn1.encode_der(1)
_VERSION = 1
# Tags of the fields that may be left out.
_DIGEST, _ATTRIBUTES, _TREE, _CRYPTO_INFOS, _ENCRYPTION = 0xA0, 0xA1, 0xA2, 0xA0, 0xA1


@asn1.sequence
class _Attribute:
    type: ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _ArchiveTimeStamp:
    digest_algorithm: Annotated[list[asn1.TLV] | None, asn1.Implicit(0)]
    attributes: Annotated[asn1.SetOf[_Attribute] | None, asn1.Implicit(1)]
    reduced_hashtree: Annotated[list[list[bytes]] | None, asn1.Implicit(2)]
    time_stamp: asn1.TLV


@asn1.sequence
class _EvidenceRecord:
    version: int
    digest_algorithms: list[asn1.TLV]
    crypto_infos: Annotated[list[_Attribute] | None, asn1.Implicit(0)]
    encryption_info: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]
    archive_time_stamp_sequence: list[list[_ArchiveTimeStamp]]


@dataclass(frozen=True)
class ArchiveTimeStamp:
    """A time stamp over many things at once, reduced to what one of them needs.

    Attributes:
        reduced_hashtree: from the leaves up; empty where the time stamp covers one hash directly.
        time_stamp: RFC 3161 token, ContentInfo in DER.
        digest_identifier: AlgorithmIdentifier of the tree's digest in DER; None where the token tells.
        attributes: of the standard's field, each in DER; nothing here uses them.

    Source: RFC 4998 section 4.1.
    """

    reduced_hashtree: tuple[PartialHashtree, ...]
    time_stamp: bytes
    digest_identifier: bytes | None = None
    attributes: tuple[bytes, ...] = ()

    @property
    def stated_digest(self) -> str | None:
        """The digest it states, by its `hashlib` name; None where only the token tells."""
        return None if self.digest_identifier is None else read_digest(self.digest_identifier)

    def encode(self) -> bytes:
        """Write it in DER."""
        trees = [tlv(_SEQUENCE, *(tlv(0x04, each) for each in hashes)) for hashes in self.reduced_hashtree]
        identifier = self.digest_identifier
        return tlv(
            _SEQUENCE,
            b"" if identifier is None else bytes((_DIGEST,)) + identifier[1:],
            tlv(_ATTRIBUTES, *sorted(self.attributes)) if self.attributes else b"",
            tlv(_TREE, *trees) if trees else b"",
            self.time_stamp,
        )


ArchiveTimeStampChain = tuple[ArchiveTimeStamp, ...]
"""Archive time stamps, each over the one before, oldest first; not empty."""


@dataclass(frozen=True)
class EvidenceRecord:
    """What proves that a data object, or a group of them, existed at a time.

    Attributes:
        chains: the ArchiveTimeStampSequence, oldest first; not empty.
        digest_identifiers: AlgorithmIdentifiers of all digests in it, in DER.
        crypto_infos: attributes that help to verify it, each in DER; no time stamp protects them.
        encryption_info: for a group that was encrypted when it was stamped; nothing here can use it.

    Source: RFC 4998 section 3.1.
    """

    chains: tuple[ArchiveTimeStampChain, ...]
    digest_identifiers: tuple[bytes, ...]
    crypto_infos: tuple[bytes, ...] = ()
    encryption_info: tuple[bytes, ...] | None = None

    @classmethod
    def of(
        cls, chains: tuple[ArchiveTimeStampChain, ...], crypto_infos: tuple[bytes, ...] = ()
    ) -> EvidenceRecord:
        """Put chains together whose archive time stamps all state their digest."""
        stated = (each.digest_identifier for chain in chains for each in chain)
        return cls(chains, tuple(dict.fromkeys(each for each in stated if each is not None)), crypto_infos)

    def encode(self) -> bytes:
        """Write it in DER."""
        encryption = self.encryption_info
        return tlv(
            _SEQUENCE,
            _VERSION_1,
            tlv(_SEQUENCE, *self.digest_identifiers),
            tlv(_CRYPTO_INFOS, *self.crypto_infos) if self.crypto_infos else b"",
            b"" if encryption is None else tlv(_ENCRYPTION, *encryption),
            encode_sequence(self.chains),
        )

    @classmethod
    def decode(cls, der: bytes) -> EvidenceRecord:
        """Read a record.

        Raises:
            EnvelopeError: `envelope.evidence_record_malformed`: it is none, not in DER, or larger than
                allowed; `envelope.algorithm_not_allowed`: it names a digest the table has not.
        """
        if len(der) > MOST_RECORD_BYTES:
            raise _malformed(f"{len(der)} bytes")
        try:
            record = _from_syntax(asn1.decode_der(_EvidenceRecord, der))
            written = record.encode()
        except (ValueError, TypeError, OverflowError, RecursionError) as exc:
            raise _malformed(f"{type(exc).__name__}: {exc}"[:200]) from exc
        if written != der:
            raise _malformed("it can be written otherwise")
        return record


def encode_sequence(chains: tuple[ArchiveTimeStampChain, ...]) -> bytes:
    """Write an ArchiveTimeStampSequence in DER; what a hash-tree renewal covers.

    Source: RFC 4998 section 5.2, hash-tree renewal, step 3.
    """
    return tlv(_SEQUENCE, *(tlv(_SEQUENCE, *(each.encode() for each in chain)) for chain in chains))


def archive_time_stamp(
    digest: str, reduced_hashtree: tuple[PartialHashtree, ...], time_stamp: bytes
) -> ArchiveTimeStamp:
    """Make an archive time stamp that states its digest, as all that are made here do."""
    return ArchiveTimeStamp(reduced_hashtree, time_stamp, write_digest(digest))


def _from_syntax(read: _EvidenceRecord) -> EvidenceRecord:
    chains = tuple(tuple(_one(each) for each in chain) for chain in read.archive_time_stamp_sequence)
    if read.version != _VERSION or not chains or not all(chains) or not read.digest_algorithms:
        raise _malformed("version, digests or archive time stamps")
    if sum(map(len, chains)) > MOST_TIME_STAMPS:
        raise _malformed(f"more than {MOST_TIME_STAMPS} archive time stamps")
    encryption = read.encryption_info
    record = EvidenceRecord(
        chains,
        tuple(der_of(each) for each in read.digest_algorithms),
        tuple(map(asn1.encode_der, read.crypto_infos or ())),
        None if encryption is None else tuple(der_of(each) for each in encryption),
    )
    for identifier in record.digest_identifiers:
        read_digest(identifier)
    return record


def _one(read: _ArchiveTimeStamp) -> ArchiveTimeStamp:
    identifier = None
    if read.digest_algorithm is not None:
        identifier = tlv(_SEQUENCE, *(der_of(each) for each in read.digest_algorithm))
        read_digest(identifier)
    tree = read.reduced_hashtree
    if tree is not None and not (tree and all(tree)):
        raise _malformed("an empty list of hashes")
    return ArchiveTimeStamp(
        tuple(tuple(bytes(each) for each in hashes) for hashes in tree or ()),
        der_of(read.time_stamp),
        identifier,
        () if read.attributes is None else tuple(map(asn1.encode_der, read.attributes.as_list())),
    )


def _malformed(detail: str) -> EnvelopeError:
    return EnvelopeError("envelope.evidence_record_malformed", detail)
