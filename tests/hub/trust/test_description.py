# SPDX-License-Identifier: Apache-2.0
"""How certificates are named to people: organisations in full, persons not at all."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from hub.trust.description import full_name
from tests.hub.envelope.signers import throwaway_key

RESIDENT_ID = "11010519491231002X"  # the example of GB 11643


def name_of(*parts: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def test_an_organisation_is_named_in_full_with_readable_attributes() -> None:
    name = name_of(
        (NameOID.COUNTRY_NAME, "CN"),
        (NameOID.ORGANIZATION_NAME, "成华区人力资源和社会保障局"),
        (NameOID.ORGANIZATION_IDENTIFIER, "NTRCN-11510108MB1A00002M"),
        (NameOID.COMMON_NAME, "报文签名"),
    )
    assert full_name(name) == (
        "CN=报文签名,organizationIdentifier=NTRCN-11510108MB1A00002M,O=成华区人力资源和社会保障局,C=CN"
    )


def test_parts_of_one_rdn_stay_together_and_special_characters_are_escaped() -> None:
    rdn = x509.RelativeDistinguishedName(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a,b"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "c+d")]
    )
    assert sorted(full_name(x509.Name([rdn])).split("+O=")) in (["CN=a\\,b", "c\\+d"], ["O=c\\+d+CN=a\\,b"])


@pytest.mark.parametrize(
    "oid", [NameOID.GIVEN_NAME, NameOID.SURNAME, NameOID.PSEUDONYM, NameOID.EMAIL_ADDRESS, NameOID.USER_ID]
)
def test_a_persons_name_and_number_are_left_out(oid: x509.ObjectIdentifier) -> None:
    name = name_of(
        (NameOID.COUNTRY_NAME, "CN"),
        (oid, "personal"),
        (NameOID.COMMON_NAME, "王敏"),
        (NameOID.SERIAL_NUMBER, "IDCCN-7"),
    )
    told = full_name(name)
    assert "C=CN" in told
    for personal in ("personal", "王敏", "IDCCN"):
        assert personal not in told


@pytest.mark.parametrize("around", ["{}", "王敏@{}@01", "SF{}"])
@pytest.mark.parametrize(
    "oid", [NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER, NameOID.ORGANIZATIONAL_UNIT_NAME]
)
def test_a_resident_id_number_is_left_out_wherever_it_stands(oid: x509.ObjectIdentifier, around: str) -> None:
    assert RESIDENT_ID not in full_name(name_of((oid, around.format(RESIDENT_ID))))
    assert RESIDENT_ID.lower() not in full_name(name_of((oid, around.format(RESIDENT_ID.lower()))))


def test_a_number_that_is_no_resident_id_stays() -> None:
    assert (
        full_name(name_of((NameOID.SERIAL_NUMBER, "110105194912310021"))) == "serialNumber=110105194912310021"
    )


def test_an_overlong_name_is_cut() -> None:
    parts = [(NameOID.ORGANIZATIONAL_UNIT_NAME, "x" * 60)] * 20
    assert len(full_name(name_of(*parts))) == 500


def test_the_short_name_hides_persons_too() -> None:
    from hub.trust import describe

    certificate = throwaway_key(name=f"王敏{RESIDENT_ID}").certificate_chain[0]
    assert RESIDENT_ID not in describe(certificate)
