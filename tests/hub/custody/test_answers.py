# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from hub.custody import (
    Expectation,
    KeyAlgorithm,
    Secret,
    Subject,
    check_answer,
    generate_key,
    open_key,
    previous_of,
    read_certificates,
    read_request,
    request_certificate,
    undo_chain,
    write_chain,
)
from hub.errors import TrustError
from hub.identifiers import MemberId
from hub.trust import OnlineRevocation, Use, Validator
from tests.hub.custody.authority import NOW, TestAuthority, usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography import x509

    from tests.pki import ServedPki

MEMBER = MemberId("11510108MB1A00001J")
SECRET = Secret("a test", "correct horse battery")
SUBJECT = Subject(organization="成华区数据局", common_name="报文签名", member=MEMBER)
AUTHORITY = TestAuthority()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def expected(folder: Path) -> Expectation:
    """A key, what was asked for it, and what the answer has to fit."""
    holder = generate_key(folder / "own.key.pem", KeyAlgorithm.P256, SECRET)
    request = read_request(request_certificate(holder, SUBJECT, Use.ENVELOPE))
    return Expectation(public_key=holder.public_key, use=Use.ENVELOPE, at=NOW, member=MEMBER, request=request)


@pytest.fixture(scope="module")
def leaf(expected: Expectation) -> x509.Certificate:
    assert expected.request is not None
    return AUTHORITY.answer(expected.request)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def refused(call: Callable[[], object]) -> TrustError:
    with pytest.raises(TrustError) as caught:
        call()
    return caught.value


FORMS: dict[str, Callable[[tuple[x509.Certificate, ...]], bytes]] = {
    "PEM": lambda all_: pem(*all_),
    "PEM with words": lambda all_: b"Bag Attributes\n" + b"\nsubject=x\n".join(pem(each) for each in all_),
    "PKCS#7 in PEM": lambda all_: pkcs7.serialize_certificates(list(all_), Encoding.PEM),
    "PKCS#7 in DER": lambda all_: pkcs7.serialize_certificates(list(all_), Encoding.DER),
    "both": lambda all_: pem(all_[0]) + pkcs7.serialize_certificates(list(all_), Encoding.PEM),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_an_answer_is_read_in_any_form_and_put_in_order(
    expected: Expectation, leaf: x509.Certificate, form: str, seed: int
) -> None:
    sent = [leaf, AUTHORITY.certificate, AUTHORITY.root]
    random.Random(seed).shuffle(sent)  # noqa: S311 (an order, not a secret)
    answer = check_answer(read_certificates(FORMS[form](tuple(sent))), expected)
    assert answer.chain == (leaf, AUTHORITY.certificate)
    assert answer.as_pem() == pem(leaf, AUTHORITY.certificate)


def test_one_certificate_in_der_is_enough_and_warned_about(
    expected: Expectation, leaf: x509.Certificate
) -> None:
    answer = check_answer(read_certificates(leaf.public_bytes(Encoding.DER)), expected)
    assert answer.chain == (leaf,)
    assert any("did not come along" in warning for warning in answer.warnings)


def test_what_does_not_belong_to_the_chain_is_left_out(expected: Expectation, leaf: x509.Certificate) -> None:
    stranger = TestAuthority()
    sent = (stranger.root, leaf, stranger.certificate, AUTHORITY.certificate)
    answer = check_answer(sent, expected)
    assert answer.chain == (leaf, AUTHORITY.certificate)
    assert any("2 certificates do not belong" in warning for warning in answer.warnings)


def test_an_authority_that_only_bears_the_name_is_left_out(
    expected: Expectation, leaf: x509.Certificate
) -> None:
    answer = check_answer((leaf, TestAuthority().certificate), expected)
    assert answer.chain == (leaf,)


def test_of_two_certificates_for_the_key_the_newer_is_taken(expected: Expectation) -> None:
    assert expected.request is not None
    old = AUTHORITY.answer(expected.request, begins=NOW - timedelta(days=300))
    new = AUTHORITY.answer(expected.request, begins=NOW - timedelta(hours=1))
    assert check_answer((old, new, AUTHORITY.certificate), expected).chain[0] == new


def test_a_certificate_for_another_key_is_refused(expected: Expectation, tmp_path: Path) -> None:
    other = generate_key(tmp_path / "other.key.pem", KeyAlgorithm.P256, SECRET)
    answer = AUTHORITY.answer(read_request(request_certificate(other, SUBJECT, Use.ENVELOPE)))
    error = refused(lambda: check_answer((answer, AUTHORITY.certificate), expected))
    assert error.code == "trust.answer_unusable"
    assert error.finding is not None
    assert error.finding.reason_id == "answer_for_another_key"


def test_a_certificate_that_does_not_fit_the_request_is_refused(
    expected: Expectation, leaf: x509.Certificate, tmp_path: Path
) -> None:
    other = generate_key(tmp_path / "other.key.pem", KeyAlgorithm.P256, SECRET)
    swapped = replace(expected, request=read_request(request_certificate(other, SUBJECT, Use.ENVELOPE)))
    error = refused(lambda: check_answer((leaf,), swapped))
    assert error.finding is not None
    assert error.finding.reason_id == "answer_for_another_request"


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (Subject(organization="成华区数据局", common_name="签名", member="11510108MB1A00002M"), "member"),
        (Subject(organization="另一单位", common_name="签名", member=MEMBER), "subject"),
    ],
)
def test_a_certificate_for_another_member_or_organization_is_refused(
    expected: Expectation, subject: Subject, reason: str
) -> None:
    assert expected.request is not None
    answer = AUTHORITY.answer(expected.request, subject=subject.name())
    error = refused(lambda: check_answer((answer,), expected))
    assert error.finding is not None
    assert error.finding.reason_id == f"answer_for_another_{reason}"


