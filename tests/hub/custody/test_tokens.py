# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
import shutil
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.exceptions import AttributeSensitive, PinIncorrect
from pkcs11.util.ec import encode_named_curve_parameters

from hub.custody import KeyHolder, Secret, TokenPlace, open_holder
from hub.custody.modules import module_at
from hub.errors import TrustError
from hub.trust import ALGORITHMS, algorithm_for, is_signature_valid
from hub.trust.algorithms import KeyKind
from tests.softhsm import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.trust import SignatureAlgorithm
    from tests.softhsm import SoftHsm

CURVES = {"p256": "secp256r1", "p384": "secp384r1", "p521": "secp521r1"}


def generate(softhsm: SoftHsm, place: TokenPlace, kind: str = "p256", **template: Any) -> None:
    """Make a key pair with the library itself, as an operator's own tool would."""
    private = {Attribute[name.upper()]: value for name, value in template.items()}
    with module_at(softhsm.module).session(place, softhsm.pin) as session:
        if kind == "rsa":
            session.generate_keypair(
                KeyType.RSA, 2048, store=True, label=place.object, private_template=private
            )
            return
        name = CURVES.get(kind, "1.3.101.112")
        key_type = KeyType.EC if kind in CURVES else KeyType.EC_EDWARDS
        parameters = session.create_domain_parameters(
            key_type, {Attribute.EC_PARAMS: encode_named_curve_parameters(name)}, local=True
        )
        parameters.generate_keypair(store=True, label=place.object, private_template=private)


def row_of(holder: KeyHolder) -> SignatureAlgorithm:
    algorithm = algorithm_for(holder.public_key)
    assert algorithm is not None
    return algorithm


def sign(holder: KeyHolder, data: bytes) -> bytes:
    return holder.signer(row_of(holder))(data)


def verifies(holder: KeyHolder, signature: bytes, data: bytes) -> bool:
    return is_signature_valid(holder.public_key, row_of(holder), signature, data)


def refusal(call: Callable[[], object]) -> TrustError:
    with pytest.raises(TrustError) as refused:
        call()
    return refused.value


def is_back(holder: KeyHolder) -> bool:
    try:
        sign(holder, b"data")
    except TrustError:
        return False
    return True


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> str:
    return softhsm.token()


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa", "ed25519"])
def test_a_key_in_a_token_signs(softhsm: SoftHsm, token: str, kind: str) -> None:
    place = softhsm.place(token, f"signs-{kind}")
    generate(softhsm, place, kind)
    holder = open_holder(place, softhsm.pin)
    signature = sign(holder, b"a message")
    assert verifies(holder, signature, b"a message")
    assert not verifies(holder, signature, b"another message")


def test_an_rsa_key_in_a_token_signs_with_every_row_for_rsa_and_with_none_for_others(
    softhsm: SoftHsm, token: str
) -> None:
    place = softhsm.place(token, "rows")
    generate(softhsm, place, "rsa")
    holder = open_holder(place, softhsm.pin)
    for row in ALGORITHMS:
        if row.key is KeyKind.RSA:
            signature = holder.signer(row)(b"data")
            assert is_signature_valid(holder.public_key, row, signature, b"data"), row.id
        else:
            with pytest.raises(TrustError, match="does not sign with"):
                holder.signer(row)


def test_the_module_may_stand_in_the_settings_instead_of_the_uri(softhsm: SoftHsm, token: str) -> None:
    generate(softhsm, softhsm.place(token, "without-module"))
    place = TokenPlace(token=token, object="without-module")
    assert sign(open_holder(place, softhsm.pin, module=softhsm.module), b"data")
    refused = refusal(lambda: open_holder(place, softhsm.pin))
    assert (refused.code, "no PKCS#11 module" in refused.detail) == ("trust.token_unavailable", True)


def test_several_threads_sign_with_one_key(softhsm: SoftHsm, token: str) -> None:
    place = softhsm.place(token, "threads")
    generate(softhsm, place)
    holder = open_holder(place, softhsm.pin)
    signed: list[tuple[bytes, bytes]] = []

    def work(number: int) -> None:
        for count in range(50):
            data = b"%d %d" % (number, count)
            signed.append((sign(holder, data), data))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(signed) == 400
    assert all(verifies(holder, signature, data) for signature, data in signed)


def test_what_a_key_of_a_token_shows_holds_neither_pin_nor_key(softhsm: SoftHsm, token: str) -> None:
    place = softhsm.place(token, "shows")
    generate(softhsm, place)
    holder = open_holder(place, softhsm.pin)
    assert PIN not in repr(holder)
    assert f"token={token}" in repr(holder)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(holder)


@pytest.mark.parametrize("template", [{"extractable": True}, {"sensitive": False}])
def test_a_key_that_could_be_taken_out_is_refused(
    softhsm: SoftHsm, token: str, template: dict[str, Any]
) -> None:
    place = softhsm.place(token, f"loose-{'-'.join(template)}")
    generate(softhsm, place, **template)
    refused = refusal(lambda: open_holder(place, softhsm.pin))
    assert (refused.code, "taken out" in refused.detail) == ("trust.key_unusable", True)


