# SPDX-License-Identifier: Apache-2.0
"""The one envelope format: an ASiC-E container with a CAdES signature. Pure: no clock, no IO."""

from hub.envelope.authenveloped import CertificateName
from hub.envelope.cades import verify_cades, verify_canonical_cades
from hub.envelope.cms import der_of, tlv
from hub.envelope.container import (
    assemble_envelope,
    check_manifest,
    check_members,
    check_payloads,
    open_envelope,
    seal_envelope,
    verify_signature,
)
from hub.envelope.header import decode_header, encode_header
from hub.envelope.model import (
    CONTAINER_MEDIA_TYPE,
    TOPIC_PATTERN,
    Envelope,
    Header,
    InReplyTo,
    Kind,
    Limits,
    Payload,
    PayloadEntry,
    Purpose,
    Signature,
)
from hub.envelope.nationalsigneddata import sign_national, verify_national
from hub.envelope.notices import (
    Fault,
    LogReference,
    MessageReference,
    Receipt,
    ReceiptStatus,
    describe_fault,
    read_fault,
    read_receipt,
    refer_to,
    write_fault,
    write_receipt,
)
from hub.envelope.replies import (
    Party,
    fault_about_unreadable,
    reply_to,
    require_binding,
    require_department_receipt,
)
from hub.envelope.schemes import EncryptionScheme, require_scheme, scheme_of
from hub.envelope.secrecy import (
    decrypt_payloads,
    encrypt_payloads,
    find_encrypted,
    is_encrypted,
    require_encrypted,
)
from hub.envelope.zipform import Member, read_zip, write_zip

__all__ = [
    "CONTAINER_MEDIA_TYPE",
    "TOPIC_PATTERN",
    "CertificateName",
    "EncryptionScheme",
    "Envelope",
    "Fault",
    "Header",
    "InReplyTo",
    "Kind",
    "Limits",
    "LogReference",
    "Member",
    "MessageReference",
    "Party",
    "Payload",
    "PayloadEntry",
    "Purpose",
    "Receipt",
    "ReceiptStatus",
    "Signature",
    "assemble_envelope",
    "check_manifest",
    "check_members",
    "check_payloads",
    "decode_header",
    "decrypt_payloads",
    "der_of",
    "describe_fault",
    "encode_header",
    "encrypt_payloads",
    "fault_about_unreadable",
    "find_encrypted",
    "is_encrypted",
    "open_envelope",
    "read_fault",
    "read_receipt",
    "read_zip",
    "refer_to",
    "reply_to",
    "require_binding",
    "require_department_receipt",
    "require_encrypted",
    "require_scheme",
    "scheme_of",
    "seal_envelope",
    "sign_national",
    "tlv",
    "verify_cades",
    "verify_canonical_cades",
    "verify_national",
    "verify_signature",
    "write_fault",
    "write_receipt",
    "write_zip",
]