@pytest.mark.parametrize(
    "key_usage", [usage("key_encipherment"), usage("digital_signature", "key_cert_sign"), usage("crl_sign")]
)
def test_a_certificate_for_another_use_is_refused(expected: Expectation, key_usage: x509.KeyUsage) -> None:
    assert expected.request is not None
    answer = AUTHORITY.answer(expected.request, key_usage=key_usage)
    assert refused(lambda: check_answer((answer,), expected)).code == "trust.usage_not_allowed"


@pytest.mark.parametrize("use", [Use.TLS_CLIENT, Use.TIMESTAMP])
def test_a_certificate_without_its_extended_usage_is_refused(tmp_path: Path, use: Use) -> None:
    holder = generate_key(tmp_path / "own.key.pem", KeyAlgorithm.P256, SECRET)
    request = read_request(request_certificate(holder, SUBJECT, use))
    wanted = Expectation(public_key=holder.public_key, use=use, at=NOW, request=request)
    check_answer((AUTHORITY.answer(request),), wanted)
    without = AUTHORITY.answer(request, copies_extended_usage=False)
    assert refused(lambda: check_answer((without,), wanted)).code == "trust.usage_not_allowed"


def test_a_certificate_that_has_ended_is_refused_and_one_that_begins_later_is_warned_about(
    expected: Expectation,
) -> None:
    assert expected.request is not None
    ended = AUTHORITY.answer(expected.request, ends=NOW - timedelta(seconds=1))
    assert refused(lambda: check_answer((ended,), expected)).code == "trust.certificate_expired"
    later = AUTHORITY.answer(expected.request, begins=NOW + timedelta(days=1))
    assert any("valid only from" in each for each in check_answer((later,), expected).warnings)


