# SPDX-License-Identifier: Apache-2.0
"""Evidence bundles out of a running hub, read by somebody who takes the protocol at its word."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from base64 import b64decode
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import Response

from hub.accounts import Role
from hub.canonical import encode_canonical
from hub.clock import FixedClock, SystemClock, format_instant
from hub.demo.preparation import FUND
from hub.envelope import open_envelope, read_receipt
from hub.exchange import What
from hub.preservation import without_record
from hub.tlog import NO_WITNESS, PolicyLog, ProofFile, TrustPolicy, verify_proof
from hub.trustlist import check_history, open_trust_list, read_pinned
from hub.verifier import Reader, verify_bundle
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.serving import wait_for
from tests.journeys.test_time import knowing
from tests.journeys.world import PURPOSE, running_world
from tests.tsa import Behaviour, authority

if TYPE_CHECKING:
    from hub.envelope import Envelope
    from hub.identifiers import SubsystemId
    from hub.trust import VerificationReport
    from tests.journeys.world import World
    from tests.pki import ServedPki

UNKNOWN = "0195f5b2-7c00-7000-8000-000000000001"
EVERY_FIELD = {
    "format", "created_at", "hub", "selection", "messages", "checkpoint", "checkpoint_record", "policy",
    "trust_lists", "certificates", "revocation", "missing", "files",
}  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """A bundle as read from its bytes; its files agree with their digests."""

    raw: bytes
    index: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def read(cls, content: bytes) -> Bundle:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            assert file.testzip() is None
            names = file.namelist()
            files = {name: file.read(name) for name in names}
            assert not any(info.flag_bits & 0x0009 for info in file.infolist()), (
                "no encryption, no descriptors"
            )
        assert len(files) == len(names)
        assert names[-1] == "bundle.json"
        index = json.loads(files["bundle.json"])
        assert encode_canonical(index) == files["bundle.json"]
        assert set(index) == EVERY_FIELD
        assert set(index["files"]) == set(names) - {"bundle.json"}
        for name, said in index["files"].items():
            digest = hashlib.sha256(files[name]).hexdigest()
            assert said == {"sha256": digest, "bytes": len(files[name])}
        for name in (*index["trust_lists"], *index["certificates"], *index["revocation"]):
            assert name in files
        assert all(set(each) == {"what", "why", "zh", "en"} for each in index["missing"])
        return cls(content, index, files)

    @property
    def lacking(self) -> set[tuple[str, str]]:
        return {(each["what"], each["why"]) for each in self.index["missing"]}

    def ids(self) -> list[str]:
        return [each["id"] for each in self.index["messages"]]


def export(world: World, path: str, headers: dict[str, str] | None = None) -> Bundle:
    response = world.http.get(f"{world.url}{path}", headers=headers or world.token(Role.AUDITOR))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"].startswith('attachment; filename="evidence-')
    return Bundle.read(response.content)


def sent(world: World, **changes: Any) -> Envelope:
    request = world.request(**changes)
    assert world.send(request.raw).status == 200
    return request


def test_a_bundle_holds_what_was_exchanged_and_its_proofs(world: World) -> None:
    request = sent(world, text="personal data")
    bundle = export(world, f"/api/v1/messages/{request.header.id}/evidence")
    [message] = bundle.index["messages"]
    assert (message["id"], message["state"], message["code"]) == (request.header.id, "processed", None)
    containers = {part: without_record(bundle.files[path])[0] for part, path in message["containers"].items()}
    assert containers["request"] == request.raw
    receipt = read_receipt(open_envelope(containers["receipt"]))
    assert receipt.message.container_sha256 == request.container_sha256
    assert receipt.answer is not None
    assert receipt.answer.container_sha256 == hashlib.sha256(containers["answer"]).hexdigest()
    policy = TrustPolicy.decode(bundle.files["log/policy.txt"].decode())
    events = []
    for entry in message["entries"]:
        leaf, proof = bundle.files[entry["leaf"]], ProofFile.decode(bundle.files[entry["proof"]].decode())
        assert proof.index == entry["index"]
        assert proof.checkpoint.startswith(bundle.files["log/checkpoint.txt"].decode())
        verify_proof(proof, leaf, policy)
        events.append(json.loads(leaf)["event"])
    assert events == ["accepted", "answered"]
    assert receipt.log is not None
    assert receipt.log.index == message["entries"][-1]["index"]


def test_a_bundle_says_what_people_ask_and_shows_no_payload(world: World) -> None:
    request = sent(world, text="a secret of somebody's")
    bundle = export(world, f"/api/v1/messages/{request.header.id}/evidence")
    page = bundle.files["summary.html"].decode()
    assert "CBJ-2026-000017" in page
    assert "李伟" in page
    assert "a secret of somebody" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert bundle.files["summary.pdf"].startswith(b"%PDF-")
    assert bundle.files["README.txt"].startswith("电子证据包".encode())


def test_a_conversation_and_a_message_are_selected_as_asked(world: World) -> None:
    first = sent(world)
    second = sent(world, conversation=first.header.conversation)
    sent(world)
    bundle = export(world, f"/api/v1/evidence-bundles?conversation={first.header.conversation}")
    assert bundle.ids() == [first.header.id, second.header.id]
    assert bundle.index["selection"] == {"conversation": first.header.conversation, "party": None}
    bundle = export(world, f"/api/v1/evidence-bundles?message={second.header.id}")
    assert bundle.ids() == [second.header.id]


def test_of_a_conversation_nobody_knows_there_is_an_empty_bundle(world: World) -> None:
    bundle = export(world, f"/api/v1/evidence-bundles?conversation={UNKNOWN}")
    assert (bundle.index["messages"], bundle.index["checkpoint"]) == ([], None)


def test_a_case_is_selected_however_its_number_is_spelled(world: World) -> None:
    mine = replace(PURPOSE, case="EVB-2026 000001")
    first, second = sent(world, purpose=mine), sent(world, purpose=mine)
    sent(world)
    bundle = complete(world, "/api/v1/evidence-bundles?case=evb-2026%20000001")
    assert bundle.ids() == [first.header.id, second.header.id]
    assert bundle.index["selection"] == {"case": "evb-2026 000001", "party": None}
    assert verified(world, bundle).is_valid


def test_a_period_begins_with_its_first_instant_and_ends_before_its_last(world: World) -> None:
    requests = [sent(world) for _ in range(3)]
    arrivals = [format_instant(world.hub.archive.exchange(each.header.id).received_at) for each in requests]
    assert len(set(arrivals)) == 3
    bundle = export(world, f"/api/v1/evidence-bundles?since={arrivals[0]}&until={arrivals[2]}")
    assert bundle.ids() == [each.header.id for each in requests[:2]]
    assert bundle.index["selection"] == {"since": arrivals[0], "until": arrivals[2], "party": None}
    bundle = export(world, f"/api/v1/evidence-bundles?since={arrivals[2]}")
    assert bundle.ids() == [requests[2].header.id]


def test_every_export_is_put_on_record_before_it_is_sent(world: World) -> None:
    request = sent(world)
    headers = world.token(Role.AUDITOR, subject="审计员甲")
    export(world, f"/api/v1/evidence-bundles?conversation={request.header.conversation}", headers)
    [reading] = world.hub.readings.list(message_id=request.header.id)
    assert (reading.account, reading.what, reading.detail) == ("审计员甲", What.EVIDENCE, "conversation")


def test_more_messages_than_a_bundle_may_hold_are_refused_before_anything_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sent(world)
    sent(world, conversation=first.header.conversation)
    monkeypatch.setattr("hub.bundles.bundle.MOST_MESSAGES", 1)
    path = f"/api/v1/evidence-bundles?conversation={first.header.conversation}"
    response = world.http.get(f"{world.url}{path}", headers=world.token(Role.AUDITOR))
    assert (response.status_code, response.json()["code"]) == (400, "bundle.too_many_messages")


def test_a_party_gets_its_own_messages_and_a_stranger_none(world: World) -> None:
    mine = sent(world)
    other = sent(
        world,
        service=f"{FUND[:18]}/register/echo",
        sender=EMPLOYMENT,
        conversation=mine.header.conversation,
    )
    path = f"/api/v1/evidence-bundles?conversation={mine.header.conversation}"

    def got(subsystem: SubsystemId) -> Bundle:
        return export(world, path, world.token(Role.GATEWAY, subsystem))

    assert got(FUND).ids() == [mine.header.id]
    assert got(FUND).index["selection"]["party"] == FUND
    assert got(EMPLOYMENT).ids() == [mine.header.id, other.header.id]
    stranger = world.token(Role.GATEWAY, EMPLOYMENT.replace("employment", "levy"))  # type: ignore[arg-type]  # an id
    assert export(world, path, stranger).ids() == []
    address = f"{world.url}/api/v1/messages/{mine.header.id}/evidence"
    assert world.http.get(address, headers=stranger).status_code == 404


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMINISTRATOR])
def test_who_is_neither_auditor_nor_party_gets_no_evidence(world: World, role: Role) -> None:
    request = sent(world)
    for path in (
        f"/api/v1/messages/{request.header.id}/evidence",
        f"/api/v1/evidence-bundles?conversation={request.header.conversation}",
    ):
        response = world.http.get(f"{world.url}{path}", headers=world.token(role))
        assert (response.status_code, response.json()["code"]) == (403, "access.role_missing")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "bundle.selection_invalid"),
        (f"message={UNKNOWN}&case=1", "bundle.selection_invalid"),
        ("since=yesterday", "bundle.selection_invalid"),
        ("since=2026-03-02T00:00:00.000Z&until=2026-03-01T00:00:00.000Z", "bundle.selection_invalid"),
        ("conversation=x", "exchange.message_unknown"),
        (f"message={UNKNOWN}", "exchange.message_unknown"),
        ("case=", "exchange.request_invalid"),
    ],
)
def test_what_is_not_clearly_asked_for_is_refused_before_anything_is_sent(
    world: World, query: str, code: str
) -> None:
    response = world.http.get(
        f"{world.url}/api/v1/evidence-bundles?{query}", headers=world.token(Role.AUDITOR)
    )
    assert response.json()["code"] == code


def test_a_refused_exchange_is_evidence_too(world: World) -> None:
    request = world.request()
    with world.departments.cheating(lambda _request: Response(status_code=500)):
        reply = world.send(request.raw)
    assert reply.fault is not None
    bundle = export(world, f"/api/v1/messages/{request.header.id}/evidence")
    [message] = bundle.index["messages"]
    assert (message["state"], message["code"]) == ("refused", reply.fault.code)
    assert None not in message["containers"].values()
    leaves = [json.loads(bundle.files[each["leaf"]]) for each in message["entries"]]
    assert [each["event"] for each in leaves] == ["accepted", "failed"]


def test_the_signers_can_be_believed_by_what_is_in_the_bundle(world: World) -> None:
    request = sent(world)
    bundle = export(world, f"/api/v1/messages/{request.header.id}/evidence")
    assert not any(why == "no_revocation_answer" for _, why in bundle.lacking)
    assert bundle.index["revocation"]
    names = {hashlib.sha256(_der(bundle.files[each])).hexdigest() for each in bundle.index["certificates"]}
    assert {f"trust/certificates/{name}.pem" for name in names} == set(bundle.index["certificates"])
    for name in bundle.index["revocation"]:
        digest, kind = name.removeprefix("trust/revocation/").split(".")
        assert kind in {"ocsp", "crl"}
        assert hashlib.sha256(bundle.files[name]).hexdigest() == digest


def _der(pem: bytes) -> bytes:
    return b64decode(b"".join(pem.splitlines()[1:-1]))


def complete(world: World, path: str) -> Bundle:
    """Export again and again until nothing is missing: a time stamp takes its time."""
    found: list[Bundle] = []

    def is_complete() -> bool:
        found.append(export(world, path))
        return not found[-1].lacking

    wait_for(is_complete)
    return found[-1]


def verified(world: World, bundle: Bundle) -> VerificationReport:
    """Verify as an auditor would who got the list's signer and the log's key elsewhere."""
    pinned = read_pinned(world.pki.trust_list_signer)
    reader = Reader(
        read_trust_lists=lambda raws: check_history([open_trust_list(raw) for raw in raws], pinned),
        policy=TrustPolicy((PolicyLog(world.hub.log.verifier),), (), NO_WITNESS),
    )
    return verify_bundle(io.BytesIO(bundle.raw), reader, at=SystemClock().now(), subject="bundle")


def test_when_the_time_stamp_has_come_nothing_is_missing_and_the_bundle_verifies(world: World) -> None:
    request = sent(world)
    bundle = complete(world, f"/api/v1/messages/{request.header.id}/evidence")
    report = verified(world, bundle)
    assert report.is_valid, [step for step in report.steps if not step.is_passed]
    [message] = bundle.index["messages"]
    for path in message["containers"].values():
        _, record = without_record(bundle.files[path])
        assert record is not None
    assert bundle.index["checkpoint_record"] == "log/checkpoint.ers"
    assert "导出时各项证据齐备" in bundle.files["summary.html"].decode()


def test_what_a_hub_without_time_stamps_cannot_give_is_listed_and_comes_later(
    pki: ServedPki, tmp_path_factory: pytest.TempPathFactory
) -> None:
    honest = Behaviour(pki.signer("tsa"))
    with authority(replace(honest, http_status=503)) as one:
        change = knowing((one, one))
        with running_world(tmp_path_factory.mktemp("no-time"), pki, change) as world:
            request = sent(world)
            path = f"/api/v1/messages/{request.header.id}/evidence"
            bundle = export(world, path)
            record = "META-INF/evidencerecord001.ers"
            assert bundle.lacking == {
                ("log/checkpoint.ers", "stamp_waiting"),
                *(
                    (f"messages/{request.header.id}/{part}.asice#{record}", "stamp_waiting")
                    for part in ("request", "answer", "receipt")
                ),
            }
            assert bundle.index["checkpoint_record"] is None
            page = bundle.files["summary.html"].decode()
            assert "At export, 4 pieces of evidence were missing" in page
            assert "时间戳尚未取得" in page
            assert not verified(world, bundle).is_valid
            one.behaviour = honest
            assert verified(world, complete(world, path)).is_valid


def test_refused_exchanges_and_whole_conversations_verify(world: World) -> None:
    first = sent(world)
    sent(world, conversation=first.header.conversation)
    failed = world.request(conversation=first.header.conversation)
    with world.departments.cheating(lambda _request: Response(status_code=500)):
        assert world.send(failed.raw).fault is not None
    bundle = complete(world, f"/api/v1/evidence-bundles?conversation={first.header.conversation}")
    assert [each["state"] for each in bundle.index["messages"]] == ["processed", "processed", "refused"]
    report = verified(world, bundle)
    assert report.is_valid, [step for step in report.steps if not step.is_passed]


def test_copies_and_forgeries_under_the_same_id_do_not_swell_a_bundle(world: World) -> None:
    request = sent(world)
    for _ in range(3):
        assert world.send(request.raw).fault is not None
    forged = world.request(id=request.header.id, signed_by="rogue/labour-sign")
    assert world.send(forged.raw).fault is not None
    bundle = complete(world, f"/api/v1/messages/{request.header.id}/evidence")
    assert len(bundle.index["messages"][0]["entries"]) == 2
    assert verified(world, bundle).is_valid


def test_what_was_erased_by_rule_is_named_and_the_proof_stays(
    pki: ServedPki, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_world(tmp_path_factory.mktemp("erased"), pki) as world:
        request = sent(world)
        path = f"/api/v1/messages/{request.header.id}/evidence"
        complete(world, path)
        later = SystemClock().now() + timedelta(days=40)
        eraser = replace(world.hub.eraser, clock=FixedClock(later))
        for key in eraser.due(later + timedelta(days=36_500)):
            eraser.erase(key.key_id, reason="test", by="tests", before_its_time=True)
        bundle = export(world, path)
    folder = f"messages/{request.header.id}"
    erased = {(f"{folder}/{part}.asice", "erased") for part in ("request", "answer", "receipt")}
    assert bundle.lacking == {*erased, (f"{folder}/entries", "erased")}
    [message] = bundle.index["messages"]
    assert set(message["containers"].values()) == {None}
    [accepted] = message["entries"]
    assert json.loads(bundle.files[accepted["leaf"]])["container_sha256"] == request.container_sha256
    assert bundle.index["checkpoint_record"] is not None
    assert not verified(world, bundle).is_valid
