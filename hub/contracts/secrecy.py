# SPDX-License-Identifier: Apache-2.0
"""What the payloads of an end-to-end contract look like to those who cannot read them.

Source: contracts/README.md; docs/protocols/envelope.md section 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.contracts.violations import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hub.contracts.model import Part

ENCRYPTED_SUFFIX = ".p7m"
"""Ends the name of an encrypted payload; before it stands the name its content has in the contract."""

ENCRYPTED_MEDIA_TYPE = "application/pkcs7-mime"
"""RFC 8551 section 3.2; registered for AuthEnvelopedData in DER."""

MOST_ADDED_BYTES = 4096
"""How much larger an encrypted payload may be than its content; in truth 300 to 900 bytes."""

MOST_SECRET_BYTES = 15 * 1024 * 1024
"""What a part of an end-to-end contract may hold at most: it is opened as a whole, in memory."""


def encrypted_name(file_name: str) -> str:
    """Return the name a part has while it is encrypted."""
    return file_name + ENCRYPTED_SUFFIX


def encrypted_violations(
    agreed: tuple[Part, ...], parts: Mapping[str, bytes], media_types: Mapping[str, str]
) -> Iterator[Violation]:
    """Yield where encrypted payloads are not those agreed on; their content is not looked at."""
    for part in agreed:
        name = encrypted_name(part.file_name)
        content = parts.get(name)
        if content is None:
            if part.is_required:
                yield Violation(name, "", "part-missing")
            continue
        if media_types.get(name) != ENCRYPTED_MEDIA_TYPE:
            yield Violation(name, "", "part-media-type", ENCRYPTED_MEDIA_TYPE)
        if len(content) > part.max_bytes + MOST_ADDED_BYTES:
            yield Violation(name, "", "part-size", str(part.max_bytes + MOST_ADDED_BYTES))
    unexpected = len(parts.keys() - {encrypted_name(part.file_name) for part in agreed})
    yield from [Violation("", "", "part-unexpected")] * min(unexpected, 1)
