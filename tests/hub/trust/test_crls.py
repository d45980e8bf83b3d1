# SPDX-License-Identifier: Apache-2.0
"""CRLs in every form RFC 5280 knows, beyond what PKITS asks; and what openssl says of the same material."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from hub.errors import TrustError
from hub.trust import AnswerKind
from tests.hub.trust.revocationworld import CRL_PATH, OCSP_PATH, World, make_world, responding
from tests.responders import Services, answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = x509.ReasonFlags.certificate_hold
REMOVE = x509.ReasonFlags.remove_from_crl
DAY = timedelta(days=1)
_DELTA_PATH = "/delta.crl"

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with Services().running() as running:
        yield running


@pytest.fixture
def world(services: Services) -> World:
    """A leaf whose CRL names a place for deltas."""
    made = make_world(services, with_ocsp=False, with_crl=True)
    serve(made)
    made.pki.services.behaviours.pop(_DELTA_PATH, None)
    return made


def freshest(world: World) -> tuple[x509.ExtensionType, bool]:
    name = x509.UniformResourceIdentifier(world.pki.url(_DELTA_PATH))
    return x509.FreshestCRL([x509.DistributionPoint([name], None, None, None)]), False


def serve(world: World, *entries: x509.RevokedCertificate, **how: Any) -> None:
    """Publish a complete CRL, number 7."""
    crl = world.pki.crl(revoked=entries, number=7, extensions=[freshest(world)], **how)
    world.pki.serve(CRL_PATH, answer(crl))


def serve_delta(
    world: World, *entries: x509.RevokedCertificate, base: int = 7, number: int = 8, **how: Any
) -> None:
    """Publish what has changed since a complete CRL."""
    indicator = (x509.DeltaCRLIndicator(base), True)
    crl = world.pki.crl(
        revoked=entries, number=number, extensions=[indicator], **{"begin": timedelta(0), **how}
    )
    world.pki.serve(_DELTA_PATH, answer(crl))


class TestDelta:
    """RFC 5280 sections 5.2.4 and 5.2.6."""

    def test_is_fetched_from_where_the_complete_crl_says_and_is_heard(self, world: World) -> None:
        serve_delta(world, world.pki.entry(world.leaf))
        assert world.refused() == "revoked"

    def test_takes_a_hold_back(self, world: World) -> None:
        serve(world, world.pki.entry(world.leaf, reason=HOLD))
        assert world.refused() == "revoked"
        serve_delta(world, world.pki.entry(world.leaf, reason=REMOVE))
        world.source = type(world.source)()
        path = world.validate()
        assert [each.kind for each in path.revocation].count(AnswerKind.CRL) == 3, "root's, base and delta"

    def test_that_cannot_be_had_leaves_the_complete_crl_to_speak_alone(self, world: World) -> None:
        assert world.validate().warnings == ()

    @pytest.mark.parametrize(
        "how",
        [
            {"base": 8, "number": 9},
            {"number": 7},
            {"begin": -2 * DAY, "end": -DAY},
            {"begin": DAY, "end": 2 * DAY},
        ],
        ids=["of a later base", "no newer", "stale", "of the future"],
    )
    def test_that_does_not_continue_it_changes_nothing(self, world: World, how: dict[str, Any]) -> None:
        serve_delta(world, world.pki.entry(world.leaf), **how)
        assert world.validate().warnings == ()

    def test_that_is_forged_changes_nothing(self, world: World) -> None:
        serve(world, world.pki.entry(world.leaf, reason=HOLD))
        serve_delta(world, world.pki.entry(world.leaf, reason=REMOVE), signed_by=world.pki.imposter)
        assert world.refused() == "revoked"

    def test_keeps_a_complete_crl_alive_that_has_ended(self, world: World) -> None:
        serve(world, begin=-2 * DAY, end=-DAY)
        assert world.refused() == "answer_stale"
        serve_delta(world)
        world.source = type(world.source)()
        assert world.validate().warnings == ()


class TestThenAndNow:
    """Was it valid when it was used, asked later."""

    @pytest.fixture
    def then(self, world: World) -> World:
        world.at = world.pki.now - 10 * DAY
        world.pki.serve("/root.crl", answer(world.pki.crl(world.pki.root, begin=-20 * DAY, end=20 * DAY)))
        return world

    @pytest.mark.parametrize(("revoked", "reason"), [(-11 * DAY, "revoked"), (-9 * DAY, "")])
    def test_an_entry_counts_from_its_date_on(self, then: World, revoked: timedelta, reason: str) -> None:
        serve(then, then.pki.entry(then.leaf, at=then.pki.now + revoked))
        if reason:
            assert then.refused(judged_at=then.pki.now) == reason
        else:
            then.validate(judged_at=then.pki.now)
            assert then.refused(at=then.pki.now) == "revoked"

    def test_the_invalidity_date_counts_before_the_entry_s_own(self, then: World) -> None:
        invalid = (x509.InvalidityDate((then.at - DAY).replace(tzinfo=None)), False)
        serve(then, then.pki.entry(then.leaf, at=then.pki.now - DAY, extensions=[invalid]))
        assert then.refused(judged_at=then.pki.now) == "revoked"

    def test_a_hold_a_delta_took_back_since_counts_while_it_lasted(self, then: World) -> None:
        serve(then, then.pki.entry(then.leaf, at=then.at - DAY, reason=HOLD), begin=-11 * DAY, end=DAY)
        serve_delta(then, then.pki.entry(then.leaf, reason=REMOVE))
        assert then.refused(judged_at=then.pki.now) == "revoked"
        assert then.validate(at=then.pki.now).warnings == ()


class TestDividedByReasons:
    """RFC 5280 section 6.3.3 (d), (e) and (l)."""

    @pytest.fixture
    def divided(self, world: World) -> World:
        compromise = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise})
        others = frozenset(x509.ReasonFlags) - compromise - {x509.ReasonFlags.unspecified, REMOVE}
        points = []
        for path, reasons in (("/compromise.crl", compromise), ("/others.crl", others)):
            name = x509.UniformResourceIdentifier(world.pki.url(path))
            points.append(x509.DistributionPoint([name], None, reasons, None))
            world.pki.serve(path, answer(world.pki.crl(extensions=[self.some(world, path, reasons)])))
        world.leaf = world.pki.leaf(extensions=[x509.CRLDistributionPoints(points)])
        return world

    @staticmethod
    def some(
        world: World, path: str, reasons: frozenset[x509.ReasonFlags]
    ) -> tuple[x509.ExtensionType, bool]:
        name = x509.UniformResourceIdentifier(world.pki.url(path))
        scope = x509.IssuingDistributionPoint(
            full_name=[name],
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=False,
            only_some_reasons=reasons,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        )
        return scope, True

    def test_all_parts_are_fetched_and_together_suffice(self, divided: World) -> None:
        path = divided.validate()
        assert len(path.revocation) == 3

    @pytest.mark.parametrize("part", ["/compromise.crl", "/others.crl"])
    def test_one_part_alone_leaves_reasons_open(self, divided: World, part: str) -> None:
        divided.pki.serve(part, answer(b"", status=404))
        assert divided.refused() == "crl_reasons_open"


def test_whatever_byte_of_a_crl_is_changed_it_is_refused_and_nothing_else_happens(world: World) -> None:
    crl = world.pki.crl()
    for position in range(0, len(crl), 5):
        changed = bytearray(crl)
        changed[position] ^= 1
        world.pki.serve(CRL_PATH, answer(bytes(changed)))
        world.source = type(world.source)()
        assert world.refused() != "revoked"


@needs_openssl
@pytest.mark.parametrize(
    "case", ["good", "revoked", "stale", "forged", "of another", "future", "delta says revoked", "critical"]
)
def test_openssl_says_the_same_of_a_crl(world: World, tmp_path: Path, case: str) -> None:
    pki = world.pki
    unknown = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.156.99999.1"), b"\x05\x00"), True)
    how: dict[str, dict[str, Any]] = {
        "revoked": {"revoked": [pki.entry(world.leaf)]},
        "stale": {"begin": -2 * DAY, "end": -DAY},
        "forged": {"signed_by": pki.imposter},
        "of another": {"issuer": pki.sibling},
        "future": {"begin": DAY, "end": 2 * DAY},
        "critical": {"extensions": [unknown]},
    }
    if case == "delta says revoked":
        serve_delta(world, pki.entry(world.leaf))
        how[case] = {"number": 7, "extensions": [freshest(world)]}
    pki.serve(CRL_PATH, answer(pki.crl(**how.get(case, {}))))
    lists = [pki.crl(pki.root), pki.crl(**how.get(case, {}))]
    if case == "delta says revoked":
        lists.append(pki.crl(revoked=[pki.entry(world.leaf)], number=8, begin=timedelta(0),
                             extensions=[(x509.DeltaCRLIndicator(7), True)]))  # fmt: skip
    pems = {
        "root": pki.root.certificate.public_bytes(Encoding.PEM),
        "ca": pki.ca.certificate.public_bytes(Encoding.PEM),
        "leaf": world.leaf.certificate.public_bytes(Encoding.PEM),
        "crls": b"".join(x509.load_der_x509_crl(der).public_bytes(Encoding.PEM) for der in lists),
    }
    for name, pem in pems.items():
        (tmp_path / f"{name}.pem").write_bytes(pem)
    command = [
        "openssl",
        "verify",
        "-CAfile",
        "root.pem",
        "-untrusted",
        "ca.pem",
        "-crl_check",
        "-x509_strict",
    ]
    command += ["-extended_crl", "-use_deltas", "-CRLfile", "crls.pem", "leaf.pem"]
    theirs = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (theirs.returncode == 0) == (case == "good"), theirs.stderr
    assert _is_believed(world) == (case == "good")


@needs_openssl
@pytest.mark.parametrize(
    "case", ["good", "revoked", "unknown", "stale", "stranger", "no usage", "issuer itself"]
)
def test_openssl_says_the_same_of_an_ocsp_answer(services: Services, tmp_path: Path, case: str) -> None:
    world = make_world(services, with_ocsp=True, with_crl=False)
    pki = world.pki
    how: dict[str, dict[str, Any]] = {
        "revoked": {"status": ocsp.OCSPCertStatus.REVOKED},
        "unknown": {"status": ocsp.OCSPCertStatus.UNKNOWN},
        "stale": {"begin": -2 * DAY, "end": -DAY},
        "stranger": {"signer": pki.make_responder(pki.imposter)},
        "no usage": {"signer": pki.make_responder(has_usage=False)},
        "issuer itself": {"signer": pki.ca},
    }
    pki.serve(OCSP_PATH, responding(world, **how.get(case, {})))
    (tmp_path / "answer.der").write_bytes(pki.respond(world.leaf.certificate, **how.get(case, {})))
    for name, holder in (("root", pki.root), ("ca", pki.ca), ("leaf", world.leaf)):
        (tmp_path / f"{name}.pem").write_bytes(holder.certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "ocsp", "-respin", "answer.der", "-issuer", "ca.pem", "-cert", "leaf.pem"]
    command += ["-CAfile", "root.pem", "-verify_other", "ca.pem", "-no_nonce"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    is_good = "Response verify OK" in done.stderr and "leaf.pem: good" in done.stdout
    is_good = is_good and "Status times invalid" not in done.stderr + done.stdout
    assert is_good == (case in {"good", "issuer itself"}), done.stdout + done.stderr
    assert _is_believed(world) == is_good


def _is_believed(world: World) -> bool:
    try:
        world.validate()
    except TrustError:
        return False
    return True
