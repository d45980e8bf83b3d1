# SPDX-License-Identifier: Apache-2.0
"""Who may ask over SOAP: a name with its password, or the certificate of the connection.

Source: OASIS WSS UsernameToken Profile 1.1.1 section 3.1; section 4 on nonces and times against replay.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lxml import etree

    from hub.clock import Clock
    from hub.custody import Secret

_WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
_WSU = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"
_FRESH = timedelta(minutes=5)
_MOST_NONCES = 100_000


@dataclass(frozen=True)
class Callers:
    """Whom a service believes.

    Attributes:
        passwords: by name.
        certificates: SHA-256 of the certificates that may ask, hexadecimal.
    """

    passwords: Mapping[str, Secret]
    certificates: frozenset[str]


class NonceMemory:
    """Remembers nonces for as long as the time beside them is fresh.

    Args:
        clock: says what is fresh.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def take(self, name: str, nonce: str, created: datetime) -> bool:
        """Tell whether a nonce is new and its time is fresh, and remember it."""
        now = self._clock.now()
        if abs(now - created) > _FRESH:
            return False
        with self._lock:
            if (name, nonce) in self._seen:
                return False
            if len(self._seen) >= _MOST_NONCES:
                self._seen = {key: at for key, at in self._seen.items() if now - at <= 2 * _FRESH}
            if len(self._seen) >= _MOST_NONCES:
                return False
            self._seen[name, nonce] = now
        return True


def require_caller(
    header: etree._Element | None, chain: Sequence[str], callers: Callers, memory: NonceMemory
) -> None:
    """Hold a request to one of the callers.

    Args:
        header: the SOAP header.
        chain: PEM of the certificates the connection's client has shown.
        callers: who may ask.
        memory: of nonces.

    Raises:
        AdapterError: `adapter.caller_refused`; which of name, password and time is wrong is not said.
    """
    if chain and _fingerprint(chain[0]) in callers.certificates:
        return
    token = None if header is None else header.find(f"{_WSSE}Security/{_WSSE}UsernameToken")
    name = "" if token is None else (token.findtext(f"{_WSSE}Username") or "")
    known = callers.passwords.get(name)
    # A name that is not known costs the same comparison as one that is.
    password = known.reveal() if known is not None else ""
    if token is None or not (_holds(token, name, password, memory) and known is not None):
        raise AdapterError("adapter.caller_refused", "neither a name with its password nor a certificate")


def _holds(token: etree._Element, name: str, password: str, memory: NonceMemory) -> bool:
    given = token.find(f"{_WSSE}Password")
    if given is None:
        return False
    text = given.text or ""
    if not str(given.get("Type", "")).endswith("#PasswordDigest"):
        return hmac.compare_digest(text.encode(), password.encode())
    nonce_text, created_text = token.findtext(f"{_WSSE}Nonce") or "", token.findtext(f"{_WSU}Created") or ""
    try:
        nonce = base64.b64decode(nonce_text, validate=True)
        created = datetime.fromisoformat(created_text.strip())
    except (binascii.Error, ValueError):
        return False
    # The profile's algorithm is SHA-1; the connection protects what it cannot.
    digest = hashlib.sha1(nonce + created_text.encode() + password.encode())  # noqa: S324 - see above
    is_right = hmac.compare_digest(base64.b64encode(digest.digest()), text.strip().encode())
    return is_right and bool(nonce) and created.tzinfo is not None and memory.take(name, nonce_text, created)


def _fingerprint(pem: str) -> str:
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()