def test_the_private_key_cannot_be_read_from_the_token(softhsm: SoftHsm, token: str) -> None:
    place = softhsm.place(token, "sealed")
    generate(softhsm, place)
    with module_at(softhsm.module).session(place, softhsm.pin) as session:
        key = session.get_key(ObjectClass.PRIVATE_KEY, label="sealed")
        assert key[Attribute.SENSITIVE]
        assert not key[Attribute.EXTRACTABLE]
        with pytest.raises(AttributeSensitive):
            key[Attribute.VALUE]


def test_a_name_that_means_no_key_or_two_is_refused(softhsm: SoftHsm, token: str) -> None:
    refused = refusal(lambda: open_holder(softhsm.place(token, "nothing"), softhsm.pin))
    assert (refused.code, "no key pair" in refused.detail) == ("trust.key_unusable", True)
    twins = softhsm.place(token, "twins")
    generate(softhsm, twins)
    generate(softhsm, twins)
    refused = refusal(lambda: open_holder(twins, softhsm.pin))
    assert (refused.code, "more than one" in refused.detail) == ("trust.key_unusable", True)


def test_a_public_key_of_another_private_key_is_noticed(softhsm: SoftHsm, token: str) -> None:
    first, second = softhsm.place(token, "mixed-1"), softhsm.place(token, "mixed-2")
    generate(softhsm, first)
    generate(softhsm, second)
    with module_at(softhsm.module).session(first, softhsm.pin) as session:
        session.get_key(ObjectClass.PUBLIC_KEY, label="mixed-1").destroy()
        public: Any = session.get_key(ObjectClass.PUBLIC_KEY, label="mixed-2")
        public[Attribute.LABEL] = "mixed-1"
    refused = refusal(lambda: open_holder(first, softhsm.pin))
    assert (refused.code, "do not fit" in refused.detail) == ("trust.key_unusable", True)


def test_a_token_or_module_that_is_not_there_is_named(softhsm: SoftHsm, tmp_path: Path) -> None:
    refused = refusal(lambda: open_holder(softhsm.place("nobody's", "key"), softhsm.pin))
    assert (refused.code, refused.is_retryable) == ("trust.token_unavailable", True)
    absent = TokenPlace(token="t", object="o", module=tmp_path / "absent.so")  # noqa: S106
    assert refusal(lambda: open_holder(absent, softhsm.pin)).code == "trust.token_unavailable"


def test_a_wrong_pin_is_refused_and_not_sent_twice(softhsm: SoftHsm) -> None:
    place = softhsm.place(softhsm.token(), "key")
    wrong = Secret("a test", "31416 is wrong")
    first = refusal(lambda: open_holder(place, wrong))
    again = refusal(lambda: open_holder(place, wrong))
    assert first.code == again.code == "trust.token_pin_refused"
    assert isinstance(first.__cause__, PinIncorrect)
    assert again.__cause__ is None
    assert "not tried again" in again.detail
    for refused in (first, again):
        assert "31416" not in "".join(traceback.format_exception(refused))
    generate(softhsm, place)
    assert sign(open_holder(place, softhsm.pin), b"data")


def test_nobody_gets_in_with_a_wrong_pin_because_somebody_else_is_logged_in(
    softhsm: SoftHsm, token: str
) -> None:
    place = softhsm.place(token, "shared-login")
    generate(softhsm, place)
    assert sign(open_holder(place, softhsm.pin), b"data")
    refused = refusal(lambda: open_holder(place, Secret("a test", "31416")))
    assert (refused.code, "another PIN" in refused.detail) == ("trust.token_pin_refused", True)


def test_a_token_that_was_away_signs_again_when_it_is_back(softhsm: SoftHsm, tmp_path: Path) -> None:
    token = softhsm.token()
    place = softhsm.place(token, "wanders")
    generate(softhsm, place)
    holder = open_holder(place, softhsm.pin)
    home, away = softhsm.folder_of(token), tmp_path / "away"
    shutil.move(home, away)
    refused = refusal(lambda: sign(holder, b"data"))
    assert (refused.code, refused.is_retryable) == ("trust.token_unavailable", True)
    shutil.move(away, home)
    deadline = time.monotonic() + 20
    while not is_back(holder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert verifies(holder, sign(holder, b"data"), b"data")


def test_while_one_token_is_away_another_goes_on_signing(softhsm: SoftHsm, tmp_path: Path) -> None:
    places = [softhsm.place(softhsm.token(), "key") for _ in range(2)]
    for place in places:
        generate(softhsm, place)
    lost, other = (open_holder(place, softhsm.pin) for place in places)
    home, away = softhsm.folder_of(str(places[0].token)), tmp_path / "away"
    shutil.move(home, away)
    try:
        for _ in range(3):
            assert refusal(lambda: sign(lost, b"data")).code == "trust.token_unavailable"
            assert verifies(other, sign(other, b"data"), b"data")
    finally:
        shutil.move(away, home)
