# SPDX-License-Identifier: Apache-2.0
"""The few functions of the system's libcrypto that SM2 needs, each with its exact C signature.

libcrypto is loaded when it is first asked for. Every object it allocates is freed by whoever asked for it:
keys by their owner, contexts before a function here returns. libcrypto is thread-safe as long as a context
stays in one thread, and here it does; ctypes lets go of Python's lock during a call.

Source: OpenSSL 3.0 manual pages EVP_DigestSign(3), EVP_PKEY_CTX_set1_id(3), d2i_PUBKEY(3), PEM_read_bio(3).
"""

from __future__ import annotations

import ctypes
import hashlib
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from hub.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator

_POINTER = ctypes.c_void_p
_BYTES = ctypes.c_char_p
_SIZE = ctypes.c_size_t
_INT = ctypes.c_int
_LONG = ctypes.c_long
_SIZE_POINTER = ctypes.POINTER(_SIZE)
_BYTES_POINTER = ctypes.POINTER(ctypes.c_void_p)
_PASSPHRASE = ctypes.CFUNCTYPE(_INT, _POINTER, _INT, _INT, _POINTER)

_FUNCTIONS: dict[str, tuple[object, tuple[object, ...]]] = {
    "OPENSSL_version_major": (ctypes.c_uint, ()),
    "ERR_clear_error": (None, ()),
    "ERR_get_error": (ctypes.c_ulong, ()),
    "ERR_reason_error_string": (_BYTES, (ctypes.c_ulong,)),
    "BIO_new_mem_buf": (_POINTER, (_BYTES, _INT)),
    "BIO_free": (_INT, (_POINTER,)),
    "PEM_read_bio_PrivateKey": (_POINTER, (_POINTER, _POINTER, _PASSPHRASE, _POINTER)),
    "d2i_PUBKEY": (_POINTER, (_POINTER, _BYTES_POINTER, _LONG)),
    "i2d_PUBKEY": (_INT, (_POINTER, _BYTES_POINTER)),
    "EVP_PKEY_free": (None, (_POINTER,)),
    "EVP_PKEY_is_a": (_INT, (_POINTER, _BYTES)),
    "EVP_PKEY_CTX_new": (_POINTER, (_POINTER, _POINTER)),
    "EVP_PKEY_CTX_free": (None, (_POINTER,)),
    "EVP_PKEY_CTX_set1_id": (_INT, (_POINTER, _BYTES, _INT)),
    "EVP_PKEY_public_check": (_INT, (_POINTER,)),
    "EVP_MD_CTX_new": (_POINTER, ()),
    "EVP_MD_CTX_free": (None, (_POINTER,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (_POINTER, _POINTER)),
    "EVP_MD_fetch": (_POINTER, (_POINTER, _BYTES, _BYTES)),
    "EVP_KEYMGMT_fetch": (_POINTER, (_POINTER, _BYTES, _BYTES)),
    "EVP_DigestSignInit": (_INT, (_POINTER, _POINTER, _POINTER, _POINTER, _POINTER)),
    "EVP_DigestSign": (_INT, (_POINTER, _BYTES, _SIZE_POINTER, _BYTES, _SIZE)),
    "EVP_DigestVerifyInit": (_INT, (_POINTER, _POINTER, _POINTER, _POINTER, _POINTER)),
    "EVP_DigestVerify": (_INT, (_POINTER, _BYTES, _SIZE, _BYTES, _SIZE)),
}
_LONGEST_SIGNATURE = 72
"""SEQUENCE of two INTEGERs of at most 33 octets."""

_NAMES = ("libcrypto.so.3", "libcrypto.3.dylib")
"""What the library is called on Linux and on macOS; the version in the name is that of its interface."""


class Libcrypto:
    """The library, with its functions typed.

    Args:
        name: path or soname.

    Raises:
        TrustError: `trust.sm2_unavailable` when it cannot be loaded, is older than version 3, or was built
            without SM2 or SM3.
    """

    def __init__(self, name: str) -> None:
        try:
            self._library = ctypes.CDLL(name)
            for function, (result, arguments) in _FUNCTIONS.items():
                typed = getattr(self._library, function)
                typed.restype, typed.argtypes = result, arguments
        except (OSError, AttributeError) as exc:
            raise TrustError("trust.sm2_unavailable", f"{name} is no usable libcrypto 3") from exc
        if self._library.OPENSSL_version_major() < 3:
            raise TrustError("trust.sm2_unavailable", f"{name} is older than OpenSSL 3")
        # Both are fetched once and kept as long as the process runs.
        self._sm3: int | None = self._library.EVP_MD_fetch(None, b"SM3", None)
        if not self._sm3 or not self._library.EVP_KEYMGMT_fetch(None, b"SM2", None):
            self._library.ERR_clear_error()
            raise TrustError("trust.sm2_unavailable", f"{name} was built without SM2 or SM3")
        if "sm3" not in hashlib.algorithms_available:
            raise TrustError("trust.sm2_unavailable", "Python was built without SM3")

    def read_public_key(self, spki: bytes) -> int | None:
        """Return a new EVP_PKEY of a SubjectPublicKeyInfo in DER, or None when it is no sound SM2 key."""
        buffer = ctypes.create_string_buffer(spki, len(spki))
        position = ctypes.c_void_p(ctypes.addressof(buffer))
        key: int | None = self._library.d2i_PUBKEY(None, ctypes.byref(position), len(spki))
        return self._checked(key)

    def read_private_key(self, pem: bytes, passphrase: bytes) -> int | None:
        """Return a new EVP_PKEY of an encrypted PKCS#8 in PEM, or None when it is none of SM2."""

        def give(buffer: int, size: int, _writing: int, _data: object) -> int:
            if len(passphrase) > size:
                return -1
            ctypes.memmove(buffer, passphrase, len(passphrase))
            return len(passphrase)

        source = self._library.BIO_new_mem_buf(pem, len(pem))
        if not source:
            raise self._exhausted()
        try:
            key: int | None = self._library.PEM_read_bio_PrivateKey(source, None, _PASSPHRASE(give), None)
        finally:
            self._library.BIO_free(source)
        return self._checked(key)

    def free_key(self, key: int) -> None:
        """Free an EVP_PKEY."""
        self._library.EVP_PKEY_free(key)

    def public_key(self, key: int) -> bytes:
        """Return the SubjectPublicKeyInfo of a key in DER."""
        size = self._library.i2d_PUBKEY(key, None)
        if size <= 0:
            raise self._exhausted()
        buffer = ctypes.create_string_buffer(size)
        position = ctypes.c_void_p(ctypes.addressof(buffer))
        self._library.i2d_PUBKEY(key, ctypes.byref(position))
        return buffer.raw

    def sign(self, key: int, user_id: bytes, data: bytes) -> bytes:
        """Sign with SM2 and SM3; DER.

        Raises:
            TrustError: `trust.sm2_unavailable` when libcrypto cannot, for want of memory or randomness.
        """
        library = self._library
        with self._context(key, user_id) as context:
            size = _SIZE(_LONGEST_SIGNATURE)
            buffer = ctypes.create_string_buffer(_LONGEST_SIGNATURE)
            if (
                library.EVP_DigestSignInit(context, None, self._sm3, None, key) != 1
                or library.EVP_DigestSign(context, buffer, ctypes.byref(size), data, len(data)) != 1
            ):
                raise self._exhausted()
            return buffer.raw[: size.value]

    def verify(self, key: int, user_id: bytes, signature: bytes, data: bytes) -> bool:
        """Tell whether a signature in DER holds."""
        library = self._library
        with self._context(key, user_id) as context:
            if library.EVP_DigestVerifyInit(context, None, self._sm3, None, key) != 1:
                raise self._exhausted()
            is_valid: bool = (
                library.EVP_DigestVerify(context, signature, len(signature), data, len(data)) == 1
            )
        if not is_valid:
            library.ERR_clear_error()
        return is_valid

    @contextmanager
    def _context(self, key: int, user_id: bytes) -> Iterator[int]:
        """Give a digest context that digests the user id before the data (GB/T 32918.2 clause 5.5)."""
        library = self._library
        key_context = library.EVP_PKEY_CTX_new(key, None)
        context = library.EVP_MD_CTX_new()
        try:
            if (
                not key_context
                or not context
                or library.EVP_PKEY_CTX_set1_id(key_context, user_id, len(user_id)) != 1
            ):
                raise self._exhausted()
            library.EVP_MD_CTX_set_pkey_ctx(context, key_context)
            yield context
        finally:
            # A context that was given a key context from outside does not free it.
            library.EVP_MD_CTX_free(context)
            library.EVP_PKEY_CTX_free(key_context)

    def _checked(self, key: int | None) -> int | None:
        """Return a key that is one of SM2 with a point on the curve; free any other."""
        library = self._library
        if key and not self._is_sound(key):
            library.EVP_PKEY_free(key)
            key = None
        if not key:
            library.ERR_clear_error()
        return key or None

    def _is_sound(self, key: int) -> bool:
        library = self._library
        if library.EVP_PKEY_is_a(key, b"SM2") != 1:
            return False
        context = library.EVP_PKEY_CTX_new(key, None)
        if not context:
            raise self._exhausted()
        try:
            return bool(library.EVP_PKEY_public_check(context) == 1)
        finally:
            library.EVP_PKEY_CTX_free(context)

    def _exhausted(self) -> TrustError:
        reason = self._library.ERR_reason_error_string(self._library.ERR_get_error())
        self._library.ERR_clear_error()
        detail = reason.decode("ascii", "replace") if reason else "no reason given"
        return TrustError("trust.sm2_unavailable", f"libcrypto: {detail}")


@cache
def libcrypto() -> Libcrypto:
    """Return the library, loaded at the first call.

    Raises:
        TrustError: `trust.sm2_unavailable`.
    """
    failures = []
    for name in _NAMES:
        try:
            return Libcrypto(name)
        except TrustError as exc:
            failures.append(exc.detail)
    raise TrustError("trust.sm2_unavailable", "; ".join(failures))
