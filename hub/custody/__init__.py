# SPDX-License-Identifier: Apache-2.0
"""Whose private keys sign here, and where they are kept: encrypted files or PKCS#11 tokens."""

from hub.custody.files import load_signing_key
from hub.custody.keyring import KeyRing, RingedKey

__all__ = ["KeyRing", "RingedKey", "load_signing_key"]
