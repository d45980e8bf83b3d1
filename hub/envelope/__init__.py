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

__all__ = [
    "CONTAINER_MEDIA_TYPE",
    "Envelope",
    "Header",
    "InReplyTo",
    "Kind",
    "Limits",
    "Payload",
    "PayloadEntry",
    "Purpose",
    "Signature",
    "decode_header",
    "encode_header",
    "open_envelope",
    "seal_envelope",
    "verify_cades",
    "verify_signature",
]
