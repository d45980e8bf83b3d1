# SPDX-License-Identifier: Apache-2.0
"""A department registers its next certificate by a message, and everybody who tries it in its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hub.accounts import Role
from hub.clock import SystemClock
from hub.custody import load_signing_key
from hub.demo.preparation import FUND, HUB_MEMBER, LABOUR_BUREAU
from hub.envelope import Kind, ReceiptStatus
from hub.identifiers import MemberId, new_message_id
from hub.registry import RegisteredCertificate
from hub.tlog import EntryEvent
from hub.trust import prove_possession
from tests.journeys.certificates import OWN, fingerprint, registration, withdrawal
from tests.journeys.departments import EMPLOYMENT, FEDERATION_ECHO, REGISTER
from tests.journeys.refusals import refused, require_fault
from tests.journeys.world import World, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.envelope import Envelope
    from tests.journeys.world import Reply
    from tests.pki import ServedPki


@pytest.fixture
def world(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of its own for each test: what is registered stays registered."""
    with running_world(tmp_path_factory.mktemp("registering"), pki) as running:
        yield running


def registered(world: World) -> dict[str, str | None]:
    """Return the fingerprints that are registered, and why they are retired where they are."""
    entries = world.hub.registry.snapshot.all_of(RegisteredCertificate)
    return {entry.id: entry.retired_because for entry in entries}


def accepted(world: World, request: Envelope) -> Reply:
    """Send a request that must go well, and return what the hub answered by itself."""
    seen = len(world.departments.received)
    reply = world.send(request.raw)
    assert reply.fault is None, reply.fault
    assert reply.envelope.header.kind is Kind.RESPONSE
    assert reply.signer == HUB_MEMBER
    assert reply.receipt is not None
    assert reply.receipt.status is ReceiptStatus.PROCESSED
    assert [entry.event for entry in world.entries(request)] == [EntryEvent.ACCEPTED]
    assert len(world.departments.received) == seen, "the hub answers, no department"
    return reply


def denied(world: World, request: Envelope, code: str) -> None:
    """Send a request that the hub takes and then answers with a fault of its own."""
    reply = world.send(request.raw)
    require_fault(reply, code)
    assert reply.signer == HUB_MEMBER
    assert reply.receipt is not None
    assert (reply.receipt.status, reply.receipt.code) == (ReceiptStatus.REFUSED, code)
    events = [(entry.event, entry.code) for entry in world.entries(request)]
    assert events == [(EntryEvent.ACCEPTED, None), (EntryEvent.FAILED, code)]


def said(reply: Reply) -> dict[str, str]:
    answer: dict[str, str] = json.loads(reply.envelope.payloads["response.json"])
    return answer


def echo(world: World, signed_by: str) -> Envelope:
    """Return a request of the labour bureau to the federation."""
    return world.request(FEDERATION_ECHO, sender=EMPLOYMENT, signed_by=signed_by)


def test_the_first_registration_binds_the_old_certificate_and_the_new_one_and_no_other(world: World) -> None:
    assert world.send(echo(world, "labour-p384").raw).fault is None, "nothing is registered yet"
    request = registration(world, world.pki.signer("labour-next"))
    answer = said(accepted(world, request))
    old, new = fingerprint(world, "labour-sign"), fingerprint(world, "labour-next")
    assert answer["certificate_sha256"] == new
    assert registered(world) == {old: None, new: None}
    for label in ("labour-sign", "labour-next"):
        assert world.send(echo(world, label).raw).fault is None
    refused(world, echo(world, "labour-p384"), "trust.certificate_not_registered")
    assert world.send(world.request(sender=FUND).raw).fault is None, "other members are as before"
    [one] = [each for each in world.hub.certificates.registrations() if each.entry.id == new]
    assert one.registered_by == f"message {request.header.id}"


def test_a_registration_that_is_asked_for_again_is_confirmed_as_it_was(world: World) -> None:
    key = world.pki.signer("labour-next")
    first = said(accepted(world, registration(world, key)))
    again = said(accepted(world, registration(world, key)))
    by_itself = said(accepted(world, registration(world, key, signed_by="labour-next")))
    assert first == again == by_itself


