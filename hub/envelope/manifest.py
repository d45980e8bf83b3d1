# SPDX-License-Identifier: Apache-2.0
"""The ASiC manifest: which files the signature covers, each with its SHA-256.

On the wire a manifest is never parsed: the expected one is written from the members and compared.

Source: ETSI EN 319 162-1 annex A.4; XML Signature 1.1 (DigestMethod, DigestValue).
"""

from __future__ import annotations

from binascii import b2a_base64
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from hub.envelope.model import SIGNATURE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#"'
    ' xmlns:ds="http://www.w3.org/2000/09/xmldsig#">\n'
    f'<asic:SigReference URI="{SIGNATURE_NAME}" MimeType="application/pkcs7-signature"/>\n'
)
_AFTER_DIGEST = "</ds:DigestValue></asic:DataObjectReference>\n"
_TAIL = "</asic:ASiCManifest>\n"


def write_manifest(files: Iterable[tuple[str, str, bytes]]) -> bytes:
    """Write the manifest of `(member name, media type, SHA-256)` in their order."""
    parts = [_HEAD]
    for name, media_type, digest in files:
        encoded = b2a_base64(digest, newline=False).decode("ascii")
        parts += (_before_digest(name, media_type), encoded, _AFTER_DIGEST)
    parts.append(_TAIL)
    return "".join(parts).encode("ascii")


# A process meets the same few payload names and media types in every message.
@lru_cache(maxsize=256)
def _before_digest(name: str, media_type: str) -> str:
    return (
        f'<asic:DataObjectReference URI="{name}" MimeType="{escape(media_type)}">'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        "<ds:DigestValue>"
    )
