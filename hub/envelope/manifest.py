# SPDX-License-Identifier: Apache-2.0
"""The ASiC manifest: which files the signature covers, each with its SHA-256.

On the wire a manifest is never parsed: the expected one is written from the members and compared.

Source: ETSI EN 319 162-1 annex A.4; XML Signature 1.1 (DigestMethod, DigestValue).
"""

from __future__ import annotations

import base64
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
_REFERENCE = (
    '<asic:DataObjectReference URI="{uri}" MimeType="{media_type}">'
    '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    "<ds:DigestValue>{digest}</ds:DigestValue>"
    "</asic:DataObjectReference>\n"
)
_TAIL = "</asic:ASiCManifest>\n"


def write_manifest(files: Iterable[tuple[str, str, bytes]]) -> bytes:
    """Write the manifest of `(member name, media type, SHA-256)` in their order."""
    references = (
        _REFERENCE.format(
            uri=name,
            media_type=escape(media_type),
            digest=base64.b64encode(digest).decode("ascii"),
        )
        for name, media_type, digest in files
    )
    return "".join((_HEAD, *references, _TAIL)).encode("ascii")
