# SPDX-License-Identifier: Apache-2.0
"""The one envelope format: an ASiC-E container with a CAdES signature. Pure: no clock, no IO."""

from hub.envelope.cades import verify_cades
from hub.envelope.container import open_envelope, seal_envelope, verify_signature
from hub.envelope.header import decode_header, encode_header
from hub.envelope.model import (
    CONTAINER_MEDIA_TYPE,
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
from hub.envelope.replies import Party, fault_about_unreadable, reply_to, require_binding

__all__ = [
    "CONTAINER_MEDIA_TYPE",
    "Envelope",
    "Fault",
    "Header",
    "InReplyTo",
    "Kind",
    "Limits",
    "LogReference",
    "MessageReference",
    "Party",
    "Payload",
    "PayloadEntry",
    "Purpose",
    "Receipt",
    "ReceiptStatus",
    "Signature",
    "decode_header",
    "describe_fault",
    "encode_header",
    "fault_about_unreadable",
    "open_envelope",
    "read_fault",
    "read_receipt",
    "refer_to",
    "reply_to",
    "require_binding",
    "seal_envelope",
    "verify_cades",
    "verify_signature",
    "write_fault",
    "write_receipt",
]
