# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hub.custody import KeyAlgorithm, Secret, Subject, TokenPlace, open_key, read_request
from hub.errors import TrustError
from hub.identifiers import MemberId
from hub.keystore import KeyFolder, describe_key, stored_keys
from hub.trust import Use
from tests.hub.custody.authority import NOW, TestAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.softhsm import SoftHsm

MEMBER = MemberId("11510108MB1A00001J")
SECRET = Secret("a test", "correct horse battery")
SUBJECT = Subject(organization="成华区数据局", common_name="报文签名", member=MEMBER)
AUTHORITY = TestAuthority()


def folder_in(path: Path) -> KeyFolder:
    return KeyFolder(path / "keys", SECRET, member=MEMBER, signing_key=path / "hub.key.pem")


def answer_to(keys: KeyFolder, name: str) -> bytes:
    leaf = AUTHORITY.answer(read_request(keys.request(name)))
    return AUTHORITY.certificate.public_bytes(Encoding.PEM) + leaf.public_bytes(Encoding.PEM)


def test_a_key_goes_from_making_to_signing(tmp_path: Path) -> None:
    keys = folder_in(tmp_path)
    assert keys.stored() == []
    made = keys.generate("hub-2027", KeyAlgorithm.P256, SUBJECT, Use.ENVELOPE)
    assert (made.chain, made.request is not None) == ((), True)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    keys.import_answer("hub-2027", answer_to(keys, "hub-2027"), use=None, now=NOW, dry_run=True)
    assert keys.key("hub-2027").chain == ()
    keys.import_answer("hub-2027", answer_to(keys, "hub-2027"), use=None, now=NOW)
    chain = tmp_path / "keys" / "hub-2027.chain.pem"
    key = open_key(keys.key("hub-2027").place, chain, SECRET)
    assert key.sign(b"data")
    assert key.certificate_chain == keys.key("hub-2027").chain
    (row,) = (describe_key(each, NOW) for each in stored_keys(tmp_path / "keys"))
    assert row["certificate"]["days_left"] == 365
    assert row["place"] == "hub-2027.key.pem"


def test_beside_a_signing_key_in_a_token_new_keys_are_made_in_the_token(
    softhsm: SoftHsm, tmp_path: Path
) -> None:
    signing = softhsm.place(softhsm.shared_token(), "the-hub-of-today")
    keys = KeyFolder(tmp_path, softhsm.pin, member=MEMBER, signing_key=signing)
    made = keys.generate("hub-2027", KeyAlgorithm.P384, SUBJECT, Use.ENVELOPE)
    assert isinstance(made.place, TokenPlace)
    assert made.place.object == "hub-2027"
    keys.import_answer("hub-2027", answer_to(keys, "hub-2027"), use=None, now=NOW)
    assert open_key(made.place, tmp_path / "hub-2027.chain.pem", softhsm.pin).sign(b"data")
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "hub-2027.chain.pem",
        "hub-2027.key.uri",
        "hub-2027.request.pem",
    ]


@pytest.mark.parametrize("name", ["", "../hub", "a/b", ".hidden", "A", "-a", "a" * 64, "名"])
def test_a_name_that_is_no_file_name_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    keys = folder_in(tmp_path)
    for call in (
        lambda: keys.generate(name, KeyAlgorithm.P256, SUBJECT, Use.ENVELOPE),
        lambda: keys.key(name),
        lambda: keys.request(name),
    ):
        with pytest.raises(TrustError) as refused:
            call()
        assert refused.value.code == "trust.request_invalid"


def test_a_key_is_made_once_and_only_for_the_hubs_member(tmp_path: Path) -> None:
    keys = folder_in(tmp_path)
    stranger = Subject(organization="他", common_name="签名", member="11510108MB1A00002M")
    with pytest.raises(TrustError, match="own member"):
        keys.generate("other", KeyAlgorithm.P256, stranger, Use.SEAL)
    keys.generate("hub", KeyAlgorithm.P256, SUBJECT, Use.ENVELOPE)
    with pytest.raises(TrustError) as refused:
        keys.generate("hub", KeyAlgorithm.P256, SUBJECT, Use.ENVELOPE)
    assert refused.value.code == "trust.key_exists"
    with pytest.raises(TrustError) as unknown:
        keys.key("none")
    assert unknown.value.code == "trust.key_unknown"


def test_the_answer_to_another_keys_request_is_refused(tmp_path: Path) -> None:
    keys = folder_in(tmp_path)
    for name in ("one", "two"):
        keys.generate(name, KeyAlgorithm.P256, SUBJECT, Use.ENVELOPE)
    with pytest.raises(TrustError) as refused:
        keys.import_answer("one", answer_to(keys, "two"), use=None, now=NOW)
    assert refused.value.code == "trust.answer_unusable"
    assert keys.key("one").chain == ()
