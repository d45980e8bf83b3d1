# SPDX-License-Identifier: Apache-2.0
"""Evidence records: what proves, years later and to anybody, that a container existed at a time.

Pure: bytes and instants in, bytes out; only `hub.trust` says whose time stamps are believed.

    records        the record and its DER               RFC 4998 sections 3, 4.1, 5.1
    hashtree       many groups under one root           4.2, 4.3
    verification   step by step                         4.3, 5.3
    renewal        before anything weakens              5.2
    cryptoinfos    revocation answers in a record       3.1
    containers     a container and its record           ETSI EN 319 162-1
"""

from hub.preservation.containers import (
    RECORD_MANIFEST_NAME,
    RECORD_NAME,
    group_of,
    group_of_stream,
    with_record,
    without_record,
)
from hub.preservation.cryptoinfos import Answers, read_answers, write_crypto_infos
from hub.preservation.digests import DEFAULT_DIGEST, NO_ENDS, DigestEnds, digest_of
from hub.preservation.hashtree import HashTree, reduced, root_of
from hub.preservation.records import (
    MOST_RECORD_BYTES,
    ArchiveTimeStamp,
    ArchiveTimeStampChain,
    EvidenceRecord,
    PartialHashtree,
    archive_time_stamp,
    encode_sequence,
)
from hub.preservation.renewal import covered_again, covered_by_renewal, with_chain, with_time_stamp
from hub.preservation.verification import (
    RecordStep,
    RecordVerification,
    TimeStampJudge,
    VerifiedRecord,
    verify_record,
)

__all__ = [
    "DEFAULT_DIGEST",
    "MOST_RECORD_BYTES",
    "NO_ENDS",
    "RECORD_MANIFEST_NAME",
    "RECORD_NAME",
    "Answers",
    "ArchiveTimeStamp",
    "ArchiveTimeStampChain",
    "DigestEnds",
    "EvidenceRecord",
    "HashTree",
    "PartialHashtree",
    "RecordStep",
    "RecordVerification",
    "TimeStampJudge",
    "VerifiedRecord",
    "archive_time_stamp",
    "covered_again",
    "covered_by_renewal",
    "digest_of",
    "encode_sequence",
    "group_of",
    "group_of_stream",
    "read_answers",
    "reduced",
    "root_of",
    "verify_record",
    "with_chain",
    "with_record",
    "with_time_stamp",
    "without_record",
    "write_crypto_infos",
]
