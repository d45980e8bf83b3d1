# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from hub.custody import TokenPlace, read_key_place

FOLDER = Path("/srv/hub")


def test_a_path_starts_at_the_folder() -> None:
    assert read_key_place("keys/hub.key.pem", FOLDER) == FOLDER / "keys" / "hub.key.pem"


def test_a_uri_is_taken_apart_and_put_together_again() -> None:
    uri = "pkcs11:token=Hub%20%E5%8D%B0;serial=DECC0401648;object=sign;id=%01%a0?module-path=/opt/m.so"
    place = read_key_place(uri, FOLDER)
    assert place == TokenPlace(
        token="Hub 印",  # noqa: S106 (the label of a token)
        serial="DECC0401648",
        object="sign",
        id=b"\x01\xa0",
        module=Path("/opt/m.so"),
    )
    assert read_key_place(str(place), FOLDER) == place


def test_the_type_of_a_key_may_be_named() -> None:
    assert read_key_place("pkcs11:token=t;object=o;type=private", FOLDER) == TokenPlace(token="t", object="o")  # noqa: S106


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("pkcs11:object=o", "names no token"),
        ("pkcs11:token=;object=o", "names no token"),
        ("pkcs11:token=t", "names no key"),
        ("pkcs11:token=t;object=", "names no key"),
        ("pkcs11:token=t;object=o;type=cert", "type"),
        ("pkcs11:token=t;object=o;slot-id=1", "slot-id"),
        ("pkcs11:token=t;token=u;object=o", "stands twice"),
        ("pkcs11:token=t;object", "no value"),
        ("pkcs11:token=t;object=%4", "percent"),
        ("pkcs11:token=t;object=%ff", "UTF-8"),
        ("pkcs11:token=t;object=o?module-name=m", "module-name"),
        ("pkcs11:token=t;object=o?pin-value=49152", "PIN"),
        ("pkcs11:token=t;object=o?pin-source=file:/49152", "PIN"),
    ],
)
def test_a_uri_that_could_mean_another_key_or_carries_a_pin_is_refused(uri: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint) as refused:
        read_key_place(uri, FOLDER)
    assert "49152" not in str(refused.value)
