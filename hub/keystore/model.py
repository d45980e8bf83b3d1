# SPDX-License-Identifier: Apache-2.0
"""What is known of a key without opening it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust import full_name

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from hub.custody import KeyPlace

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def require_name(name: str) -> str:
    """Return a key's name if it has its form; it becomes part of file names.

    Raises:
        TrustError: `trust.request_invalid`.
    """
    if not _NAME.fullmatch(name):
        raise TrustError("trust.request_invalid", "name: a-z, 0-9 and '-', at most 63 characters")
    return name


@dataclass(frozen=True)
class StoredKey:
    """One of the hub's keys; nothing here is secret.

    Attributes:
        name: unique.
        place: where the private key is.
        request: what was asked of an authority; None when the key was put there by hand.
        chain: the certificates in use, the key's first; empty before there are any.
        has_previous: whether the certificates before these are kept.
    """

    name: str
    place: KeyPlace
    request: x509.CertificateSigningRequest | None
    chain: tuple[x509.Certificate, ...]
    has_previous: bool


def describe_key(key: StoredKey, now: datetime) -> dict[str, Any]:
    """Write what is known of a key as JSON; instants in UTC, the place without its folder."""
    leaf = key.chain[0] if key.chain else None
    subject = leaf.subject if leaf else key.request.subject if key.request else None
    return {
        "name": key.name,
        "place": getattr(key.place, "name", None) or str(key.place),
        "subject": full_name(subject) if subject else None,
        "has_request": key.request is not None,
        "has_previous": key.has_previous,
        "certificate": describe_certificate(leaf, now) if leaf else None,
    }


def describe_certificate(leaf: x509.Certificate, now: datetime) -> dict[str, Any]:
    """Write what matters of a certificate as JSON."""
    return {
        "subject": full_name(leaf.subject),
        "issuer": full_name(leaf.issuer),
        "serial": f"{leaf.serial_number:x}",
        "fingerprint": leaf.fingerprint(hashes.SHA256()).hex(),
        "valid_from": format_instant(leaf.not_valid_before_utc),
        "valid_until": format_instant(leaf.not_valid_after_utc),
        "days_left": (leaf.not_valid_after_utc - now).days,
    }
