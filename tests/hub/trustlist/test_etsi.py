# SPDX-License-Identifier: Apache-2.0
"""Trusted lists of ETSI TS 119 612: what the operator signed becomes a draft, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from pyhanko.sign.validation.qualified.eutl_parse import trust_list_to_registry
from pyhanko_certvalidator.authority import AuthorityWithCert

from hub.errors import TrustError
from hub.trust import Use
from hub.trustlist.etsi import Import, import_etsi, read_etsi_list, signed_list
from tests.hub.trustlist.etsi_lists import (
    NOW,
    OLD_STATUS,
    STATUS,
    TYPE,
    Listed,
    Operator,
    additional,
    certificate,
    granted,
    sign_list,
    write_list,
)

OPERATOR = Operator()
CA = certificate("Seal CA", is_authority=True)
TSA = certificate("TSA", is_authority=False)
OCSP = certificate("OCSP", is_authority=False)
LIST = "{http://uri.etsi.org/02231/v2#}TrustServiceStatusList"


def imported(raw: bytes) -> Import:
    root = signed_list(raw, [OPERATOR.certificate])
    return import_etsi(read_etsi_list(root), uses=[Use.ENVELOPE, Use.SEAL], now=NOW)


def imported_services(*services: Listed) -> Import:
    return imported(sign_list(write_list(*services), OPERATOR))


def refused(raw: bytes, *, operator: Operator = OPERATOR) -> str:
    with pytest.raises(TrustError) as caught:
        read_etsi_list(signed_list(raw, [operator.certificate]))
    assert caught.value.finding is not None
    return caught.value.code


def test_authorities_time_stamps_and_responders_become_rows() -> None:
    made = imported_services(
        granted("Seals", f"{TYPE}CA/QC", CA, extensions=additional("ForeSeals", "ForeSignatures")),
        granted("Stamps", f"{TYPE}TSA/QTST", TSA, supply_point="https://tsa.example/rfc3161"),
        granted("Answers", f"{TYPE}Certstatus/OCSP/QC", OCSP),
    )
    assert made.unmapped == ()
    assert made.source == "Scheme operator CN no. 42"
    [authority], [stamps], [answers] = made.authorities, made.time_stamping, made.ocsp_responders
    assert (authority.certificate, authority.is_anchor) == (CA, True)
    assert authority.uses == (Use.ENVELOPE, Use.SEAL)
    assert authority.name == "服务机构: Seals"
    assert (authority.approved_from, authority.approved_until) == (NOW - timedelta(days=3650), None)
    assert (stamps.certificate, stamps.url) == (TSA, "https://tsa.example/rfc3161")
    assert (answers.certificate, answers.url) == (OCSP, None)


def test_a_history_gives_the_last_span_of_approval_and_tells_of_the_others() -> None:
    day = [NOW - timedelta(days=days) for days in (100, 1000, 2000, 3000)]
    withdrawn = Listed(
        "Left",
        f"{TYPE}CA/QC",
        (CA,),
        (
            (f"{STATUS}withdrawn", day[0]),
            (f"{STATUS}granted", day[1]),
            (f"{OLD_STATUS}undersupervision", day[2]),
        ),
    )
    made = imported_services(withdrawn)
    [row] = made.authorities
    assert (row.approved_from, row.approved_until) == (day[2], day[0]), "supervision went over into granted"
    assert [each.is_dropped for each in made.unmapped] == [False]

    returned = Listed(
        "Came back",
        f"{TYPE}CA/QC",
        (CA,),
        (
            (f"{STATUS}recognisedatnationallevel", day[0]),
            (f"{STATUS}withdrawn", day[1]),
            (f"{STATUS}granted", day[2]),
        ),
    )
    made = imported_services(returned)
    [row] = made.authorities
    assert (row.approved_from, row.approved_until) == (day[0], None)
    assert "earlier approval" in made.unmapped[0].reason


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (granted("Registered mail", f"{TYPE}EDS/Q", CA), "no place"),
        (granted("Root that issues CRLs", f"{TYPE}Certstatus/CRL/QC", CA), "no place"),
        (granted("No certificate", f"{TYPE}CA/QC"), "no certificate"),
        (granted("Persons", f"{TYPE}CA/QC", CA, extensions=additional("ForeSignatures")), "for persons"),
        (granted("Leaf", f"{TYPE}CA/QC", TSA), "no authority's certificate"),
        (granted("Responder that issues", f"{TYPE}Certstatus/OCSP", CA), "is an authority's"),
        (
            granted(
                "Taken over", f"{TYPE}CA/QC", CA, extensions='<Extension Critical="true"><X/></Extension>'
            ),
            "not understood: X",
        ),
        (
            Listed("Never", f"{TYPE}CA/QC", (CA,), ((f"{STATUS}withdrawn", NOW - timedelta(days=5)),)),
            "never approved",
        ),
        (
            Listed("Strange", f"{TYPE}CA/QC", (CA,), (("http://evil.example/granted", NOW),)),
            "never approved",
        ),
        (
            granted(
                "Weak",
                f"{TYPE}CA/QC",
                certificate("Weak", is_authority=True, key=rsa.generate_private_key(65537, 1024)),  # noqa: S505
            ),
            "not allowed",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Listed) else "",
)
def test_what_cannot_be_mapped_is_told_and_not_dropped_silently(service: Listed, reason: str) -> None:
    made = imported_services(service)
    assert (made.authorities, made.time_stamping, made.ocsp_responders) == ((), (), ())
    [told] = made.unmapped
    assert told.is_dropped
    assert told.service == f"服务机构: {service.name}"
    assert reason in told.reason


def test_an_authority_for_time_stamps_may_issue_stamps_and_nothing_else() -> None:
    [row] = imported_services(granted("Stamping CA", f"{TYPE}TSA/QTST", CA)).authorities
    assert row.uses == (Use.TIMESTAMP,)


def test_a_certificate_listed_twice_has_one_row() -> None:
    made = imported_services(granted("One", f"{TYPE}CA/QC", CA), granted("Other", f"{TYPE}CA/PKC", CA))
    assert [row.name for row in made.authorities] == ["服务机构: One"]
    assert "has a row already" in made.unmapped[0].reason


def test_an_authority_that_may_issue_authorities_is_remarked_on() -> None:
    above = certificate("Root", is_authority=True, length=None)
    made = imported_services(granted("Root", f"{TYPE}CA/QC", above))
    assert not made.authorities[0].reaches_below
    assert "reaches_below" in made.unmapped[0].reason


def test_an_overdue_list_is_refused_and_a_closed_one_is_remarked_on() -> None:
    services = (granted("Seals", f"{TYPE}CA/QC", CA),)
    overdue = sign_list(write_list(*services, next_update=NOW), OPERATOR)
    with pytest.raises(TrustError) as caught:
        imported(overdue)
    assert caught.value.code == "trust.trust_list_outdated"
    closed = imported(sign_list(write_list(*services, next_update=None), OPERATOR))
    assert "closed" in closed.unmapped[0].reason


def test_pyhanko_reads_the_same_authorities_and_stamps_from_the_same_list() -> None:
    raw = sign_list(
        write_list(
            granted("Seals", f"{TYPE}CA/QC", CA, extensions=additional("ForeSeals")),
            granted("Stamps", f"{TYPE}TSA/QTST", TSA),
        ),
        OPERATOR,
    )
    operator = asn1_x509.Certificate.load(OPERATOR.certificate.public_bytes(Encoding.DER))
    registry, errors = trust_list_to_registry(raw.decode(), [operator])
    made = imported(raw)
    known = {
        each.certificate.dump()
        for each in (*registry.known_certificate_authorities, *registry.known_timestamp_authorities)
        if isinstance(each, AuthorityWithCert)
    }
    rows = (*made.authorities, *made.time_stamping)
    assert errors == []
    assert known == {row.certificate.public_bytes(Encoding.DER) for row in rows}


# Attacks


def test_a_list_that_nobody_or_a_stranger_signed_is_refused() -> None:
    raw = write_list(granted("Seals", f"{TYPE}CA/QC", CA))
    assert refused(raw) == "trust.trust_list_untrusted"
    assert refused(sign_list(raw, Operator())) == "trust.trust_list_untrusted"
    with pytest.raises(TrustError):
        signed_list(sign_list(raw, OPERATOR), [])


def test_a_list_with_any_text_changed_is_refused() -> None:
    raw = sign_list(write_list(granted("Seals", f"{TYPE}CA/QC", CA)), OPERATOR)
    for was, becomes in (
        (b"withdrawn", b"granted"),
        (b"granted", b"withdrawn"),
        (b"Seals", b"Sealz"),
        (b"CA/QC", b"CA/QD"),
        (b"<TSLSequenceNumber>42", b"<TSLSequenceNumber>43"),
        (b"<NextUpdate><dateTime>2026", b"<NextUpdate><dateTime>2036"),
    ):
        if was in raw:
            assert refused(raw.replace(was, becomes)) == "trust.trust_list_untrusted"


def test_a_signed_list_wrapped_in_another_one_shows_only_itself() -> None:
    """Signature wrapping: the signature holds, but around it or beside it stands a list nobody signed."""
    evil = certificate("Evil CA", is_authority=True)
    honest = etree.fromstring(sign_list(write_list(granted("Honest", f"{TYPE}CA/QC", CA)), OPERATOR))
    signature = honest.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert signature is not None

    outer = etree.fromstring(write_list(granted("Evil", f"{TYPE}CA/QC", evil)))
    outer.set("Id", "outer")
    outer.append(signature)
    outer.append(honest)
    _only_honest_or_refused(etree.tostring(outer), evil)

    honest = etree.fromstring(sign_list(write_list(granted("Honest", f"{TYPE}CA/QC", CA)), OPERATOR))
    honest.append(etree.fromstring(write_list(granted("Evil", f"{TYPE}CA/QC", evil))))
    _only_honest_or_refused(etree.tostring(honest), evil)

    honest = etree.fromstring(sign_list(write_list(granted("Honest", f"{TYPE}CA/QC", CA)), OPERATOR))
    signature = honest.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert signature is not None
    hidden = etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object")
    hidden.append(etree.fromstring(write_list(granted("Evil", f"{TYPE}CA/QC", evil))))
    _only_honest_or_refused(etree.tostring(honest), evil)


def _only_honest_or_refused(raw: bytes, evil: object) -> None:
    try:
        made = imported(raw)
    except TrustError as exc:
        codes = {exc.code}
    else:
        codes = set()
        assert evil not in [row.certificate for row in made.authorities]
    assert codes <= {"trust.trust_list_untrusted"}


def test_a_signature_over_something_else_in_the_list_does_not_cover_the_list() -> None:
    part = etree.fromstring(b'<Part xmlns="http://example.org/" Id="part"/>')
    signed = etree.fromstring(sign_list(etree.tostring(part), OPERATOR))
    signature = signed.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert signature is not None
    whole = etree.fromstring(write_list(granted("Evil", f"{TYPE}CA/QC", CA)))
    whole.append(signature)
    assert refused(etree.tostring(whole)) == "trust.trust_list_untrusted"
    assert refused(etree.tostring(signed)) == "trust.trust_list_untrusted", "signed, but no trusted list"


BOMB = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE x [<!ENTITY % remote SYSTEM "http://127.0.0.1:9/evil.dtd"> %remote;]>',
        f'<!DOCTYPE x [<!ENTITY l0 "lol">{BOMB}]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/evil.dtd">',
        "<!DOCTYPE TrustServiceStatusList>",
        '<!DOCTYPE x [<!ATTLIST Extension Critical CDATA "false">]>',
    ],
    ids=["file", "parameter entity", "billion laughs", "external", "empty", "attribute default"],
)
def test_a_document_type_declaration_is_refused_whatever_it_says(declaration: str) -> None:
    raw = sign_list(write_list(granted("Seals", f"{TYPE}CA/QC", CA)), OPERATOR)
    head, _, rest = raw.partition(b"?>")
    attacked = head + b"?>" + declaration.encode() + rest.replace(b"Provider", b"Provider&l9;&secret;")
    assert refused(attacked) == "trust.trust_list_invalid"
    assert refused(head + b"?>" + declaration.encode() + rest) == "trust.trust_list_invalid"


@pytest.mark.parametrize("raw", [b"", b"{}", b"<a>", b"<a/>" * 2, b"\xff\xfe\x00", bytes(40_000_000)])
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    assert refused(raw) == "trust.trust_list_invalid"


def test_another_version_of_the_format_is_refused() -> None:
    raw = sign_list(write_list(granted("Seals", f"{TYPE}CA/QC", CA), version=4), OPERATOR)
    assert refused(raw) == "trust.trust_list_invalid"
