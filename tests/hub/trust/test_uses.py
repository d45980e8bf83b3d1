# SPDX-License-Identifier: Apache-2.0
"""What each use asks, and that docs/trust.md says the same."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import ObjectIdentifier

from hub.errors import TrustError
from hub.trust import USE_POLICIES, ExtendedUsageRule, HeldRevocation, TrustList, Use, UsePolicy, Validator
from hub.trust.checks import Of
from hub.trust.processing import OWN_CHECKS, PATH_CHECKS
from tests.hub.trust.chains import (
    AT,
    AUTHORITY_USAGE,
    POLICY,
    Made,
    crl_of,
    make,
    policies,
    row,
    usage,
    validate,
)

DOCUMENT = (Path(__file__).parents[3] / "docs" / "trust.md").read_text(encoding="utf-8")
P1, P2, ANY = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2", "2.5.29.32.0"


def rows_under(heading: str) -> list[list[str]]:
    """The rows of the table whose heading begins so."""
    lines = DOCUMENT[DOCUMENT.index(heading) :].splitlines()[2:]
    end = next(number for number, line in enumerate(lines) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def test_the_document_tells_what_each_use_asks() -> None:
    told = {
        ExtendedUsageRule.ONE_IF_STATED: "if stated, one of ",
        ExtendedUsageRule.ONE: "one of ",
        ExtendedUsageRule.ALONE_AND_CRITICAL: "alone and critical: ",
    }

    def purposes(policy: UsePolicy) -> str:
        oids = ", ".join(sorted(oid.dotted_string for oid in policy.extended_usages))
        return f"{told[policy.extended_usage_rule]}{oids}" if oids else "any"

    assert rows_under("| use | key usage") == [
        [
            f"`{use}`",
            ", ".join(sorted(policy.key_usages)),
            purposes(policy),
            "yes" if policy.may_be_authority else "no",
            "yes" if policy.binds_member else "no",
        ]
        for use, policy in USE_POLICIES.items()
    ]
    assert set(USE_POLICIES) == set(Use)
    default = UsePolicy(frozenset())
    for policy in USE_POLICIES.values():
        assert policy.longest_path == 8
        assert policy.initial_policies == default.initial_policies == {ObjectIdentifier(ANY)}
        assert not (policy.requires_explicit_policy)
        assert not (policy.inhibits_any_policy)
        assert not (policy.inhibits_policy_mapping)


def test_the_document_tells_every_check_in_order_with_its_clause() -> None:
    told = {
        Of.EACH: "each certificate",
        Of.LEAF: "the certificate itself",
        Of.BELOW_ROOT: "each below the root",
        Of.ISSUERS: "the authorities",
    }
    table = tomllib.loads(resources.files("hub.trust").joinpath("checks.toml").read_text(encoding="utf-8"))
    checks = (*OWN_CHECKS, *PATH_CHECKS)
    assert rows_under("| check | of") == [
        [f"`{check.name}`", told[check.of], table[check.name]["clause"]] for check in checks
    ]
    assert table.keys() == {check.name for check in checks} | {"path", "revocation"}
    for name, texts in table.items():
        assert set(texts) == {"clause", "en", "zh"}, name
        assert set(re.findall(r"{(\w+)}", texts["en"])) == set(re.findall(r"{(\w+)}", texts["zh"])), name


SIGNS = usage("digital_signature")
UNDOES = usage("key_encipherment")


@pytest.mark.parametrize(
    ("use", "key_usage", "purposes", "critical", "reason"),
    [
        (Use.ENVELOPE, SIGNS, None, False, None),
        (Use.ENVELOPE, usage("content_commitment"), [Purpose.EMAIL_PROTECTION], True, None),
        (Use.ENVELOPE, SIGNS, [Purpose.SERVER_AUTH], False, "purposes_others"),
        (Use.ENVELOPE, UNDOES, None, False, "usage_missing"),
        (Use.ENVELOPE, None, None, False, "usage_not_stated"),
        (Use.SEAL, SIGNS, [Purpose.TIME_STAMPING], False, "purposes_others"),
        (Use.TIMESTAMP, SIGNS, [Purpose.TIME_STAMPING], True, None),
        (Use.TIMESTAMP, SIGNS, [Purpose.TIME_STAMPING], False, "purpose_not_alone"),
        (Use.TIMESTAMP, SIGNS, [Purpose.TIME_STAMPING, Purpose.CLIENT_AUTH], True, "purpose_not_alone"),
        (Use.TIMESTAMP, SIGNS, None, True, "purpose_not_alone"),
        (Use.TLS_CLIENT, SIGNS, [Purpose.CLIENT_AUTH], False, None),
        (Use.TLS_CLIENT, SIGNS, None, False, "purpose_missing"),
        (Use.TLS_CLIENT, SIGNS, [Purpose.ANY_EXTENDED_KEY_USAGE], False, "purpose_missing"),
        (Use.TLS_SERVER, SIGNS, [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH], False, None),
        (Use.TLS_SERVER, SIGNS, [Purpose.CLIENT_AUTH], False, "purpose_missing"),
        (Use.OCSP, SIGNS, [Purpose.OCSP_SIGNING], False, None),
        (Use.OCSP, SIGNS, [Purpose.CLIENT_AUTH], False, "purpose_missing"),
        (Use.CRL, usage("crl_sign"), None, False, None),
        (Use.CRL, SIGNS, None, False, "usage_missing"),
    ],
)
def test_a_certificate_serves_the_uses_it_was_issued_for(
    use: Use,
    key_usage: x509.KeyUsage | None,
    purposes: list[ObjectIdentifier] | None,
    critical: bool,  # noqa: FBT001 (a column of the table)
    reason: str | None,
) -> None:
    root = make("root")
    extensions = [(x509.ExtendedKeyUsage(purposes), critical)] if purposes else []
    leaf = make("leaf", root, is_authority=None, key_usage=key_usage, extensions=extensions)
    assert _reason(leaf, root, use) == reason


def test_an_authority_signs_nothing_but_certificates_and_lists() -> None:
    root = make("root")
    authority = make("authority", root, key_usage=usage("digital_signature", "crl_sign"))
    assert _reason(authority, root, Use.ENVELOPE) == "usage_of_authority"
    assert _reason(authority, root, Use.CRL) is None


def _reason(leaf: Made, root: Made, use: Use) -> str | None:
    policy = replace(USE_POLICIES[use], binds_member=False)
    approved = replace(row(root), uses=frozenset(Use))
    validator = Validator(
        TrustList((approved,)), HeldRevocation([], [crl_of(root)]), policies={**USE_POLICIES, use: policy}
    )
    try:
        validator.validate([leaf.certificate], use=use, at=AT)
    except TrustError as refused:
        return refused.finding.reason_id if refused.finding else refused.code
    return None


@pytest.mark.parametrize(
    ("stated", "asked", "reason"),
    [
        ([], {}, None),
        ([], {"requires_explicit_policy": True}, "no_valid_policy"),
        ([P1], {"requires_explicit_policy": True}, None),
        ([P1], {"requires_explicit_policy": True, "initial_policies": frozenset({P1})}, None),
        ([P1], {"requires_explicit_policy": True, "initial_policies": frozenset({P2})}, "no_wanted_policy"),
        ([P1], {"initial_policies": frozenset({P2})}, None),
        ([ANY], {"requires_explicit_policy": True, "initial_policies": frozenset({P2})}, None),
        ([ANY], {"requires_explicit_policy": True, "inhibits_any_policy": True}, "no_valid_policy"),
    ],
)
def test_a_use_can_ask_for_certificate_policies(
    stated: list[str], asked: dict[str, object], reason: str | None
) -> None:
    asked = {
        name: frozenset(map(ObjectIdentifier, value)) if isinstance(value, frozenset) else value
        for name, value in asked.items()
    }
    extensions = [policies(*stated)] if stated else []
    root = make("root")
    authority = make("authority", root, extensions=extensions)
    leaf = make("leaf", authority, is_authority=None, key_usage=SIGNS, extensions=extensions)
    policy = replace(POLICY, **asked)  # type: ignore[arg-type]
    if reason is None:
        assert validate(leaf, authority, root=root, policy=policy).leaf == leaf.certificate
        return
    with pytest.raises(TrustError) as refused:
        validate(leaf, authority, root=root, policy=policy)
    assert refused.value.finding is not None
    assert refused.value.finding.reason_id == reason


@pytest.mark.parametrize(
    ("above", "own", "reason"),
    [
        ({"reaches_below": True}, None, None),
        ({"reaches_below": False}, None, "issuer_not_listed"),
        ({"reaches_below": True, "uses": frozenset({Use.SEAL})}, None, "use_not_approved"),
        ({"reaches_below": True}, {"uses": frozenset[Use]()}, "use_not_approved"),
        ({"reaches_below": False}, {}, None),
        ({"reaches_below": True}, {"approved_until": AT}, "approval_over"),
        ({"reaches_below": True, "approved_until": AT}, None, "approval_over"),
    ],
)
def test_the_nearest_listed_authority_decides(
    above: dict[str, object], own: dict[str, object] | None, reason: str | None
) -> None:
    root = make("root")
    authority = make("authority", root)
    leaf = make("leaf", authority, is_authority=None, key_usage=SIGNS)
    rows = [replace(row(root), **above)]  # type: ignore[arg-type]
    if own is not None:
        rows.append(replace(row(authority, is_anchor=False), **own))  # type: ignore[arg-type]
    source = HeldRevocation([], [crl_of(root), crl_of(authority)])
    validator = Validator(TrustList(tuple(rows)), source, policies={**USE_POLICIES, Use.ENVELOPE: POLICY})
    chain = [leaf.certificate, authority.certificate]
    try:
        path = validator.validate(chain, use=Use.ENVELOPE, at=AT)
    except TrustError as refused:
        found = refused.finding.reason_id if refused.finding else refused.code
        assert found == reason
    else:
        assert reason is None
        assert path.authority == rows[-1]


def test_a_key_for_certificates_is_no_matter_of_the_leaf() -> None:
    root = make("root")
    authority = make("authority", root, key_usage=AUTHORITY_USAGE)
    leaf = make("leaf", authority, is_authority=False, key_usage=SIGNS)
    assert validate(leaf, authority, root=root).leaf == leaf.certificate
