# SPDX-License-Identifier: Apache-2.0
"""One door to every key, wherever it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.custody.files import open_file_holder
from hub.custody.held import certify, read_chain
from hub.custody.places import TokenPlace

if TYPE_CHECKING:
    from pathlib import Path

    from hub.custody.held import KeyHolder
    from hub.custody.places import KeyPlace
    from hub.custody.secrets import Secret
    from hub.trust import SigningKey


def open_key(place: KeyPlace, chain: Path, secret: Secret, *, module: Path | None = None) -> SigningKey:
    """Open a key and check that it fits its certificates.

    Args:
        place: a file, or a key in a token.
        chain: PEM certificates, the signer's first, then its issuers up to but without the root.
        secret: the file's passphrase, or the token's PIN.
        module: the PKCS#11 library where `place` names none.

    Raises:
        TrustError: `trust.key_unusable`, `trust.key_exposed`, `trust.token_unavailable`,
            `trust.token_pin_refused`, `trust.token_pin_locked`.
    """
    return certify(open_holder(place, secret, module=module), read_chain(chain))


def open_holder(place: KeyPlace, secret: Secret, *, module: Path | None = None) -> KeyHolder:
    """Open a key that need not have a certificate yet.

    Raises:
        TrustError: as `open_key`.
    """
    if isinstance(place, TokenPlace):
        # The PKCS#11 binding is loaded only where there is a token.
        from hub.custody.tokens import TokenHolder  # noqa: PLC0415

        return TokenHolder(place, secret, module)
    return open_file_holder(place, secret.reveal().encode("utf-8"))
