# SPDX-License-Identifier: Apache-2.0
"""What becomes of a certificate when the authority's services fail or lie, over real HTTP on loopback.

The table below is that of docs/trust.md; a test holds the two together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asn1crypto.crl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from hub.trust import (
    OnlineRevocation,
    RevocationPolicy,
)
from tests.hub.trust.revocationworld import CRL_PATH, OCSP_PATH, World, make_world, responding
from tests.pki import free_port
from tests.responders import Holder, MiniPki, Services, answer, redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.responders import Behaviour

_DOCS = Path(__file__).parents[3] / "docs" / "trust.md"


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with Services().running() as running:
        yield running


def _elsewhere(world: World, **places: str) -> None:
    """Give the leaf another certificate that names other places."""
    world.leaf = world.pki.leaf(**{name: [url] for name, url in places.items()})  # type: ignore[arg-type]


def _unsuccessful(status: ocsp.OCSPResponseStatus) -> Behaviour:
    return answer(ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER))


def _ocsp(**how: Any) -> Callable[[World], None]:
    return lambda world: world.pki.serve(OCSP_PATH, responding(world, **how))


def _ocsp_by(make: Callable[[MiniPki], Holder]) -> Callable[[World], None]:
    return lambda world: world.pki.serve(OCSP_PATH, responding(world, signer=make(world.pki)))


def _ocsp_behaves(make: Callable[[World], Behaviour]) -> Callable[[World], None]:
    return lambda world: world.pki.serve(OCSP_PATH, make(world))


def _crl(**how: Any) -> Callable[[World], None]:
    return lambda world: world.pki.serve(CRL_PATH, answer(world.pki.crl(**how)))


def _crl_behaves(make: Callable[[World], Behaviour]) -> Callable[[World], None]:
    return lambda world: world.pki.serve(CRL_PATH, make(world))


def _clock(minutes: float) -> Callable[[World], None]:
    def move(world: World) -> None:
        world.at += timedelta(minutes=minutes)

    return move


def _revoked_responder(world: World) -> None:
    """Another responder and a list say so, at places that only the responder's certificate names."""
    pki = world.pki
    responder = pki.make_responder(
        is_unchecked=False, ocsp_urls=[pki.url("/responders")], crls=[pki.url("/responders.crl")]
    )
    revoked = ocsp.OCSPCertStatus.REVOKED
    pki.serve("/responders", responding(world, certificate=responder.certificate, status=revoked))
    pki.serve("/responders.crl", answer(pki.crl(revoked=[pki.entry(responder)])))
    pki.serve(OCSP_PATH, responding(world, signer=responder))


def _responder_nobody_vouches_for(world: World) -> None:
    pki = world.pki
    responder = pki.make_responder(is_unchecked=False, crls=[f"http://127.0.0.1:{free_port()}/none.crl"])
    pki.serve(OCSP_PATH, responding(world, signer=responder))


def _delta_without_base(world: World) -> None:
    world.pki.serve(CRL_PATH, answer(world.pki.crl(number=8, extensions=[(x509.DeltaCRLIndicator(7), True)])))


def _wrong_scope(world: World) -> None:
    scope = x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=True,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    world.pki.serve(CRL_PATH, answer(world.pki.crl(extensions=[(scope, True)])))


def _without_next_update(world: World) -> None:
    """Write what cryptography's builder refuses to write."""
    crl = asn1crypto.crl.CertificateList.load(world.pki.crl())
    del crl["tbs_cert_list"]["next_update"]
    signature = world.pki.ca.key.sign(crl["tbs_cert_list"].dump(force=True), ec.ECDSA(hashes.SHA256()))
    crl["signature"] = signature
    world.pki.serve(CRL_PATH, answer(crl.dump(force=True)))


_UNKNOWN_CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.156.99999.1"), b"\x05\x00"), True)
_HTML = answer(b"<!doctype html><title>Service unavailable</title>", headers={"Content-Type": "text/html"})


