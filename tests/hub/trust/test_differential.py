# SPDX-License-Identifier: Apache-2.0
"""Random chains, right and wrong, judged by three: by us, by `openssl verify` and by pyhanko-certvalidator.

The differences that are known, and nothing else, may be:
  - openssl does not look at policy mappings once no policy is valid and none is required; RFC 5280 section
    6.1.4 (a) asks for the check in any case, and we make it;
  - the library gives no verdict where addresses are constrained;
  - the library does not hold a mailbox in the subject to constraints when there are alternative names too;
    RFC 5280 section 4.2.1.10 leaves that open; openssl and we hold it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import asn1crypto.core
import asn1crypto.x509
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier
from pyhanko_certvalidator import PKIXValidationParams
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import PathValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import NO_REVOCATION, CertRevTrustPolicy
from pyhanko_certvalidator.validate import async_validate_path

from hub.errors import TrustError
from tests.hub.trust.chains import (
    AT,
    AUTHORITY_USAGE,
    POLICY,
    Made,
    make,
    make_leaf,
    name,
    policies,
    usage,
    validate,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")

CHAINS = 40
ANY = "2.5.29.32.0"
DOMAINS = ["example.test", "a.example.test", "b.example.test", "other.test"]
NO_VERDICT = "constraints on addresses are not implemented"
ARC = "1.3.6.1.4.1.99999."


@dataclass(frozen=True)
class Chain:
    """A chain and what its relying party asks.

    Attributes:
        certificates: the leaf first, the root last.
        wanted: the policies that are asked for; none of them for any.
        is_explicit: whether one has to be valid.
    """

    certificates: tuple[Made, ...]
    wanted: tuple[str, ...]
    is_explicit: bool


class Generator:
    """Makes one chain of a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 (a chain has to come out the same again)

    def chain(self) -> Chain:
        # The root says nothing: what a root says of itself, others do not heed.
        above = root = make("root")
        path = [root]
        for depth in range(self.random.randint(1, 4)):
            above = self.authority(depth, above)
            path.append(above)
        path.append(self.leaf(above))
        wanted = self.random.sample(
            [f"{ARC}{number}" for number in range(3)], self.random.choice([0, 0, 1, 2])
        )
        return Chain(tuple(reversed(path)), tuple(wanted), self.maybe(0.4))

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    def authority(self, depth: int, above: Made) -> Made:
        extensions: list[tuple[x509.ExtensionType, bool]] = []
        if self.maybe(0.8):
            extensions.append(policies(*self.policy_set()))
        if self.maybe(0.25):
            extensions.append((self.mappings(), True))
        if self.maybe(0.2):
            counters = (self.random.choice([None, 0, 1]), self.random.choice([None, 0, 1]))
            if counters != (None, None):
                extensions.append((x509.PolicyConstraints(*counters), True))
        if self.maybe(0.15):
            extensions.append((x509.InhibitAnyPolicy(self.random.randint(0, 2)), True))
        if self.maybe(0.35):
            extensions.append((self.constraints(), True))
        is_self_issued = depth > 0 and self.maybe(0.15)
        is_authority = not self.maybe(0.02)
        return make(
            above.certificate.subject if is_self_issued else f"authority {depth}",
            above,
            is_authority=is_authority,
            path_length=self.random.choice([*[None] * 6, 0, 1, 2]) if is_authority else None,
            key_usage=usage("crl_sign") if self.maybe(0.02) else AUTHORITY_USAGE,
            extensions=extensions,
            key_label=f"authority {depth}",
        )

    def leaf(self, above: Made) -> Made:
        extensions = [policies(*self.policy_set())] if self.maybe(0.8) else []
        names = [self.alternative_name() for _ in range(self.random.randint(0, 3))]
        more = []
        if self.maybe(0.2):
            more.append(x509.NameAttribute(NameOID.EMAIL_ADDRESS, f"x@{self.random.choice(DOMAINS)}"))
        return make_leaf(above, name("a leaf", *more), *names, extensions=extensions)

    def policy_set(self) -> list[str]:
        found = self.random.sample([f"{ARC}{number}" for number in range(4)], self.random.randint(1, 3))
        return [*found, ANY] if self.maybe(0.25) else found

    def mappings(self) -> x509.UnrecognizedExtension:
        pairs = [
            {
                "issuer_domain_policy": f"{ARC}{self.random.randint(0, 3)}",
                "subject_domain_policy": ANY if self.maybe(0.03) else f"{ARC}{self.random.randint(0, 3)}",
            }
            for _ in range(self.random.randint(1, 3))
        ]
        der = asn1crypto.x509.PolicyMappings(pairs).dump()
        return x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.33"), der)

    def constraints(self) -> x509.NameConstraints:
        bases = [self.base() for _ in range(self.random.randint(1, 3))]
        permitted = [base for base in bases if self.maybe(0.6)]
        excluded = [base for base in bases if base not in permitted]
        return x509.NameConstraints(permitted or None, excluded or None)

    def base(self) -> x509.GeneralName:
        domain = self.random.choice(DOMAINS)
        made: list[Callable[[], x509.GeneralName]] = [
            lambda: x509.DNSName(domain),
            lambda: x509.RFC822Name(self.random.choice([domain, f".{domain}", f"x@{domain}"])),
            lambda: x509.UniformResourceIdentifier(self.random.choice([domain, f".{domain}"])),
            lambda: x509.IPAddress(
                ipaddress.ip_network(self.random.choice(["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"]))
            ),
            lambda: x509.DirectoryName(x509.Name(list(name("x"))[: self.random.randint(1, 2)])),
            lambda: x509.DirectoryName(name(self.random.choice(["A Leaf", "authority 1"]))),
        ]
        return self.random.choice(made)()

    def alternative_name(self) -> x509.GeneralName:
        domain = self.random.choice(DOMAINS)
        host = self.random.choice([domain, f"www.{domain}", f"WWW.{domain.upper()}"])
        made: list[Callable[[], x509.GeneralName]] = [
            lambda: x509.DNSName(host),
            lambda: x509.RFC822Name(f"{self.random.choice('xy')}@{host}"),
            lambda: x509.UniformResourceIdentifier(f"https://{host}/path?query"),
            lambda: x509.IPAddress(
                ipaddress.ip_address(self.random.choice(["10.1.2.3", "10.9.2.3", "fd00::1"]))
            ),
            lambda: x509.DirectoryName(name("a leaf")),
        ]
        return self.random.choice(made)()


