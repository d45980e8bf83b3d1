# SPDX-License-Identifier: Apache-2.0
"""Whose private keys sign here, and where they are kept: encrypted files or PKCS#11 tokens."""

from hub.custody.files import load_signing_key
from hub.custody.held import KeyHolder
from hub.custody.keyring import KeyRing, RingedKey
from hub.custody.opening import open_holder, open_key
from hub.custody.places import KeyPlace, TokenPlace, read_key_place
from hub.custody.rollover import RollOver, RollOverState
from hub.custody.secrets import Secret, is_reference, read_secret

__all__ = [
    "KeyHolder",
    "KeyPlace",
    "KeyRing",
    "RingedKey",
    "RollOver",
    "RollOverState",
    "Secret",
    "TokenPlace",
    "is_reference",
    "load_signing_key",
    "open_holder",
    "open_key",
    "read_key_place",
    "read_secret",
]
