# SPDX-License-Identifier: Apache-2.0
"""The key the hub cosigns with: Ed25519 or ML-DSA-44, kept as encrypted PKCS#8, and no log's key.

`heliograph keys generate witness.key.pem --algorithm ml-dsa-44` makes one.

Source: C2SP tlog-cosignature; RFC 8410 and RFC 9881 (the keys in PKCS#8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from hub.custody import read_key_file
from hub.errors import SettingsError, TrustError
from hub.tlog import Cosigner

if TYPE_CHECKING:
    from pathlib import Path

    from hub.tlog import VerifierKey


def load_witness_key(path: Path, passphrase: bytes, *, name: str, log: VerifierKey) -> Cosigner:
    """Read the witness's key.

    Args:
        path: the key's file.
        passphrase: of that file.
        name: what the witness calls itself in its cosignatures, a URL without scheme.
        log: the key of the hub's own log, which must be another one.

    Raises:
        TrustError: `trust.key_unusable`: missing, not encrypted or weakly, another passphrase or another kind
            of key; `trust.key_exposed`: others may read or change it.
        SettingsError: `settings.invalid`: it is the log's key, or nothing can be named so.
    """
    key = read_key_file(path, passphrase)
    if not isinstance(key, (Ed25519PrivateKey, MLDSA44PrivateKey)):
        raise TrustError(
            "trust.key_unusable", f"the witness key {path.name} is neither Ed25519 nor ML-DSA-44"
        )
    if key.public_key() == log.public_key:
        # A log that cosigns itself would count as its own witness.
        raise SettingsError("settings.invalid", "witness_key: the witness must not sign with the log's key")
    try:
        return Cosigner(name, key)
    except ValueError as exc:
        raise SettingsError("settings.invalid", f"witness_name: {exc}") from exc