def ours(chain: Chain) -> str | None:
    """Return why we refuse a chain, or None."""
    leaf, *between, root = chain.certificates
    policy = replace(
        POLICY,
        initial_policies=frozenset(map(ObjectIdentifier, chain.wanted or (ANY,))),
        requires_explicit_policy=chain.is_explicit,
    )
    try:
        validate(leaf, *between, root=root, policy=policy)
    except TrustError as refused:
        return refused.finding.reason_id if refused.finding else refused.code
    return None


def openssl(chain: Chain, folder: Path) -> str | None:
    """Return why `openssl verify` refuses a chain, or None."""
    leaf, *between, root = chain.certificates
    (folder / "leaf.pem").write_bytes(leaf.pem)
    (folder / "root.pem").write_bytes(root.pem)
    (folder / "between.pem").write_bytes(b"".join(each.pem for each in between))
    command = ["openssl", "verify", "-attime", str(int(AT.timestamp())), "-policy_check"]
    command += ["-CAfile", "root.pem", "-untrusted", "between.pem"]
    command += ["-explicit_policy"] if chain.is_explicit else []
    for oid in chain.wanted or (ANY,):  # Without any, openssl takes it for none.
        command += ["-policy", oid]
    done = subprocess.run([*command, "leaf.pem"], cwd=folder, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stdout + done.stderr).replace("\n", " ")


def library(chain: Chain) -> str | None:
    """Return why pyhanko-certvalidator refuses a chain, or None."""
    leaf, *between, root = (asn1crypto.x509.Certificate.load(each.der) for each in chain.certificates)
    anchor = CertTrustAnchor(root)
    context = ValidationContext(
        trust_roots=[anchor],
        other_certs=between,
        moment=AT,
        revinfo_policy=CertRevTrustPolicy(NO_REVOCATION),
    )
    parameters = PKIXValidationParams(
        user_initial_policy_set=frozenset(chain.wanted or ("any_policy",)),
        initial_explicit_policy=chain.is_explicit,
    )
    path = ValidationPath(anchor, list(reversed(between)), leaf)
    try:
        asyncio.run(async_validate_path(context, path, parameters=parameters))
    except PathValidationError as refused:
        return refused.failure_msg
    except NotImplementedError:
        return NO_VERDICT
    return None


def has_mailbox_in_subject(chain: Chain) -> bool:
    return bool(chain.certificates[0].certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS))


@pytest.mark.parametrize("seed", range(CHAINS))
def test_a_random_chain_is_judged_alike_by_three(seed: int, tmp_path: Path) -> None:
    chain = Generator(seed).chain()
    mine, opinion, second = ours(chain), openssl(chain, tmp_path), library(chain)

    if mine != "any_policy_mapped":
        assert (mine is None) == (opinion is None), (mine, opinion)
    if second != NO_VERDICT and not (second is None and has_mailbox_in_subject(chain)):
        assert (mine is None) == (second is None), (mine, second)


def test_the_random_chains_are_right_and_wrong_for_many_reasons() -> None:
    reasons = {ours(Generator(seed).chain()) for seed in range(CHAINS)}
    assert None in reasons
    assert len(reasons) >= 6, reasons
