# SPDX-License-Identifier: Apache-2.0
"""NIST PKITS: certificates and CRLs from cryptography's vectors, expectations from ../shared/data/pki.

A case says which policies its relying party asks for, which CRLs are at hand, and how it ends. Every case is
put to `Validator` itself: PKITS' root is an anchor that reaches below, and every certificate needs a CRL.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cryptography_vectors
from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from hub.trust import USE_POLICIES, Authority, KeyUsage, RevocationPolicy, TrustList, Use, UsePolicy

DATA = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
EXPECTATIONS = (
    Path(__file__).parents[3].parent / "shared" / "data" / "pki" / "pkits_expectations_pyhanko.json"
)
AT = datetime(2022, 5, 1, tzinfo=UTC)
"""PKITS certificates are valid from 2010 to 2030; those that are not are so on purpose."""

_ANY_POLICY = "2.5.29.32.0"
_POLICY = replace(
    USE_POLICIES[Use.ENVELOPE], binds_member=False, may_be_authority=True, key_usages=frozenset(KeyUsage)
)
"""Some of the certificates in question are authorities' own, and none of them names a member."""


@dataclass(frozen=True)
class Case:
    """One expectation.

    Attributes:
        id: PKITS section, number and name, such as `40102-invalid_ca_signature_test2`.
        certificate: file name.
        others: file names of what comes along.
        crls: file names, without the root's.
        policy: what the relying party asks.
        error_class: pyHanko's class of the error, or None where the path holds.
        error_words: a pattern for its words.
    """

    id: str
    certificate: str
    others: tuple[str, ...]
    crls: tuple[str, ...]
    policy: UsePolicy
    error_class: str | None
    error_words: str

    @property
    def must_fail(self) -> bool:
        return self.error_class is not None

    def chain(self) -> list[x509.Certificate]:
        return [load_certificate(name) for name in (self.certificate, *self.others)]

    def crl_bytes(self) -> list[bytes]:
        return [(DATA / "crls" / name).read_bytes() for name in ("TrustAnchorRootCRL.crl", *self.crls)]


def load_certificate(name: str) -> x509.Certificate:
    return x509.load_der_x509_certificate((DATA / "certs" / name).read_bytes())


def cases() -> list[Case]:
    """Every expectation; none where ../shared is not beside the work tree."""
    if not EXPECTATIONS.exists():
        return []
    return [_case(row) for row in json.loads(EXPECTATIONS.read_text(encoding="utf-8"))]


def trust_list() -> TrustList:
    row = Authority(
        certificate=load_certificate("TrustAnchorRootCertificate.crt"),
        is_anchor=True,
        uses=frozenset({Use.ENVELOPE}),
        approved_from=datetime(2010, 1, 1, tzinfo=UTC),
        approved_until=None,
        revocation=RevocationPolicy.CRL,
        reaches_below=True,
    )
    return TrustList((row,))


def _case(row: dict[str, Any]) -> Case:
    asked = row.get("params", {})
    error = row.get("error") or {"class": None, "msg_regex": ""}
    wanted = asked.get("user_initial_policy_set", [_ANY_POLICY])
    return Case(
        id=f"{row['id']}-{row['name']}",
        certificate=row["cert"],
        others=tuple(row.get("other_certs") or ()),
        crls=tuple(row.get("crls") or ()),
        policy=replace(
            _POLICY,
            initial_policies=frozenset(map(ObjectIdentifier, wanted)),
            requires_explicit_policy=asked.get("initial_explicit_policy", False),
            inhibits_policy_mapping=asked.get("initial_policy_mapping_inhibit", False),
            inhibits_any_policy=asked.get("initial_any_policy_inhibit", False),
        ),
        error_class=error["class"],
        error_words=error["msg_regex"],
    )
