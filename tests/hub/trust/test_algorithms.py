# SPDX-License-Identifier: Apache-2.0
"""The table of algorithms: what each row says, what a key may sign with, and what is refused by name."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from asn1crypto import algos
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from hub.trust.algorithms import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    ED25519,
    ML_DSA_65,
    RSA_PSS_SHA256,
    SM2_SM3,
    Scheme,
    SignatureAlgorithm,
    algorithm_for,
    algorithm_named,
    algorithms_for,
    algorithms_of,
    is_signature_valid,
    is_signed_by,
    key_problem,
    sign,
    signature_problem,
    signing_function,
)
from tests.hub.envelope.signers import issue, new_private_key, throwaway_key

ALL = frozenset(ALGORITHMS)
WITHOUT_SM2 = tuple(row for row in ALGORITHMS if row is not SM2_SM3)  # It is tested in test_sm2.py.


@pytest.mark.parametrize("row", WITHOUT_SM2, ids=lambda row: row.id)
def test_a_row_signs_and_verifies_and_no_other_row_takes_its_signature(row: SignatureAlgorithm) -> None:
    key = throwaway_key(row.id)
    public = key.private_key.public_key()
    signature = key.sign(b"a message")

    assert is_signature_valid(public, row, signature, b"a message")
    assert not is_signature_valid(public, row, signature, b"another message")
    assert [
        other.id for other in ALGORITHMS if is_signature_valid(public, other, signature, b"a message")
    ] == [other.id for other in ALGORITHMS if is_same_arithmetic(other, row)]


def is_same_arithmetic(one: SignatureAlgorithm, other: SignatureAlgorithm) -> bool:
    """ECDSA rows of one digest differ by the curve only, which the key brings; ML-DSA rows by the key."""
    if one.scheme is Scheme.ML_DSA:
        return other.scheme is Scheme.ML_DSA
    return one.scheme is other.scheme and one.digest == other.digest


@pytest.mark.parametrize("row", WITHOUT_SM2, ids=lambda row: row.id)
def test_an_identifier_says_to_another_library_what_the_row_says(row: SignatureAlgorithm) -> None:
    for form in (row.identifier, *row.read_as_well):
        read = algos.SignedDigestAlgorithm.load(form, strict=True)
        if row.scheme is Scheme.PSS:
            parameters = read["parameters"]
            mask = parameters["mask_gen_algorithm"]
            assert parameters["hash_algorithm"]["algorithm"].native == row.digest
            assert mask["algorithm"].native == "mgf1"
            assert mask["parameters"]["algorithm"].native == row.digest
            assert parameters["salt_length"].native == int(row.digest[3:]) // 8
            assert parameters["trailer_field"].native == "trailer_field_bc"
        elif row.scheme is Scheme.ML_DSA:
            assert read["algorithm"].dotted.startswith("2.16.840.1.101.3.4.3.")
        else:
            assert read["algorithm"].native.endswith((row.digest + "_ecdsa", row.digest + "_rsa", "ed25519"))


def test_names_and_ids_are_single_and_the_default_rows_are_all_but_the_new_ones() -> None:
    assert len({row.id for row in ALGORITHMS}) == len({row.name for row in ALGORITHMS}) == len(ALGORITHMS)
    assert {row.id for row in ALL - DEFAULT_ALGORITHMS} == {"ml-dsa-44", "ml-dsa-65", "ml-dsa-87", "sm2-sm3"}
    assert all(algorithm_named(row.id) is row for row in ALGORITHMS)


@pytest.mark.parametrize("row", [row for row in WITHOUT_SM2 if not row.is_default], ids=lambda row: row.id)
def test_a_row_that_is_off_is_used_only_where_a_policy_names_it(row: SignatureAlgorithm) -> None:
    public = new_private_key(row.key).public_key()

    assert algorithm_for(public) is None
    assert algorithms_for(public, DEFAULT_ALGORITHMS | {row}) == (row,)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_weak_or_unlisted_key_fits_no_row() -> None:
    keys = (
        rsa.generate_private_key(65537, 2047),  # noqa: S505 (to see it refused)
        rsa.generate_private_key(65537, 1024),  # noqa: S505 (to see it refused)
        rsa.generate_private_key(3, 2048),
        ec.generate_private_key(ec.SECP192R1()),
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.BrainpoolP256R1()),
        dsa.generate_private_key(2048),
        ed448.Ed448PrivateKey.generate(),
    )

    for key in keys:
        assert algorithms_for(key.public_key(), ALL) == ()
        with pytest.raises(ValueError, match="no allowed signature algorithm"):
            signing_function(key)


def test_an_ed25519_key_of_small_order_fits_no_row() -> None:
    """Under the neutral element, R = B and s = 1 sign everything."""
    neutral = ed25519.Ed25519PublicKey.from_public_bytes(bytes([1, *bytes(31)]))
    base = bytes([0x58, *[0x66] * 31])
    forged = base + bytes([1, *bytes(31)])

    assert is_signature_valid(neutral, ED25519, forged, b"anything")
    assert algorithms_for(neutral, ALL) == ()


def test_a_key_signs_with_no_row_of_another_key() -> None:
    with pytest.raises(ValueError, match="no allowed signature algorithm"):
        sign(new_private_key("P-256"), b"", RSA_PSS_SHA256)


@pytest.mark.parametrize(
    ("digest", "words"),
    [
        ("sha1", "SHA-1 with ECDSA (1.2.840.10045.4.1)"),
        ("sha224", "SHA-224 with ECDSA (1.2.840.10045.4.3.1)"),
        ("sha3-256", "2.16.840.1.101.3.4.3.10"),
    ],
)
def test_an_algorithm_that_is_refused_is_named(digest: str, words: str, tmp_path: Path) -> None:
    command = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    options = ("-keyout", "key.pem", "-subj", "/CN=x", f"-{digest}", "-out", "made.crt")
    subprocess.run(["openssl", *command, *options], cwd=tmp_path, check=True, capture_output=True)
    made = x509.load_pem_x509_certificate((tmp_path / "made.crt").read_bytes())

    assert signature_problem(made) == f"the algorithm {words} is not allowed"
    assert not is_signed_by(made, made)


def test_a_short_key_is_named() -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 (to see it refused)

    assert key_problem(issue("short", key, None, key)) == (
        "a key of RSA (1.2.840.113549.1.1.1) with 1024 bits is not allowed"
    )


@pytest.mark.parametrize("row", WITHOUT_SM2, ids=lambda row: row.id)
def test_a_certificate_is_signed_by_its_issuer_and_by_nobody_else(row: SignatureAlgorithm) -> None:
    key, other = new_private_key(row.key), new_private_key(row.key)
    issuer, impostor = issue("issuer", key, None, key), issue("issuer", other, None, other)
    issued = issue("issued", key, issuer, key, is_authority=False, algorithm=row)

    assert signature_problem(issued, issuer, ALL) is None
    assert is_signed_by(issued, issuer, ALL)
    assert not is_signed_by(issued, impostor, ALL)
    assert is_signed_by(issued, issuer) is row.is_default


def test_an_algorithm_that_does_not_fit_the_issuers_key_is_refused() -> None:
    first, second = new_private_key("P-256"), new_private_key("RSA")
    issued = issue("self", first, None, first)
    stranger = issue("self", second, None, second)

    assert signature_problem(issued, stranger) == "ECDSA P-256 with SHA-256 does not fit the issuer's key"
    assert not is_signed_by(issued, stranger)


def test_a_key_certified_for_pss_signs_with_its_own_parameters_only(tmp_path: Path) -> None:
    for command in (
        ("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "free.pem"),
        (
            *("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
            *("-pkeyopt", "rsa_pss_keygen_md:sha384", "-pkeyopt", "rsa_pss_keygen_mgf1_md:sha384"),
            *("-pkeyopt", "rsa_pss_keygen_saltlen:48", "-out", "bound.pem"),
        ),
        (
            *("req", "-x509", "-key", "free.pem", "-subj", "/CN=x", "-sha256", "-out", "free.crt"),
            *("-sigopt", "rsa_pss_saltlen:digest"),
        ),
        ("req", "-x509", "-key", "bound.pem", "-subj", "/CN=x", "-sha384", "-out", "bound.crt"),
    ):
        subprocess.run(["openssl", *command], cwd=tmp_path, check=True, capture_output=True)
    free, bound = (
        x509.load_pem_x509_certificate((tmp_path / name).read_bytes()) for name in ("free.crt", "bound.crt")
    )

    assert [row.id for row in algorithms_of(free)] == ["rsa-pss-sha256", "rsa-pss-sha384", "rsa-pss-sha512"]
    assert [row.id for row in algorithms_of(bound)] == ["rsa-pss-sha384"]
    assert is_signed_by(free, free)
    assert is_signed_by(bound, bound)
    assert not is_signed_by(free, bound)


def test_no_policy_allows_an_algorithm_a_key_does_not_fit() -> None:
    key = new_private_key("Ed25519")

    assert algorithms_for(key.public_key(), frozenset({ML_DSA_65})) == ()


def test_the_table_in_the_documentation_is_that_of_the_code() -> None:
    text = (Path(__file__).parents[3] / "docs/trust.md").read_text(encoding="utf-8")
    shown = re.findall(
        r"^\| `([a-z0-9-]+)` \| ([^|]+) \| ([0-9.]+) \| .* \| (yes|by policy) \| ", text, re.MULTILINE
    )

    assert shown == [
        (row.id, row.name_zh, dotted_oid(row), "yes" if row.is_default else "by policy") for row in ALGORITHMS
    ]


def dotted_oid(row: SignatureAlgorithm) -> str:
    dotted: str = algos.SignedDigestAlgorithm.load(row.identifier)["algorithm"].dotted
    return dotted
