# SPDX-License-Identifier: Apache-2.0
"""Whose private keys sign here, and where they are kept: encrypted files or PKCS#11 tokens."""

from importlib import import_module
from typing import TYPE_CHECKING

from hub.custody.answers import CheckedAnswer, Expectation, check_answer, read_certificates
from hub.custody.chains import previous_of, undo_chain, write_chain
from hub.custody.decryption import DecryptionKey, KeyOpener, open_decryption_key
from hub.custody.files import load_signing_key, read_key_file, write_key_file
from hub.custody.generation import KeyAlgorithm, generate_key
from hub.custody.held import KeyHolder, public_bytes, read_chain
from hub.custody.keyring import KeyRing, RingedKey
from hub.custody.opening import open_holder, open_key
from hub.custody.places import KeyPlace, TokenPlace, read_key_place
from hub.custody.privatefiles import exposure_of, read_private_file, write_private_file
from hub.custody.process import guard_memory
from hub.custody.requests import (
    REQUESTED_USES,
    Subject,
    read_request,
    request_certificate,
    require_use,
    use_of,
)
from hub.custody.rollover import RollOver, RollOverState
from hub.custody.secrets import Secret, is_reference, read_secret
from hub.custody.wrapping import WrappingKey, generate_wrapping_key, open_wrapping_key

if TYPE_CHECKING:
    from hub.custody.connections import Connections, TlsKey

_LOADED_ON_USE = {"Connections": "hub.custody.connections", "TlsKey": "hub.custody.connections"}

__all__ = [
    "REQUESTED_USES",
    "CheckedAnswer",
    "Connections",
    "DecryptionKey",
    "Expectation",
    "KeyAlgorithm",
    "KeyHolder",
    "KeyOpener",
    "KeyPlace",
    "KeyRing",
    "RingedKey",
    "RollOver",
    "RollOverState",
    "Secret",
    "Subject",
    "TlsKey",
    "TokenPlace",
    "WrappingKey",
    "check_answer",
    "exposure_of",
    "generate_key",
    "generate_wrapping_key",
    "guard_memory",
    "is_reference",
    "load_signing_key",
    "open_decryption_key",
    "open_holder",
    "open_key",
    "open_wrapping_key",
    "previous_of",
    "public_bytes",
    "read_certificates",
    "read_chain",
    "read_key_file",
    "read_key_place",
    "read_private_file",
    "read_request",
    "read_secret",
    "request_certificate",
    "require_use",
    "undo_chain",
    "use_of",
    "write_chain",
    "write_key_file",
    "write_private_file",
]


def __getattr__(name: str) -> object:
    if name not in _LOADED_ON_USE:
        raise AttributeError(name)
    return getattr(import_module(_LOADED_ON_USE[name]), name)