def test_a_certificate_may_be_registered_before_its_first_day_and_counts_from_then_on(world: World) -> None:
    accepted(world, registration(world, world.pki.signer("labour-not-yet-valid")))
    refused(world, echo(world, "labour-not-yet-valid"), "trust.certificate_not_yet_valid")
    assert world.send(echo(world, "labour-sign").raw).fault is None


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("labour-expired", "trust.certificate_expired"),
        ("labour-revoked", "trust.certificate_revoked"),
        ("labour-unlisted", "trust.unknown_authority"),
        ("rogue/labour-sign", "trust.unknown_authority"),
        ("labour-wrong-usage", "trust.usage_not_allowed"),
        ("labour-seal", "trust.usage_not_allowed"),
        ("labour-unreachable", "trust.revocation_unknown"),
        ("federation-next", "trust.wrong_member"),
        ("no-member-sign", "trust.wrong_member"),
    ],
)
def test_what_would_not_be_believed_is_not_registered(world: World, label: str, code: str) -> None:
    request = registration(world, world.pki.signer(label))
    denied(world, request, code)
    assert registered(world) == {}


@pytest.mark.parametrize("signed_by", ["federation-sign", "rogue/labour-sign", "labour-revoked", "hub-sign"])
def test_a_stranger_registers_nothing(world: World, signed_by: str) -> None:
    reply = world.send(registration(world, world.pki.signer("labour-next"), signed_by=signed_by).raw)
    assert reply.fault is not None
    assert reply.fault.code.startswith("trust.")
    assert registered(world) == {}


def test_a_twin_of_an_approved_authority_registers_nothing_once_a_member_is_bound(world: World) -> None:
    accepted(world, registration(world, world.pki.signer("labour-next")))
    request = registration(world, world.pki.signer("labour-rsa"), signed_by="labour-p384")
    refused(world, request, "trust.certificate_not_registered")
    assert fingerprint(world, "labour-rsa") not in registered(world)


def test_a_member_registers_nothing_for_another(world: World) -> None:
    key = world.pki.signer("labour-next")
    request = registration(world, key, sender=REGISTER, signed_by="federation-sign")
    denied(world, request, "trust.wrong_member")
    assert registered(world) == {}


def test_who_does_not_hold_the_key_registers_nothing(world: World) -> None:
    key, thief = world.pki.signer("labour-next"), world.pki.signer("labour-rsa")
    message_id = new_message_id(SystemClock().now())
    proof = prove_possession(thief, MemberId(LABOUR_BUREAU), message_id)
    for wrong in (proof, b"\0" * 70, proof[:-1]):
        request = registration(world, key, proof=wrong)
        denied(world, request, "trust.possession_unproven")
    assert registered(world) == {}


def test_a_proof_of_possession_serves_one_member_and_one_message(world: World) -> None:
    key = world.pki.signer("labour-next")
    for_another = registration(world, key, member=FUND[:18])
    denied(world, for_another, "trust.possession_unproven")
    earlier = prove_possession(key, MemberId(LABOUR_BUREAU), new_message_id(SystemClock().now()))
    seen_before = registration(world, key, proof=earlier)
    denied(world, seen_before, "trust.possession_unproven")
    assert registered(world) == {}


def test_a_registration_that_is_replayed_changes_nothing(world: World) -> None:
    request = registration(world, world.pki.signer("labour-next"))
    accepted(world, request)
    accepted(world, withdrawal(world, "labour-next", signed_by="labour-sign"))
    before = registered(world)
    reply = world.send(request.raw)
    assert reply.fault is not None
    assert reply.fault.code == "exchange.duplicate_message"
    assert registered(world) == before


def test_a_key_that_is_anothers_is_not_registered(world: World, pki: ServedPki) -> None:
    accepted(
        world,
        registration(world, pki.signer("federation-next"), sender=REGISTER, signed_by="federation-sign"),
    )
    label = "labour-with-federations-key"
    stolen = load_signing_key(pki.key("federation-sign"), pki.chain(label), pki.passphrase)
    denied(world, registration(world, stolen), "trust.key_of_another_member")
    assert fingerprint(world, label) not in registered(world)


