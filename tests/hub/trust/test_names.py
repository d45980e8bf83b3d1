# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.errors import TrustError
from hub.trust import member_of_certificate

if TYPE_CHECKING:
    from tests.pki import ServedPki


@pytest.mark.parametrize("label", ["no-member-sign", "wrong-check-sign"])
def test_a_certificate_that_names_no_valid_member_speaks_for_nobody(pki: ServedPki, label: str) -> None:
    with pytest.raises(TrustError) as refused:
        member_of_certificate(pki.certificates(label)[0])
    assert refused.value.code == "trust.wrong_member"


@pytest.mark.parametrize(
    ("label", "member"),
    [
        ("hub-sign", "11510108MB1A00001J"),
        ("labour-seal", "11510108MB1A00002M"),
        ("federation-sign", "13510108MB1A00003J"),
        ("social-insurance-sign", "12510108MB1A00004Q"),
        ("tax-sign", "11510108MB1A00005Y"),
        ("civil-affairs-sign", "11510108MB1A000062"),
    ],
)
def test_a_certificate_speaks_for_the_member_in_its_subject(pki: ServedPki, label: str, member: str) -> None:
    assert member_of_certificate(pki.certificates(label)[0]) == member
