# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from asn1crypto import pem
from asn1crypto.keys import EncryptedPrivateKeyInfo
from cryptography.hazmat.primitives.asymmetric import ec

from hub.custody import KeyAlgorithm, Secret, generate_key, generate_wrapping_key, open_wrapping_key
from hub.custody.files import write_key_file
from hub.custody.modules import module_at
from hub.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.custody import KeyPlace, WrappingKey
    from tests.softhsm import SoftHsm

PASSPHRASE = Secret("a test", "49152 for tests")
SECRET = bytes(range(64))


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(TrustError) as refused:
        work()
    return refused.value.code


@pytest.fixture(params=["file", "token"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> KeyPlace:
    if request.param == "file":
        return tmp_path / "vault.key.pem"
    softhsm: SoftHsm = request.getfixturevalue("softhsm")
    return softhsm.place(softhsm.shared_token(), f"vault-{os.urandom(4).hex()}")


@pytest.fixture
def key(place: KeyPlace) -> WrappingKey:
    return generate_wrapping_key(place, PASSPHRASE)


def test_what_a_key_wraps_it_unwraps_after_a_new_start_too(place: KeyPlace, key: WrappingKey) -> None:
    wrapped = key.wrap(SECRET)
    again = open_wrapping_key(place, PASSPHRASE)
    assert len(wrapped) == len(SECRET) + 8
    assert SECRET[:16] not in wrapped
    assert again.unwrap(wrapped) == SECRET
    assert again.fingerprint == key.fingerprint


def test_a_wrapped_secret_that_was_changed_does_not_open(key: WrappingKey) -> None:
    wrapped = bytearray(key.wrap(SECRET))
    wrapped[9] ^= 1
    assert code_of(lambda: key.unwrap(bytes(wrapped))) == "trust.key_unusable"
    # The token is not away for all that.
    assert key.unwrap(key.wrap(SECRET)) == SECRET


def test_another_key_opens_nothing_and_has_another_fingerprint(key: WrappingKey, tmp_path: Path) -> None:
    other = generate_wrapping_key(tmp_path / "other.key.pem", PASSPHRASE)
    assert other.fingerprint != key.fingerprint
    assert code_of(lambda: other.unwrap(key.wrap(SECRET))) == "trust.key_unusable"


def test_a_key_is_never_made_over_another_one(place: KeyPlace, key: WrappingKey) -> None:
    assert code_of(lambda: generate_wrapping_key(place, PASSPHRASE)) == "trust.key_exists"
    assert open_wrapping_key(place, PASSPHRASE).fingerprint == key.fingerprint


def test_a_key_shows_itself_nowhere(key: WrappingKey) -> None:
    assert PASSPHRASE.reveal() not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_a_wrong_passphrase_opens_nothing(tmp_path: Path) -> None:
    place = tmp_path / "vault.key.pem"
    generate_wrapping_key(place, PASSPHRASE)
    for number in range(3):
        wrong = Secret("a test", f"wrong {number}")
        assert code_of(lambda wrong=wrong: open_wrapping_key(place, wrong)) == "trust.key_unusable"  # type: ignore[misc]


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "vault.key.pem"
    generate_wrapping_key(place, PASSPHRASE)
    assert place.stat().st_mode & 0o777 == 0o600
    place.chmod(0o644)
    assert code_of(lambda: open_wrapping_key(place, PASSPHRASE)) == "trust.key_exposed"


def test_a_signing_key_is_no_wrapping_key_and_a_missing_file_none_either(tmp_path: Path) -> None:
    place = tmp_path / "signs.key.pem"
    write_key_file(place, ec.generate_private_key(ec.SECP256R1()), PASSPHRASE.reveal().encode())
    assert code_of(lambda: open_wrapping_key(place, PASSPHRASE)) == "trust.key_unusable"
    assert code_of(lambda: open_wrapping_key(tmp_path / "nothing", PASSPHRASE)) == "trust.key_unusable"


def test_openssl_opens_the_file_and_unwraps_what_the_key_wrapped(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    place = tmp_path / "vault.key.pem"
    wrapped = generate_wrapping_key(place, PASSPHRASE).wrap(SECRET)
    info = EncryptedPrivateKeyInfo.load(pem.unarmor(place.read_bytes())[2])
    parameters = info["encryption_algorithm"]["parameters"]
    salt = parameters["key_derivation_func"]["parameters"]["salt"].native.hex()
    vector = parameters["encryption_scheme"]["parameters"].native.hex()
    options = ("digest:SHA256", f"pass:{PASSPHRASE.reveal()}", f"hexsalt:{salt}", "iter:600000")
    derive = ["openssl", "kdf", "-keylen", "32", *(f"-kdfopt={each}" for each in options), "PBKDF2"]
    derived = openssl([part for each in derive for part in each.split("=", 1)]).decode().strip()
    encrypted = info["encrypted_data"].native
    decrypt = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", derived.replace(":", ""), "-iv", vector]
    # The structure ends with the key's 32 octets.
    key = openssl(decrypt, encrypted)[-32:].hex()
    unwrap = ["openssl", "enc", "-d", "-id-aes256-wrap", "-K", key, "-iv", "a6a6a6a6a6a6a6a6"]
    assert openssl(unwrap, wrapped) == SECRET


def openssl(command: list[str], given: bytes = b"") -> bytes:
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout


def test_an_aes_key_that_could_be_taken_out_of_its_token_is_refused(softhsm: SoftHsm) -> None:
    from pkcs11 import Attribute, KeyType, MechanismFlag

    place = softhsm.place(softhsm.shared_token(), "loose-aes")
    with module_at(softhsm.module).session(place, softhsm.pin) as session:
        session.generate_key(
            KeyType.AES,
            256,
            store=True,
            label="loose-aes",
            capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
            template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
        )
    assert code_of(lambda: open_wrapping_key(place, softhsm.pin)) == "trust.key_unusable"


def test_a_key_pair_in_a_token_wraps_nothing(softhsm: SoftHsm) -> None:
    place = softhsm.place(softhsm.shared_token(), "signs-only")
    generate_key(place, KeyAlgorithm.P256, softhsm.pin)
    assert code_of(lambda: open_wrapping_key(place, softhsm.pin)) == "trust.key_unusable"