@dataclass(frozen=True)
class Fault:
    """One row of the matrix.

    Attributes:
        name: as in docs/trust.md.
        happen: brings it about.
        reason: why the certificate is refused when nothing else is to be had; empty where it is accepted.
        is_excused: whether `unsafe_accepts_unknown_revocation` lets the certificate pass.
    """

    name: str
    happen: Callable[[World], None]
    reason: str
    is_excused: bool = False


OCSP_FAULTS = (
    Fault(
        "nobody listens",
        lambda world: _elsewhere(world, ocsp_urls=f"http://127.0.0.1:{free_port()}/ca"),
        "revocation_unreachable",
        is_excused=True,
    ),
    Fault(
        "slower than the time limit",
        _ocsp_behaves(lambda world: world.pki.services.slow(5, responding(world))),
        "revocation_too_slow",
        is_excused=True,
    ),
    Fault(
        "a header that trickles",
        _ocsp_behaves(lambda world: world.pki.services.trickle()),
        "revocation_too_slow",
        is_excused=True,
    ),
    Fault(
        "a body without end",
        _ocsp_behaves(lambda world: world.pki.services.endless()),
        "revocation_too_large",
        is_excused=True,
    ),
    Fault(
        "an error of the server",
        _ocsp_behaves(lambda _: answer(b"", status=500)),
        "revocation_unreachable",
        is_excused=True,
    ),
    Fault(
        "a redirection",
        _ocsp_behaves(lambda world: redirect(world.pki.url(CRL_PATH))),
        "revocation_unreachable",
        is_excused=True,
    ),
    Fault("an HTML page", _ocsp_behaves(lambda _: _HTML), "ocsp_unreadable", is_excused=True),
    Fault(
        "a truncated answer",
        _ocsp_behaves(lambda world: responding(world, lambda der: der[: len(der) // 2])),
        "ocsp_unreadable",
        is_excused=True,
    ),
    Fault(
        "tryLater",
        _ocsp_behaves(lambda _: _unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)),
        "ocsp_not_successful",
        is_excused=True,
    ),
    Fault(
        "internalError",
        _ocsp_behaves(lambda _: _unsuccessful(ocsp.OCSPResponseStatus.INTERNAL_ERROR)),
        "ocsp_not_successful",
        is_excused=True,
    ),
    Fault(
        "an expired answer",
        _ocsp(begin=timedelta(hours=-2), end=timedelta(hours=-1)),
        "answer_stale",
        is_excused=True,
    ),
    Fault(
        "an answer of the future",
        _ocsp(begin=timedelta(hours=1), end=timedelta(hours=2)),
        "answer_from_the_future",
    ),
    Fault("our clock 5 minutes behind", _clock(-5), "answer_from_the_future"),
    Fault("our clock 5 minutes ahead", _clock(5), ""),
    Fault(
        "wrong signer", _ocsp_by(lambda pki: pki.make_responder(pki.imposter)), "ocsp_signer_not_appointed"
    ),
    Fault(
        "signer of a sibling authority",
        _ocsp_by(lambda pki: pki.make_responder(pki.sibling)),
        "ocsp_signer_not_appointed",
    ),
    Fault(
        "a changed byte", _ocsp_behaves(lambda world: responding(world, _damaged)), "ocsp_signature_invalid"
    ),
    Fault("a revoked responder", _revoked_responder, "answer_signer_refused"),
    Fault(
        "a responder nobody vouches for",
        _responder_nobody_vouches_for,
        "answer_signer_unknown",
        is_excused=True,
    ),
    Fault(
        "an expired responder",
        _ocsp_by(lambda pki: pki.make_responder(valid=(pki.now - timedelta(9), pki.now - timedelta(1)))),
        "answer_signer_refused",
    ),
    Fault(
        "a responder without OCSPSigning",
        _ocsp_by(lambda pki: pki.make_responder(has_usage=False)),
        "ocsp_signer_without_usage",
    ),
    Fault(
        "an answer about another certificate",
        lambda world: _ocsp(certificate=world.pki.leaf().certificate)(world),
        "ocsp_other_certificate",
    ),
    Fault("another nonce", _ocsp(nonce=b"another" * 4), "ocsp_other_nonce"),
    Fault("no nonce", _ocsp(nonce=None), ""),
    Fault("an unknown critical extension", _ocsp(extensions=[_UNKNOWN_CRITICAL]), "ocsp_critical_extension"),
    Fault("status unknown", _ocsp(status=ocsp.OCSPCertStatus.UNKNOWN), "ocsp_says_unknown"),
    Fault("status revoked", _ocsp(status=ocsp.OCSPCertStatus.REVOKED), "revoked"),
)

CRL_FAULTS = (
    Fault(
        "nobody listens",
        lambda world: _elsewhere(world, crls=f"http://127.0.0.1:{free_port()}/ca.crl"),
        "revocation_unreachable",
        is_excused=True,
    ),
    Fault(
        "slower than the time limit",
        _crl_behaves(lambda world: world.pki.services.slow(5, answer(world.pki.crl()))),
        "revocation_too_slow",
        is_excused=True,
    ),
    Fault(
        "a body that trickles",
        _crl_behaves(lambda world: world.pki.services.endless(pause=0.05)),
        "revocation_too_slow",
        is_excused=True,
    ),
    Fault(
        "larger than 16 MiB",
        _crl_behaves(lambda _: answer(bytes(2**24 + 1))),
        "revocation_too_large",
        is_excused=True,
    ),
    Fault("an HTML page", _crl_behaves(lambda _: _HTML), "crl_unreadable", is_excused=True),
    Fault(
        "a truncated CRL",
        _crl_behaves(lambda world: answer(world.pki.crl()[:-20])),
        "crl_unreadable",
        is_excused=True,
    ),
    Fault("stale", _crl(begin=timedelta(days=-2), end=timedelta(days=-1)), "answer_stale", is_excused=True),
    Fault("of the future", _crl(begin=timedelta(hours=1), end=timedelta(hours=2)), "answer_from_the_future"),
    Fault("our clock 5 minutes behind", _clock(-5), "answer_from_the_future"),
    Fault("our clock 5 minutes ahead", _clock(5), ""),
    Fault("forged", lambda world: _crl(signed_by=world.pki.sibling)(world), "crl_signature_invalid"),
    Fault(
        "of another authority with the same name",
        lambda world: _crl(issuer=world.pki.imposter)(world),
        "crl_signature_invalid",
    ),
    Fault("of another authority", lambda world: _crl(issuer=world.pki.sibling)(world), "crl_other_issuer"),
    Fault("without a next update", _without_next_update, "crl_without_next_update"),
    Fault("a delta without its base", _delta_without_base, "crl_delta_without_base"),
    Fault("a scope without the certificate", _wrong_scope, "crl_out_of_scope"),
    Fault("an unknown critical extension", _crl(extensions=[_UNKNOWN_CRITICAL]), "crl_critical_extension"),
    Fault(
        "an unknown critical extension in an entry",
        lambda world: _crl(revoked=[world.pki.entry(world.pki.leaf(), extensions=[_UNKNOWN_CRITICAL])])(
            world
        ),
        "crl_entry_critical_extension",
    ),
    Fault(
        "lists the certificate", lambda world: _crl(revoked=[world.pki.entry(world.leaf)])(world), "revoked"
    ),
)


def _damaged(der: bytes) -> bytes:
    response = ocsp.load_der_ocsp_response(der)
    signature = response.signature
    return der.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))


