# SPDX-License-Identifier: Apache-2.0
"""How a key file is encrypted: what is accepted, and what is written.

Accepted is PBES2 with AES and PBKDF2 over SHA-2, at least as often as OpenSSL does it by default, or scrypt.
PBES1 and the ciphers of its time (DES, RC2, 3DES) are refused: a stolen file could be opened. What is written
takes the 600,000 rounds that are recommended today, about a quarter of a second at every start.

Source: RFC 8018 sections 5.2 and 6.2 (PBKDF2, PBES2), RFC 7914 (scrypt), RFC 5958; OWASP Password Storage
Cheat Sheet (rounds).
"""

from __future__ import annotations

import os
from typing import Any

from asn1crypto import algos, core, pem
from asn1crypto.keys import EncryptedPrivateKeyInfo
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

FEWEST_ROUNDS = 2048
ROUNDS = 600_000
FEWEST_SCRYPT_COST = 2**14

_LABEL = "ENCRYPTED PRIVATE KEY"


class _ScryptParameters(core.Sequence):  # type: ignore[misc] # asn1crypto has no types.
    """The head of scrypt-params (RFC 7914 section 7)."""

    _fields = [  # noqa: RUF012 (asn1crypto's way)
        ("salt", core.OctetString),
        ("cost", core.Integer),
        ("block_size", core.Integer),
        ("parallelization", core.Integer),
        ("key_length", core.Integer, {"optional": True}),
    ]


_CIPHER_KEY_BYTES = {"aes128_cbc": 16, "aes192_cbc": 24, "aes256_cbc": 32}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha512_256": hashes.SHA512_256(),
}


def encryption_weakness(content: bytes) -> str | None:
    """Say why the encryption of a PKCS#8 file in PEM is not accepted, or None when it is.

    Raises:
        ValueError: it is not an encrypted PKCS#8 key in PEM.
    """
    if not pem.detect(content):
        raise ValueError("not PEM")
    label, _, der = pem.unarmor(content)
    if label != _LABEL:
        raise ValueError(f"not an {_LABEL}")
    try:
        algorithm = EncryptedPrivateKeyInfo.load(der, strict=True)["encryption_algorithm"]
        if algorithm["algorithm"].native != "pbes2":
            return f"the old scheme {algorithm['algorithm'].native}"
        parameters = algorithm["parameters"]
        cipher = parameters["encryption_scheme"]["algorithm"].native
        derivation = parameters["key_derivation_func"]
        if cipher not in _CIPHER_KEY_BYTES:
            return f"the cipher {cipher}"
        return _derivation_weakness(derivation)
    except (TypeError, KeyError) as exc:
        # asn1crypto answers an algorithm it has no structure for in these ways.
        raise ValueError("its encryption cannot be read") from exc


def _derivation_weakness(derivation: Any) -> str | None:
    parameters = derivation["parameters"]
    match derivation["algorithm"].native:
        case "pbkdf2":
            rounds, digest = parameters["iteration_count"].native, parameters["prf"]["algorithm"].native
            if rounds < FEWEST_ROUNDS:
                return f"{rounds} rounds of PBKDF2, fewer than {FEWEST_ROUNDS}"
            return None if digest in _HASHES else f"PBKDF2 over {digest}"
        case "1.3.6.1.4.1.11591.4.11":
            cost = _ScryptParameters.load(parameters.dump())["cost"].native
            return None if cost >= FEWEST_SCRYPT_COST else f"scrypt with the cost {cost}"
        case other:
            return f"the derivation {other}"


def encrypt_key(der: bytes, passphrase: bytes) -> bytes:
    """Encrypt a PKCS#8 key: PBES2 with PBKDF2 over SHA-256 and AES-256-CBC.

    Args:
        der: PrivateKeyInfo.
        passphrase: not empty.

    Returns:
        PEM.
    """
    salt, vector = os.urandom(16), os.urandom(16)
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, ROUNDS).derive(passphrase)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    encrypted = encryptor.update(padder.update(der) + padder.finalize()) + encryptor.finalize()
    rounds = algos.Pbkdf2Params(
        {
            "salt": algos.Pbkdf2Salt("specified", core.OctetString(salt)),
            "iteration_count": ROUNDS,
            "prf": {"algorithm": "sha256", "parameters": core.Null()},
        }
    )
    scheme = algos.Pbes2Params(
        {
            "key_derivation_func": {"algorithm": "pbkdf2", "parameters": rounds},
            "encryption_scheme": {"algorithm": "aes256_cbc", "parameters": core.OctetString(vector)},
        }
    )
    info = EncryptedPrivateKeyInfo(
        {
            "encryption_algorithm": {"algorithm": "pbes2", "parameters": scheme},
            "encrypted_data": encrypted,
        }
    )
    written: bytes = pem.armor(_LABEL, info.dump())
    return written


def decrypt_key(content: bytes, passphrase: bytes) -> bytes:
    """Decrypt a PKCS#8 key of any kind, also of kinds `cryptography` does not know.

    Args:
        content: PEM `encryption_weakness` has nothing against.
        passphrase: of the key.

    Returns:
        PrivateKeyInfo in DER, or, with a wrong passphrase, in one of 256 cases, noise.

    Raises:
        ValueError: the passphrase is wrong or the file is damaged.
    """
    info = EncryptedPrivateKeyInfo.load(pem.unarmor(content)[2], strict=True)
    parameters = info["encryption_algorithm"]["parameters"]
    scheme = parameters["encryption_scheme"]
    size = _CIPHER_KEY_BYTES[scheme["algorithm"].native]
    key = _derive(parameters["key_derivation_func"], passphrase, size)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(scheme["parameters"].native)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    padded = decryptor.update(info["encrypted_data"].native) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def _derive(derivation: Any, passphrase: bytes, size: int) -> bytes:
    parameters = derivation["parameters"]
    if derivation["algorithm"].native == "pbkdf2":
        digest = _HASHES[parameters["prf"]["algorithm"].native]
        rounds, salt = parameters["iteration_count"].native, parameters["salt"].native
        return PBKDF2HMAC(digest, size, salt, rounds).derive(passphrase)
    costs = _ScryptParameters.load(parameters.dump()).native
    scrypt = Scrypt(costs["salt"], size, costs["cost"], costs["block_size"], costs["parallelization"])
    return scrypt.derive(passphrase)
