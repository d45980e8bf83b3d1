# SPDX-License-Identifier: Apache-2.0
"""The hub's own keys: made, requested, certified and listed, by its administrators."""

from hub.keystore.folder import KeyFolder, stored_keys
from hub.keystore.model import StoredKey, describe_certificate, describe_key
from hub.keystore.routes import key_routes

__all__ = [
    "KeyFolder",
    "StoredKey",
    "describe_certificate",
    "describe_key",
    "key_routes",
    "stored_keys",
]
