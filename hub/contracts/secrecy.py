# SPDX-License-Identifier: Apache-2.0
"""What can be checked of a contract's payloads by those who cannot read them: names and sizes.

Source: contracts/README.md; docs/protocols/envelope.md section 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.contracts.violations import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hub.contracts.model import Part

RESERVED_SUFFIX, RESERVED_MEDIA_TYPE = ".p7m", "application/pkcs7-mime"
"""How an encrypted payload is known; no contract names a part so."""

MOST_SECRET_BYTES = 15 * 1024 * 1024
"""What a part of an end-to-end contract may hold at most: it is opened as a whole, in memory."""


def encrypted_violations(agreed: tuple[Part, ...], sizes: Mapping[str, int]) -> Iterator[Violation]:
    """Yield where encrypted payloads are not those agreed on.

    Args:
        agreed: the parts of the request or of the answer.
        sizes: bytes of every payload's content, by the name the contract has for it.
    """
    for part in agreed:
        size = sizes.get(part.file_name)
        if size is None and part.is_required:
            yield Violation(part.file_name, "", "part-missing")
        elif size is not None and size > part.max_bytes:
            yield Violation(part.file_name, "", "part-size", str(part.max_bytes))
    unexpected = len(sizes.keys() - {part.file_name for part in agreed})
    # The name of an unknown part is the sender's own text and is not repeated.
    yield from [Violation("", "", "part-unexpected")] * min(unexpected, 1)
