# SPDX-License-Identifier: Apache-2.0
"""Certificates that are made to cost time, to end in a circle or to slip through."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asn1crypto.core
import asn1crypto.x509
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from hub.errors import TrustError
from hub.trust import USE_POLICIES, HeldRevocation, RevocationAnswer, TrustList, Use, Validator
from hub.trust.contents import MOST_POLICIES, read
from hub.trust.paths import MOST_PATHS, MOST_STEPS, Listed, find_paths
from hub.trust.policies import enter, leave, start
from tests.hub.trust.chains import (
    AT,
    POLICY,
    Made,
    crl_of,
    make,
    make_leaf,
    name,
    policies,
    row,
    usage,
    validate,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hub.trust.contents import Contents
    from hub.trust.distinguishednames import ComparableName


def reason(leaf: Made, *between: Made, root: Made, **how: object) -> str:
    with pytest.raises(TrustError) as refused:
        validate(leaf, *between, root=root, **how)  # type: ignore[arg-type]
    assert refused.value.finding is not None
    return refused.value.finding.reason_id


class CountingListed(Listed):
    """Counts how often the list was searched."""

    searches = 0

    def named(self, subject: ComparableName) -> list[Contents]:
        self.searches += 1
        return super().named(subject)


class NobodyAsked:
    """A source that must not be asked."""

    def ocsp_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        raise AssertionError(f"asked about {certificate} at {at}, whose issuer is {issuer}")

    crl_answers = ocsp_answers


def cross_certified(count: int) -> list[Made]:
    """Authorities that share one name, each with a key of its own, all certified by each other."""
    shared = name("crowd")
    selves = [make(shared, key_label=f"crowd {number}", with_key_ids=False) for number in range(count)]
    return [
        make(shared, signer, key_label=f"crowd {subject}", with_key_ids=False)
        for subject in range(count)
        for number, signer in enumerate(selves)
        if number != subject
    ]


def test_a_crowd_of_authorities_with_one_name_costs_a_bounded_search() -> None:
    root, crowd = make("root"), cross_certified(9)
    listed = CountingListed(TrustList((row(root), *(row(each, is_anchor=False) for each in crowd))))
    leaf = read(make_leaf(crowd[0], with_key_ids=False).certificate)

    paths = list(find_paths(leaf, (), listed, longest=8))

    assert paths == []
    assert len(crowd) == 72
    assert listed.searches <= MOST_STEPS + 1


def test_of_many_paths_only_a_few_are_tried() -> None:
    shared = name("crowd")
    roots = [make(shared, key_label=f"crowd {number}", with_key_ids=False) for number in range(40)]
    listed = Listed(TrustList(tuple(row(each) for each in roots)))
    leaf = read(make_leaf(roots[-1], with_key_ids=False).certificate)

    assert len(list(find_paths(leaf, (), listed, longest=8))) == MOST_PATHS


def test_what_comes_along_hides_no_listed_authority() -> None:
    root = make("root")
    authority = make("authority", root)
    twins = [
        make("authority", make("root", key_label=f"false {n}"), key_label=f"false {n}") for n in range(5)
    ]
    leaf = make_leaf(authority, with_key_ids=False)

    validator = Validator(
        TrustList((row(root), row(authority, is_anchor=False))),
        HeldRevocation([], [crl_of(root), crl_of(authority)]),
        policies={**USE_POLICIES, Use.ENVELOPE: POLICY},
    )
    chain = [leaf.certificate, *(twin.certificate for twin in twins)]
    assert validator.validate(chain, use=Use.ENVELOPE, at=AT).path[1] == authority.certificate


def test_authorities_in_a_circle_lead_nowhere() -> None:
    first = make("first", make("second"))
    second = make("second", make("first"))
    assert reason(make_leaf(first), first, second, root=make("root")) == "no_path"


def test_an_authority_that_issued_to_itself_is_passed_once() -> None:
    root = make("root")
    authority = make("authority", root)
    again = make("authority", authority)
    leaf = make_leaf(authority)
    listed = Listed(TrustList((row(root),)))
    paths = find_paths(read(leaf.certificate), [again.certificate, authority.certificate], listed, longest=8)
    assert [len(path) for path in paths] == [3]
    assert len(validate(leaf, again, authority, root=root).path) == 3


def test_a_path_is_no_longer_than_the_use_allows() -> None:
    path = [make("root")]
    for number in range(4):
        path.append(make(f"authority {number}", path[-1]))
    root, *between = path
    leaf = make_leaf(between[-1])
    assert len(validate(leaf, *between, root=root).path) == 6
    assert reason(leaf, *between, root=root, policy=replace(POLICY, longest_path=5)) == "no_path"


def test_policies_that_multiply_with_every_authority_stay_as_many_as_one_states() -> None:
    """Each policy is mapped to all, so the tree of RFC 5280 has twelve times as many nodes a level."""
    oids = [f"1.3.6.1.4.1.99999.{number}" for number in range(12)]
    pairs = [{"issuer_domain_policy": a, "subject_domain_policy": b} for a in oids for b in oids]
    mappings = x509.UnrecognizedExtension(
        ObjectIdentifier("2.5.29.33"), asn1crypto.x509.PolicyMappings(pairs).dump()
    )
    above = make("root")
    state = start(8, explicit=True, inhibits_mapping=False, inhibits_any=False)
    for number in range(7):
        above = make(f"authority {number}", above, extensions=[policies(*oids), (mappings, True)])
        state = leave(enter(state, read(above.certificate), is_last=False), read(above.certificate))
        assert len(state.nodes) == 12
    assert state.is_acceptable
    assert all(len(node.origins) == 12 for node in state.nodes.values())


def test_a_certificate_that_states_hundreds_of_policies_is_not_read() -> None:
    many = policies(*(f"1.3.6.1.4.1.99999.{number}" for number in range(MOST_POLICIES + 1)))
    root = make("root")
    assert reason(make_leaf(root, extensions=[many]), root=root) == "unreadable"


def test_a_thousand_constraints_hold_a_few_names_and_refuse_a_thousand() -> None:
    root = make("root")
    permitted = [x509.DNSName(f"host{number}.test") for number in range(1000)]
    authority = make("authority", root, extensions=[(x509.NameConstraints(permitted, None), True)])
    few = make_leaf(authority, "leaf", x509.DNSName("www.host999.test"))
    assert validate(few, authority, root=root).leaf == few.certificate

    many = make_leaf(authority, "leaf", *permitted)
    assert reason(many, authority, root=root) == "names_too_many"


def test_constraints_cost_nothing_before_the_signatures_hold() -> None:
    root = make("root")
    permitted = [x509.DNSName(f"host{number}.test") for number in range(1000)]
    stranger = make("root", key_label="another key", with_key_ids=False)
    authority = make(
        "authority", stranger, extensions=[(x509.NameConstraints(permitted, None), True)], with_key_ids=False
    )
    assert reason(make_leaf(authority, "leaf", *permitted), authority, root=root) == "not_signed_by_issuer"


@pytest.mark.parametrize(
    ("base", "held", "refused"),
    [
        ("uri", "https://www.example.test/", "https://10.0.0.1/"),
        ("uri", "https://user@www.example.test:8443/", "https://www.example.test@evil.test/"),
        ("uri", "https://www.example.test?x=/", "urn:www.example.test"),
        ("uri", "https://WWW.EXAMPLE.TEST", "https://evil.test\\@www.example.test/"),
        ("dns", "example.test", "notexample.test"),
        ("dns", "a.b.example.test", "example.test.evil"),
        ("dns", "*.example.test", ".example.test"),
        ("mail", "somebody@example.test", "somebody@www.example.test"),
        ("mail", "a@evil.test@example.test", "somebody@example.test@evil.test"),
    ],
)
def test_a_name_is_permitted_only_where_it_lies(base: str, held: str, refused: str) -> None:
    kind: Any = {"uri": x509.UniformResourceIdentifier, "dns": x509.DNSName, "mail": x509.RFC822Name}[base]
    make_name = kind._init_without_validation  # noqa: SLF001 (hostile names do not pass the constructor)
    where = {"uri": "www.example.test", "dns": "example.test", "mail": "example.test"}[base]
    root = make("root")
    authority = make("authority", root, extensions=[(x509.NameConstraints([make_name(where)], None), True)])

    leaf = make_leaf(authority, "leaf", make_name(held))
    assert validate(leaf, authority, root=root).leaf == leaf.certificate
    leaf = make_leaf(authority, "leaf", make_name(refused))
    assert reason(leaf, authority, root=root) == "name_not_permitted"


@pytest.mark.parametrize(
    ("excluded", "names"),
    [
        (x509.DNSName("www.example.test"), [x509.DNSName("*.example.test")]),
        (x509.DNSName("example.test"), [x509.DNSName("WWW.EXAMPLE.TEST.")]),
        (x509.RFC822Name("example.test"), [x509.RFC822Name("x@EXAMPLE.test")]),
        (x509.UniformResourceIdentifier("evil.test"), [x509.UniformResourceIdentifier("urn:isbn:1")]),
        (x509.DirectoryName(name("LEAF  ")), []),
    ],
)
def test_what_is_excluded_is_excluded_in_every_guise(
    excluded: x509.GeneralName, names: list[x509.GeneralName]
) -> None:
    root = make("root")
    authority = make("authority", root, extensions=[(x509.NameConstraints(None, [excluded]), True)])
    assert reason(make_leaf(authority, "leaf", *names), authority, root=root) == "name_excluded"


def test_a_mailbox_in_the_subject_is_held_to_constraints() -> None:
    root = make("root")
    constraints = x509.NameConstraints([x509.RFC822Name("example.test")], None)
    authority = make("authority", root, extensions=[(constraints, True)])
    mailbox = x509.NameAttribute(NameOID.EMAIL_ADDRESS, "somebody@evil.test")
    with pytest.raises(TrustError) as refused:
        validate(make_leaf(authority, name("leaf", mailbox)), authority, root=root)
    assert refused.value.finding is not None
    assert refused.value.finding.reason_id == "name_not_permitted"
    assert "somebody" not in refused.value.detail, "persons are not named in refusals"


@pytest.mark.parametrize("is_critical", [True, False])
def test_a_constrained_form_of_name_that_is_not_understood_is_refused(is_critical: bool) -> None:  # noqa: FBT001
    root = make("root")
    other = x509.OtherName(ObjectIdentifier("1.2.3.4"), asn1crypto.core.UTF8String("x").dump())
    authority = make("authority", root, extensions=[(x509.NameConstraints([other], None), is_critical)])
    assert reason(make_leaf(authority, "leaf", other), authority, root=root) == "name_not_understood"
    plain = make_leaf(authority, "leaf", x509.DNSName("www.example.test"))
    assert validate(plain, authority, root=root).leaf == plain.certificate


def test_a_mailbox_in_utf8_does_not_slip_past_constraints_on_mailboxes() -> None:
    root = make("root")
    authority = make(
        "authority", root, extensions=[(x509.NameConstraints([x509.RFC822Name("example.test")], None), True)]
    )
    mailbox = asn1crypto.core.UTF8String("办公室@evil.test").dump()
    leaf = make_leaf(authority, "leaf", x509.OtherName(ObjectIdentifier("1.3.6.1.5.5.7.8.9"), mailbox))
    assert reason(leaf, authority, root=root) == "name_not_understood"


def test_a_constraint_with_a_minimum_is_refused() -> None:
    subtree = {"base": asn1crypto.x509.GeneralName("dns_name", "example.test"), "minimum": 1}
    der = asn1crypto.x509.NameConstraints({"permitted_subtrees": [subtree]}).dump()
    constraints = x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.30"), der)
    root = make("root")
    authority = make("authority", root, extensions=[(constraints, True)])
    assert reason(make_leaf(authority), authority, root=root) == "unreadable"


def test_what_a_root_says_of_itself_limits_it_too() -> None:
    constraints = x509.NameConstraints(None, [x509.DNSName("evil.test")])
    root = make("root", path_length=0, extensions=[(constraints, True)])
    assert reason(make_leaf(root, "leaf", x509.DNSName("www.evil.test")), root=root) == "name_excluded"
    authority = make("authority", root)
    assert reason(make_leaf(authority), authority, root=root) == "path_too_long"
    silent = make("root", key_usage=usage("crl_sign"))
    assert reason(make_leaf(silent), root=silent) == "may_not_sign_certificates"


def test_an_extension_that_stands_twice_makes_a_certificate_unreadable() -> None:
    root = make("root")
    leaf = make_leaf(root, extensions=[policies("1.2.3.4.5")])
    twice = _resigned(leaf, root, _with_an_extension_twice)
    assert reason(twice, root=root) == "unreadable"


def test_the_algorithm_beside_the_signature_is_the_one_that_was_signed() -> None:
    root = make("root")
    der = asn1crypto.x509.Certificate.load(make_leaf(root).der)
    der["signature_algorithm"]["algorithm"] = "sha384_ecdsa"
    leaf = Made(x509.load_der_x509_certificate(der.dump(force=True)), root.key)
    assert reason(leaf, root=root) == "algorithm_not_allowed"


def test_a_certificate_of_version_1_is_no_authority_unless_it_is_a_listed_root() -> None:
    root = make("root")
    old = _resigned(make("old authority", root), root, _to_version_1)
    assert old.certificate.version is x509.Version.v1
    leaf = make_leaf(old, with_key_ids=False)
    assert reason(leaf, old, root=root) == "not_an_authority"
    assert validate(leaf, root=old).leaf == leaf.certificate


def test_nobody_is_asked_about_revocation_before_every_check_holds() -> None:
    root = make("root")
    authority = make(
        "authority", root, extensions=[(x509.NameConstraints(None, [x509.DNSName("evil.test")]), True)]
    )
    leaf = make_leaf(authority, "leaf", x509.DNSName("evil.test"))
    validator = Validator(
        TrustList((row(root),)), NobodyAsked(), policies={**USE_POLICIES, Use.ENVELOPE: POLICY}
    )
    with pytest.raises(TrustError) as refused:
        validator.validate([leaf.certificate, authority.certificate], use=Use.ENVELOPE, at=AT)
    assert refused.value.code == "trust.path_invalid"
    explained = validator.explain([leaf.certificate, authority.certificate], use=Use.ENVELOPE, at=AT)
    assert {each.reason_id for each in explained.failed} == {"name_excluded", "not_checked"}


def test_an_authority_cannot_appoint_who_says_that_it_is_not_revoked() -> None:
    """The list that would tell of it is signed by somebody it certified itself."""
    root = make("root")
    where = x509.DistributionPoint(None, None, None, [x509.DirectoryName(name("lister"))])
    authority = make("authority", root, extensions=[(x509.CRLDistributionPoints([where]), False)])
    lister = make("lister", authority, is_authority=None, key_usage=usage("crl_sign"))
    indirect = x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=True,
        only_contains_attribute_certs=False,
    )
    validator = Validator(
        TrustList((row(root),)),
        HeldRevocation([], [crl_of(lister, (indirect, True)), crl_of(authority)]),
        policies={**USE_POLICIES, Use.ENVELOPE: POLICY},
    )
    chain = [each.certificate for each in (make_leaf(authority), authority, lister)]
    with pytest.raises(TrustError) as refused:
        validator.validate(chain, use=Use.ENVELOPE, at=AT)
    assert refused.value.code == "trust.revocation_unknown"
    assert "cannot vouch for itself" in refused.value.detail


def _resigned(made: Made, issuer: Made, change: Callable[[asn1crypto.x509.TbsCertificate], None]) -> Made:
    """Change a certificate and let its issuer sign it again."""
    certificate = asn1crypto.x509.Certificate.load(made.der)
    change(certificate["tbs_certificate"])
    data = certificate["tbs_certificate"].dump(force=True)
    certificate["signature_value"] = issuer.key.sign(data, ec.ECDSA(hashes.SHA256()))
    return Made(x509.load_der_x509_certificate(certificate.dump(force=True)), made.key)


def _to_version_1(certificate: asn1crypto.x509.TbsCertificate) -> None:
    certificate["version"] = "v1"
    del certificate["extensions"]


def _with_an_extension_twice(certificate: asn1crypto.x509.TbsCertificate) -> None:
    certificate["extensions"].append(certificate["extensions"][0])
