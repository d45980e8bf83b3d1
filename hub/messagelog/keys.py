# SPDX-License-Identifier: Apache-2.0
"""The key the log signs its checkpoints with: Ed25519, kept as encrypted PKCS#8.

Source: RFC 8410 (Ed25519 in PKCS#8).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from hub.errors import SettingsError, TrustError

if TYPE_CHECKING:
    from pathlib import Path


def generate_log_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Make a new log key and write it to `path`, readable by its owner only.

    Raises:
        SettingsError: `settings.secret_missing`: the passphrase is empty.
        FileExistsError: there is a file already; a log key is never overwritten.
    """
    if not passphrase:
        raise SettingsError("settings.secret_missing", "the log key needs a passphrase")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return key


def load_log_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Read the log key.

    Raises:
        TrustError: `trust.key_unusable`: missing, not encrypted, another passphrase or another kind of key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise TrustError("trust.key_unusable", f"the log key {path.name} cannot be opened") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError("trust.key_unusable", f"the log key {path.name} is not an Ed25519 key")
    return key