def _expect(world: World, reason: str, policy: RevocationPolicy, *, unsafe: bool = False) -> None:
    if reason:
        assert world.refused(policy, unsafe=unsafe) == reason
    else:
        assert world.validate(policy, unsafe=unsafe).warnings == ()


def _name(fault: Fault) -> str:
    return fault.name


@pytest.mark.parametrize("fault", OCSP_FAULTS, ids=_name)
def test_an_ocsp_fault_alone_ends_as_documented(services: Services, fault: Fault) -> None:
    world = make_world(services, with_ocsp=True, with_crl=False)
    fault.happen(world)
    _expect(world, fault.reason, RevocationPolicy.EITHER)
    assert world.alarms.open == {}


@pytest.mark.parametrize("fault", CRL_FAULTS, ids=_name)
def test_a_crl_fault_alone_ends_as_documented(services: Services, fault: Fault) -> None:
    world = make_world(services, with_ocsp=False, with_crl=True)
    fault.happen(world)
    _expect(world, fault.reason, RevocationPolicy.EITHER)
    assert world.alarms.open == {}


@pytest.mark.parametrize(
    ("kind", "fault"),
    [("ocsp", fault) for fault in OCSP_FAULTS] + [("crl", fault) for fault in CRL_FAULTS],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_named_exception_excuses_silence_and_nothing_else(
    services: Services, kind: str, fault: Fault
) -> None:
    world = make_world(services, with_ocsp=kind == "ocsp", with_crl=kind == "crl")
    fault.happen(world)
    if not fault.is_excused:
        _expect(world, fault.reason, RevocationPolicy.EITHER, unsafe=True)
        assert world.alarms.open == {}
        return
    path = world.validate(unsafe=True)
    assert [warning.reason_id for warning in path.warnings] == ["unsafe_unknown_accepted"]
    assert path.fresh_until <= world.at + timedelta(seconds=60)
    assert list(world.alarms.open) == [("trust.revocation_unknown", "ca")]


@pytest.mark.parametrize(
    "fault", [each for each in OCSP_FAULTS if each.reason not in {"", "revoked"}], ids=_name
)
def test_a_good_crl_helps_where_either_suffices_and_nowhere_else(services: Services, fault: Fault) -> None:
    for policy in (RevocationPolicy.EITHER, RevocationPolicy.OCSP, RevocationPolicy.BOTH):
        world = make_world(services, with_ocsp=True, with_crl=True)
        fault.happen(world)
        if fault.name == "nobody listens":
            _elsewhere(world, ocsp_urls=f"http://127.0.0.1:{free_port()}/ca", crls=world.pki.url(CRL_PATH))
        if fault.name == "our clock 5 minutes behind":
            _crl(begin=timedelta(hours=-1))(world)
            world.pki.serve("/root.crl", answer(world.pki.crl(world.pki.root, begin=timedelta(hours=-1))))
        if policy is RevocationPolicy.EITHER:
            kinds = {answer.kind for answer in world.validate(policy).revocation}
            assert {str(kind) for kind in kinds} == {"crl"}
        else:
            assert world.refused(policy) == fault.reason


@pytest.mark.parametrize("policy", [RevocationPolicy.EITHER, RevocationPolicy.BOTH])
def test_a_revoking_crl_is_heard_when_ocsp_is_down(services: Services, policy: RevocationPolicy) -> None:
    world = make_world(services, with_ocsp=True, with_crl=True)
    world.pki.serve(OCSP_PATH, answer(b"", status=503))
    _crl(revoked=[world.pki.entry(world.leaf)])(world)
    assert world.refused(policy) == "revoked"
    assert world.refused(policy, unsafe=True) == "revoked"


def test_both_means_both(services: Services) -> None:
    world = make_world(services, with_ocsp=True, with_crl=True)
    path = world.validate(RevocationPolicy.BOTH)
    assert [str(answer.kind) for answer in path.revocation] == ["crl", "ocsp", "crl"]

    _crl(revoked=[world.pki.entry(world.leaf)])(world)
    world.source = OnlineRevocation()
    assert world.refused(RevocationPolicy.BOTH) == "revoked"


def test_the_alarm_ends_with_the_first_answer(services: Services) -> None:
    world = make_world(services, with_ocsp=True, with_crl=False)
    world.pki.serve(OCSP_PATH, answer(b"", status=503))
    world.validate(unsafe=True)
    assert world.alarms.open

    world.pki.serve(OCSP_PATH, responding(world))
    assert world.validate(unsafe=True).warnings == ()
    assert world.alarms.open == {}


def test_the_documentation_shows_this_matrix() -> None:
    text = _DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (OCSP|CRL) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    expected = [
        (kind, fault.name, f"`{fault.reason}`" if fault.reason else "accepted", _soft(fault))
        for kind, faults in (("OCSP", OCSP_FAULTS), ("CRL", CRL_FAULTS))
        for fault in faults
    ]
    assert rows == expected


def _soft(fault: Fault) -> str:
    if not fault.reason:
        return "accepted"
    return "accepted, with warning and alarm" if fault.is_excused else "refused"
