# SPDX-License-Identifier: Apache-2.0
"""SM2 with SM3, held against the `openssl` command in both directions and against forgers.

Project Wycheproof has no vectors for SM2; the hostile ones here follow its cases for ECDSA.
"""

from __future__ import annotations

import pickle
import resource
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from hub.errors import TrustError
from hub.trust import ALGORITHMS, DEFAULT_ALGORITHMS, SM2_SM3, algorithms_of, is_signed_by, signature_problem
from hub.trust.algorithms import is_signature_valid, key_problem, public_key_info, public_key_of
from hub.trust.sm2 import Sm2PrivateKey, Sm2PublicKey
from hub.trust.sm2.libcrypto import Libcrypto
from tests.hub.trust.sm2_pki import (
    PASSPHRASE,
    USER_ID,
    Sm2Signer,
    make_key,
    make_signer,
    needs_openssl,
    openssl,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_openssl

ALL = frozenset(ALGORITHMS)
MESSAGE = "残疾人就业状况证明".encode()
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
PRIME = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
CURVE_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sm2")


@pytest.fixture(scope="module")
def signer(folder: Path) -> Sm2Signer:
    return make_signer(folder)


def test_openssl_verifies_what_is_signed_here_and_nothing_else(signer: Sm2Signer, folder: Path) -> None:
    (folder / "public.pem").write_bytes(openssl(folder, "x509", "-in", "signer.pem", "-noout", "-pubkey"))
    (folder / "signature").write_bytes(signer.sign(MESSAGE))
    command = ("pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-digest", "sm3")
    files = ("-in", "message", "-sigfile", "signature", "-pkeyopt")
    (folder / "message").write_bytes(MESSAGE)

    openssl(folder, *command, *files, USER_ID)
    openssl(folder, *command, *files, "distid:8765432187654321", is_expected_to_fail=True)
    (folder / "message").write_bytes(MESSAGE + b" ")
    openssl(folder, *command, *files, USER_ID, is_expected_to_fail=True)


def test_what_openssl_signs_is_verified_here(signer: Sm2Signer, folder: Path) -> None:
    (folder / "message").write_bytes(MESSAGE)
    openssl(
        *(folder, "pkeyutl", "-sign", "-inkey", "signer.key", "-passin", f"pass:{PASSPHRASE.decode()}"),
        *("-rawin", "-digest", "sm3", "-pkeyopt", USER_ID, "-in", "message", "-out", "made"),
    )
    public = signer.private_key.public_key()
    made = (folder / "made").read_bytes()

    assert public.verify(made, MESSAGE)
    assert not public.verify(made, MESSAGE + b" ")
    assert not public.verify(made, MESSAGE, b"another user id")


def test_the_example_of_the_standard_holds() -> None:
    """GM/T 0003.5-2012 annex A: its key, its message and its signature on the recommended curve."""
    point = bytes.fromhex(
        "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
        "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
    )
    r = 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
    s = 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA

    public = Sm2PublicKey(spki_of(b"\x04" + point))

    assert public.verify(encode_dss_signature(r, s), b"message digest")
    assert not public.verify(encode_dss_signature(r, s), b"message digesu")


def spki_of(point: bytes, curve: str = "06082a811ccf5501822d") -> bytes:
    oids = bytes.fromhex("06072a8648ce3d0201" + curve)
    algorithm = bytes((0x30, len(oids))) + oids
    bits = bytes((0x03, len(point) + 1, 0)) + point
    return bytes((0x30, len(algorithm) + len(bits))) + algorithm + bits


def integer(value: int, *, padding: int = 0) -> bytes:
    content = bytes(padding) + value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    return bytes((0x02, len(content))) + content


def sequence(*parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes((0x30, len(content))) + content


def forgeries(good: bytes) -> dict[str, bytes]:
    r, s = decode_dss_signature(good)
    return {
        "empty": b"",
        "no sequence": good[2:],
        "cut off": good[:-1],
        "a byte behind": good + b"\0",
        "a byte inside": sequence(good[2:], b"\0"),
        "three numbers": sequence(good[2:], integer(1)),
        "one number": sequence(integer(r)),
        "r zero": sequence(integer(0), integer(s)),
        "s zero": sequence(integer(r), integer(0)),
        "both zero": sequence(integer(0), integer(0)),
        "both one": sequence(integer(1), integer(1)),
        "r the order": sequence(integer(ORDER), integer(s)),
        "s the order": sequence(integer(r), integer(ORDER)),
        "r plus the order": sequence(integer(r + ORDER), integer(s)),
        "s plus the order": sequence(integer(r), integer(s + ORDER)),
        "r negative": sequence(integer(-r), integer(s)),
        "s negative": sequence(integer(r), integer(-s)),
        "r minus the order": sequence(integer(r - ORDER), integer(s)),
        "s minus the order": sequence(integer(r), integer(s - ORDER)),
        "the other s of ECDSA": sequence(integer(r), integer(ORDER - s)),
        "r and s sum to the order": sequence(integer(r), integer(ORDER - r)),
        "swapped": sequence(integer(s), integer(r)),
        "padded r": sequence(integer(r, padding=1), integer(s)),
        "padded s": sequence(integer(r), integer(s, padding=1)),
        "long form of a length": b"\x30\x81" + good[1:],
        "indefinite length": b"\x30\x80" + good[2:] + b"\0\0",
        "huge length": b"\x30\x84\xff\xff\xff\xff" + good[2:],
        "a set": b"\x31" + good[1:],
        "bit strings": good.replace(b"\x02\x20", b"\x03\x20").replace(b"\x02\x21", b"\x03\x21"),
        "plain r and s": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "a number of a thousand bytes": b"\x30\x82\x03\xf0\x02\x82\x03\xe8" + b"\x01" * 1000 + integer(s),
    }


def test_no_forged_signature_holds(signer: Sm2Signer) -> None:
    public = signer.private_key.public_key()
    good = signer.sign(MESSAGE)
    assert public.verify(good, MESSAGE)

    accepted = [name for name, forged in forgeries(good).items() if public.verify(forged, MESSAGE)]

    assert accepted == []


def test_every_bit_flipped_in_a_signature_is_refused(signer: Sm2Signer) -> None:
    public, good = signer.private_key.public_key(), signer.sign(MESSAGE)
    for position in range(len(good) * 8):
        flipped = bytearray(good)
        flipped[position // 8] ^= 1 << (position % 8)
        assert not public.verify(bytes(flipped), MESSAGE)


def test_a_signature_holds_under_no_other_key(signer: Sm2Signer, tmp_path: Path) -> None:
    other = Sm2PrivateKey(make_key(tmp_path, "other"), PASSPHRASE)

    assert not other.public_key().verify(signer.sign(MESSAGE), MESSAGE)
    assert other.public_key() != signer.private_key.public_key()


@pytest.mark.parametrize(
    "spki",
    [
        b"",
        spki_of(b"\x00"),
        spki_of(b"\x04" + bytes(64)),
        spki_of(b"\x04" + (1).to_bytes(32, "big") + (1).to_bytes(32, "big")),
        spki_of(b"\x04" + PRIME.to_bytes(32, "big") + (1).to_bytes(32, "big")),
        spki_of(b"\x04" + bytes(32) + (PRIME + 1).to_bytes(32, "big")),
        spki_of(b"\x04" + b"\xff" * 64),
        spki_of(b"\x04" + b"\x01" * 63),
        spki_of(b"\x02" + (1).to_bytes(32, "big")),
        spki_of(b"\x04" + b"\x01" * 64, curve="06082a8648ce3d030107"),
        spki_of(b"\x04" + b"\x01" * 64) + b"\0",
    ],
    ids=[
        *("empty", "infinity", "origin", "off the curve", "x the prime", "y above the prime", "all ones"),
        *("short", "compressed", "P-256", "a byte behind"),
    ],
)
def test_what_is_no_sound_public_key_is_refused(spki: bytes) -> None:
    with pytest.raises(ValueError, match="SM2 key"):
        Sm2PublicKey(spki)


def test_a_point_has_one_form(signer: Sm2Signer) -> None:
    """The same point, compressed or in hybrid form, is no key here."""
    point = signer.private_key.public_key().spki[-64:]
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    assert (y * y - x**3 + 3 * x - CURVE_B) % PRIME == 0

    for form in (bytes((2 + y % 2,)) + point[:32], bytes((6 + y % 2,)) + point):
        with pytest.raises(ValueError, match="SM2 key"):
            Sm2PublicKey(spki_of(form))


def test_a_key_that_is_not_encrypted_not_sm2_or_not_ours_is_refused(signer: Sm2Signer, folder: Path) -> None:
    pem = (folder / "signer.key").read_bytes()
    plain = openssl(folder, "pkey", "-in", "signer.key", "-passin", f"pass:{PASSPHRASE.decode()}")
    p256 = make_key(folder, "p256", ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))

    assert Sm2PrivateKey(pem, PASSPHRASE).public_key() == signer.private_key.public_key()
    for content, passphrase in (
        (plain, PASSPHRASE),
        (p256, PASSPHRASE),
        (pem, b""),
        (pem, b"wrong"),
        (pem, b"x" * 5000),
        (pem[:200], PASSPHRASE),
        (b"", PASSPHRASE),
    ):
        with pytest.raises(ValueError, match=r"key|passphrase"):
            Sm2PrivateKey(content, passphrase)


def test_a_private_key_shows_itself_nowhere(signer: Sm2Signer) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(signer.private_key)
    assert not hasattr(signer.private_key, "__dict__")


def test_an_sm2_certificate_is_checked_where_a_policy_allows_it(signer: Sm2Signer) -> None:
    leaf, authority = signer.certificate_chain
    allowed = DEFAULT_ALGORITHMS | {SM2_SM3}

    for issued, issuer in ((leaf, authority), (authority, signer.root), (signer.root, signer.root)):
        assert is_signed_by(issued, issuer, allowed)
        assert signature_problem(issued, issuer, allowed) is None
        assert not is_signed_by(issued, issuer)
        assert signature_problem(issued, issuer) == "the algorithm SM2 with SM3 is not allowed"
    assert not is_signed_by(leaf, signer.root, allowed)
    assert not is_signed_by(authority, authority, allowed)
    assert algorithms_of(leaf, allowed) == (SM2_SM3,)
    assert algorithms_of(leaf) == ()
    assert key_problem(leaf) == "a key of SM2 is not allowed"
    assert public_key_of(leaf) == signer.private_key.public_key()
    assert public_key_info(leaf) == signer.private_key.public_key().spki


def test_a_certificate_changed_in_any_byte_of_what_is_signed_is_refused(signer: Sm2Signer) -> None:
    leaf, authority = signer.certificate_chain
    key = public_key_of(authority)
    assert key is not None
    signed = leaf.tbs_certificate_bytes
    assert is_signature_valid(key, SM2_SM3, leaf.signature, signed)
    for position in range(0, len(signed), 7):
        flipped = bytearray(signed)
        flipped[position] ^= 1
        assert not is_signature_valid(key, SM2_SM3, leaf.signature, bytes(flipped))


def test_a_certificate_whose_point_is_not_on_the_curve_is_refused(signer: Sm2Signer, folder: Path) -> None:
    der = openssl(folder, "x509", "-in", "signer.pem", "-outform", "DER")
    point = signer.private_key.public_key().spki[-64:]
    broken = x509.load_der_x509_certificate(der.replace(point, bytes((point[0] ^ 1,)) + point[1:]))

    assert public_key_of(broken) is None
    assert algorithms_of(broken, ALL) == ()


@pytest.mark.parametrize("name", ["libcrypto.so.0", "libz.so.1", "libc.so.6"])
def test_a_library_that_is_missing_or_another_is_refused_with_a_cure(name: str) -> None:
    with pytest.raises(TrustError) as refused:
        Libcrypto(name)
    assert refused.value.code == "trust.sm2_unavailable"
    assert name in refused.value.detail
    assert "libssl3" in next(iter(refused.value.kind.cure.values()))


def test_many_threads_sign_and_verify_with_one_key(signer: Sm2Signer) -> None:
    public = signer.private_key.public_key()

    def one(number: int) -> bool:
        data = MESSAGE + number.to_bytes(4, "big")
        signature = signer.sign(data)
        return public.verify(signature, data) and not public.verify(signature, MESSAGE)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(400)))


def test_ten_thousand_operations_leave_no_memory_behind(signer: Sm2Signer, folder: Path) -> None:
    """Every kind of object is made and freed: contexts, keys read, keys refused, signatures refused."""
    public, signature = signer.private_key.public_key(), signer.sign(MESSAGE)
    pem = (folder / "signer.key").read_bytes()
    refused = spki_of(b"\x04" + b"\x01" * 64)

    def work(rounds: int) -> int:
        for _ in range(rounds):
            public.verify(signature, b"another message")
            signer.sign(MESSAGE)
            Sm2PublicKey(public.spki)
            with pytest.raises(ValueError, match="curve"):
                Sm2PublicKey(refused)
        for _ in range(rounds // 500):
            Sm2PrivateKey(pem, PASSPHRASE)
            with pytest.raises(ValueError, match="passphrase"):
                Sm2PrivateKey(pem, b"wrong")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = work(1000)
    # A context lost at every operation would take some 10,000 times 300 bytes, which is 3 MB.
    assert work(2500) - before < 1500