def test_a_withdrawn_certificate_is_refused_at_once_and_for_good(world: World) -> None:
    accepted(world, registration(world, world.pki.signer("labour-next")))
    assert world.send(echo(world, "labour-sign").raw).fault is None, "its validation is remembered now"
    accepted(world, withdrawal(world, "labour-sign", signed_by="labour-next"))
    reply = refused(world, echo(world, "labour-sign"), "trust.certificate_not_registered")
    assert reply.fault is not None
    assert "retired: it was replaced" in reply.fault.detail
    back = registration(world, world.pki.signer("labour-sign"), signed_by="labour-next")
    denied(world, back, "registry.certificate_retired")
    own = registration(world, world.pki.signer("labour-rsa"), signed_by="labour-sign")
    refused(world, own, "trust.certificate_not_registered")


def test_an_answer_signed_with_a_withdrawn_certificate_is_not_believed(world: World) -> None:
    accepted(world, registration(world, world.pki.signer("labour-next")))
    accepted(world, withdrawal(world, "labour-sign", signed_by="labour-next"))
    reply = world.send(world.request().raw)
    assert reply.fault is not None
    assert (reply.fault.code, reply.status) == ("exchange.answer_untrusted", 502)
    with world.departments.cheating(lambda request: world.answer(request, signed_by="labour-next").raw):
        assert world.send(world.request().raw).fault is None


def test_a_certificate_does_not_withdraw_itself(world: World) -> None:
    accepted(world, registration(world, world.pki.signer("labour-next")))
    request = withdrawal(world, "labour-next", signed_by="labour-next")
    denied(world, request, "registry.entry_in_use")


def test_a_member_withdraws_nothing_of_anothers(world: World) -> None:
    accepted(world, registration(world, world.pki.signer("labour-next")))
    request = withdrawal(world, "labour-next", signed_by="federation-sign", sender=REGISTER)
    denied(world, request, "registry.certificate_unknown")
    assert set(registered(world).values()) == {None}


def test_the_hubs_own_services_are_for_its_own_purpose_only(world: World) -> None:
    honest = registration(world, world.pki.signer("labour-next"))
    assert OWN.item == "own-certificates"
    payload = honest.payloads["request.json"]
    assert b"possession" in payload
    other = world.request(
        honest.header.service,  # type: ignore[arg-type]  # a request names one
        sender=EMPLOYMENT,
        contract="certificate-registration/v1",
    )
    refused(world, other, "access.purpose_not_allowed")


def test_an_administrator_registers_and_retires_over_http(world: World) -> None:
    from base64 import b64encode

    from cryptography.hazmat.primitives.serialization import Encoding

    token = world.token(Role.ADMINISTRATOR, subject="陈静")
    chain = [
        b64encode(each.public_bytes(Encoding.DER)).decode() for each in world.pki.certificates("labour-sign")
    ]
    address = f"{world.url}/api/v1/certificates/{fingerprint(world, 'labour-sign')}"
    wanted = {"member": LABOUR_BUREAU, "chain": chain}
    made = world.http.put(address, json=wanted, headers=token)
    assert made.status_code == 201, made.text
    assert made.json()["registered_by"] == "陈静"
    refused(world, echo(world, "labour-next"), "trust.certificate_not_registered")
    for_another = world.http.put(address, json=wanted | {"member": FUND[:18]}, headers=token)
    assert for_another.json()["code"] == "trust.wrong_member"
    elsewhere = world.http.put(address[:-1] + "0", json=wanted, headers=token)
    assert elsewhere.json()["code"] == "registry.entry_invalid"

    retired = world.http.delete(address, params={"because": "密钥介质遗失"}, headers=token)
    assert retired.json()["retired_because"] == "密钥介质遗失"
    assert world.http.get(address, headers=token).json() == retired.json()
    refused(world, echo(world, "labour-sign"), "trust.certificate_not_registered")
    again = world.http.put(address, json=wanted, headers=token)
    assert (again.status_code, again.json()["code"]) == (409, "registry.certificate_retired")
    changes = world.http.get(f"{world.url}/api/v1/registry-changes?limit=500", headers=token).json()
    kinds = [(each["action"], each["by"]) for each in changes if each["kind"] == "certificate"]
    assert kinds == [("add", "陈静"), ("change", "陈静")]
