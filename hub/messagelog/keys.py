# SPDX-License-Identifier: Apache-2.0
"""The key the log signs its checkpoints with: Ed25519, kept as encrypted PKCS#8.

`heliograph keys generate log.key.pem --algorithm ed25519` makes one.

Source: RFC 8410 (Ed25519 in PKCS#8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.custody import read_key_file, write_key_file
from hub.errors import SettingsError, TrustError

if TYPE_CHECKING:
    from pathlib import Path


def generate_log_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Make a new log key and write it to `path`, readable by its owner only.

    Raises:
        SettingsError: `settings.secret_missing`: the passphrase is empty.
        TrustError: `trust.key_exists`: there is a file already; a log key is never overwritten.
    """
    if not passphrase:
        raise SettingsError("settings.secret_missing", "the log key needs a passphrase")
    key = Ed25519PrivateKey.generate()
    write_key_file(path, key, passphrase)
    return key


def load_log_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Read the log key.

    Raises:
        TrustError: `trust.key_unusable`: missing, not encrypted or weakly, another passphrase or another kind
            of key; `trust.key_exposed`: others may read or change it.
    """
    key = read_key_file(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError("trust.key_unusable", f"the log key {path.name} is not an Ed25519 key")
    return key