@pytest.mark.parametrize("cut", [1, 30, 60, 200])
def test_a_pem_file_that_was_cut_off_is_refused(leaf: x509.Certificate, cut: int) -> None:
    whole = pem(leaf, AUTHORITY.certificate)
    assert (
        refused(lambda: read_certificates(whole[:-cut] if cut > 1 else b"")).code == "trust.answer_unusable"
    )


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_holds_no_certificate_is_refused(content: bytes) -> None:
    assert refused(lambda: read_certificates(content)).code == "trust.answer_unusable"


def test_a_file_with_a_private_key_or_too_much_in_it_is_refused(
    folder: Path, leaf: x509.Certificate, expected: Expectation
) -> None:
    del expected
    mixed = pem(leaf) + (folder / "own.key.pem").read_bytes()
    error = refused(lambda: read_certificates(mixed))
    assert error.finding is not None
    assert error.finding.reason_id == "answer_with_private_key"
    many = b"".join(pem(TestAuthority().root) for _ in range(21))
    assert "21 certificates" in refused(lambda: read_certificates(many)).detail
    assert "more than" in refused(lambda: read_certificates(b"x" * 300_000)).detail


def test_a_request_is_no_answer(expected: Expectation) -> None:
    assert expected.request is not None
    content = expected.request.public_bytes(Encoding.PEM)
    assert refused(lambda: read_certificates(content)).code == "trust.answer_unusable"


def test_an_imported_chain_opens_with_its_key_and_can_be_undone(
    folder: Path, expected: Expectation, leaf: x509.Certificate, tmp_path: Path
) -> None:
    assert expected.request is not None
    chain = tmp_path / "own.chain.pem"
    first = check_answer((leaf, AUTHORITY.certificate), expected)
    assert write_chain(chain, first) is False
    newer = AUTHORITY.answer(expected.request, begins=NOW)
    assert write_chain(chain, check_answer((newer, AUTHORITY.certificate), expected)) is True
    assert open_key(folder / "own.key.pem", chain, SECRET).certificate_chain[0] == newer
    assert undo_chain(chain)[0] == leaf
    assert open_key(folder / "own.key.pem", chain, SECRET).certificate_chain[0] == leaf
    assert undo_chain(chain)[0] == newer
    assert sorted(each.name for each in tmp_path.iterdir()) == [chain.name, previous_of(chain).name]


def test_nothing_is_undone_where_nothing_was_imported(tmp_path: Path) -> None:
    assert refused(lambda: undo_chain(tmp_path / "chain.pem")).code == "trust.key_unusable"


def test_a_chain_is_written_beside_a_link_and_not_through_it(
    expected: Expectation, leaf: x509.Certificate, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"stays")
    chain = tmp_path / "own.chain.pem"
    chain.symlink_to(stranger)
    write_chain(chain, check_answer((leaf,), expected))
    assert stranger.read_bytes() == b"stays"
    assert not chain.is_symlink()


def validator(pki: ServedPki) -> Validator:
    return Validator(pki.approved(), OnlineRevocation())


def test_with_a_trust_list_an_approved_authority_is_asked_for(
    pki: ServedPki, expected: Expectation, leaf: x509.Certificate
) -> None:
    strict = replace(expected, validator=validator(pki))
    assert (
        refused(lambda: check_answer((leaf, AUTHORITY.certificate), strict)).code == "trust.unknown_authority"
    )


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("labour-sign", None),
        ("labour-revoked", "trust.certificate_revoked"),
        ("labour-unlisted", "trust.unknown_authority"),
    ],
)
def test_with_a_trust_list_an_answer_is_judged_as_others_will_judge_it(
    pki: ServedPki, label: str, code: str | None
) -> None:
    chain = pki.certificates(label)
    wanted = Expectation(
        public_key=chain[0].public_key(),
        use=Use.ENVELOPE,
        at=NOW,
        member=MemberId("11510108MB1A00002M"),
        validator=validator(pki),
    )
    if code is None:
        assert check_answer(chain, wanted).warnings == ()
    else:
        assert refused(lambda: check_answer(chain, wanted)).code == code
