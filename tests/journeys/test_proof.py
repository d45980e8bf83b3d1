# SPDX-License-Identifier: Apache-2.0
"""The flagship: a caseworker of the federation gets a proof that three bureaus' systems add up to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from adapters.simulators.population import EMPLOYERS, FIRST_EMPLOYER, SECOND_EMPLOYER
from hub.accounts import Role
from hub.clock import SystemClock, day_in_china, parse_instant
from hub.contracts import load_contracts
from hub.demo.preparation import FEDERATION, FUND, HUB_MEMBER, LABOUR_BUREAU, PROJECT, SOCIAL_INSURANCE
from hub.documents import verify_document
from hub.envelope import open_envelope, read_receipt, refer_to
from hub.identifiers import ContractId, member_of, new_message_id
from tests.journeys.bureaus import REQUESTS
from tests.journeys.departments import EMPLOYMENT, REGISTER
from tests.journeys.recount import expected_proof
from tests.journeys.world import PURPOSE

if TYPE_CHECKING:
    from hub.envelope import Envelope
    from tests.journeys.bureaus import Bureaus

PROOF = f"{EMPLOYMENT}/disability-employment-proof"
RECORD = f"{EMPLOYMENT}/employment-record"
UNKNOWN_EMPLOYER = "91510108MA6C00003J"


@dataclass(frozen=True)
class Issued:
    """A request that was answered, and the containers as its caseworker fetches them."""

    id: str
    request: Envelope
    answer: Envelope
    receipt: Envelope

    @property
    def data(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.answer.payloads["response.json"])
        return content


def issued(bureaus: Bureaus, employer: str) -> Issued:
    response = bureaus.ask(PROOF, {"employer": employer, "year": bureaus.today.year}, bureaus.caseworker)
    assert response.status_code == 201, response.text
    shown = response.json()
    assert shown["state"] in {"draft", "claimed"}
    assert shown["requester"] == "李伟"
    settled = bureaus.settled(shown["id"], bureaus.caseworker)
    assert settled["state"] == "delivered", settled
    assert settled["message_id"] == shown["id"], "a draft can never become two messages"
    parts = [
        open_envelope(bureaus.get(f"{REQUESTS}/{shown['id']}/containers/{part}", bureaus.caseworker).content)
        for part in ("request", "answer", "receipt")
    ]
    return Issued(shown["id"], *parts)


@pytest.fixture(scope="module")
def second(bureaus: Bureaus) -> Issued:
    return issued(bureaus, SECOND_EMPLOYER)


def counted(bureaus: Bureaus, proof: dict[str, Any], employer: str) -> tuple[object, object]:
    """Return the proof's figures, and the same figures counted independently."""
    expected = expected_proof(
        employer,
        bureaus.today.year,
        today=bureaus.today.date(),
        review=day_in_china(parse_instant(proof["issued_at"])),
    )
    stated = {name: proof[name] for name in expected}
    stated["persons"] = sorted(stated["persons"], key=lambda row: row["person_id"])
    return stated, expected


def test_the_proof_states_what_an_independent_count_gives(bureaus: Bureaus, second: Issued) -> None:
    stated, expected = counted(bureaus, second.data, SECOND_EMPLOYER)
    assert stated == expected


def test_the_other_employers_proof_does_too(bureaus: Bureaus) -> None:
    stated, expected = counted(bureaus, issued(bureaus, FIRST_EMPLOYER).data, FIRST_EMPLOYER)
    assert stated == expected


def test_the_answer_keeps_to_its_contract_and_carries_the_sealed_document(
    bureaus: Bureaus, second: Issued
) -> None:
    contract = load_contracts(PROJECT / "contracts")[ContractId("disability-employment-proof/v1")]
    contract.check_response(second.answer.payloads)
    pdf = bureaus.get(f"{REQUESTS}/{second.id}/documents/proof.pdf", bureaus.caseworker)
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content == second.answer.payloads["proof.pdf"]

    report = verify_document(pdf.content, bureaus.world.pki.approved(), at=SystemClock().now())

    assert report.is_valid, [step for step in report.steps if not step.is_passed]


def test_the_proof_names_every_source_by_the_message_that_brought_it(
    bureaus: Bureaus, second: Issued
) -> None:
    own, *asked = second.data["sources"]
    assert (own["contract"], own["message_id"]) == ("employment-record/v1", None)
    rows = bureaus.get(f"/api/v1/messages?conversation={second.id}", bureaus.auditor).json()
    answers = {row["service"]: row["id"] for row in rows}
    assert {source["service"] for source in asked} == set(answers) - {PROOF}
    for source in asked:
        raw = bureaus.get(f"/api/v1/messages/{answers[source['service']]}/answer", bureaus.auditor).content
        answer = open_envelope(raw)
        assert source["message_id"] == answer.header.id
        [entry] = [entry for entry in answer.header.payload if entry.name == "response.json"]
        assert source["response_sha256"] == entry.sha256


def test_every_container_is_signed_by_the_department_that_speaks_and_none_by_the_hub_for_it(
    bureaus: Bureaus, second: Issued
) -> None:
    rows = bureaus.get(f"/api/v1/messages?conversation={second.id}", bureaus.auditor).json()
    signers = {}
    for row in rows:
        for part in ("request", "answer", "receipt"):
            raw = bureaus.get(f"/api/v1/messages/{row['id']}/{part}", bureaus.auditor).content
            signers[row["service"], part] = bureaus.world.signer_of(open_envelope(raw))
    certificates = f"{REGISTER}/disability-certificate"
    contributions = f"{SOCIAL_INSURANCE}/contributions/contribution-record"
    assert signers == {
        (PROOF, "request"): FEDERATION,
        (PROOF, "answer"): LABOUR_BUREAU,
        (certificates, "request"): LABOUR_BUREAU,
        (certificates, "answer"): FEDERATION,
        (contributions, "request"): LABOUR_BUREAU,
        (contributions, "answer"): SOCIAL_INSURANCE,
        **{(service, "receipt"): HUB_MEMBER for service in (PROOF, certificates, contributions)},
    }


def test_the_request_says_who_asked_and_why(second: Issued) -> None:
    header = second.request.header
    assert header.sender == FUND
    assert header.purpose is not None
    assert (header.purpose.official, header.purpose.post) == ("李伟", PURPOSE.post)
    assert member_of(header.recipient) == LABOUR_BUREAU
    receipt = read_receipt(second.receipt)
    assert receipt.message == refer_to(second.request)
    assert receipt.answer == refer_to(second.answer)


def test_the_gateway_keeps_the_containers_of_its_own_requests(bureaus: Bureaus, second: Issued) -> None:
    folder = bureaus.world.prepared.folder.path / "data" / "federation" / second.id
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "request.asice": second.request.raw,
        "response.asice": second.answer.raw,
        "receipt.asice": second.receipt.raw,
    }


def test_a_request_of_another_subsystem_is_invisible(bureaus: Bureaus, second: Issued) -> None:
    stranger = bureaus.world.token(Role.CASEWORKER, EMPLOYMENT)
    for path in ("", "/containers/answer", "/containers/request", "/documents/proof.pdf"):
        response = bureaus.get(f"{REQUESTS}/{second.id}{path}", stranger)
        assert (response.status_code, response.json()["code"]) == (404, "exchange.message_unknown")
    assert second.id not in {row["id"] for row in bureaus.get(REQUESTS, stranger).json()}
    assert second.id in {row["id"] for row in bureaus.get(REQUESTS, bureaus.caseworker).json()}


def test_a_caseworker_without_the_right_is_refused_before_anything_is_signed(bureaus: Bureaus) -> None:
    stranger = bureaus.world.token(Role.CASEWORKER, REGISTER)
    size = bureaus.world.hub.log.size()
    question = {"employer": SECOND_EMPLOYER, "year": bureaus.today.year}

    for headers, purpose, code in (
        (stranger, {}, "access.service_not_granted"),
        (bureaus.caseworker, {"item": "000114001000"}, "access.purpose_not_allowed"),
    ):
        response = bureaus.ask(PROOF, question, headers, **purpose)
        assert (response.status_code, response.json()["code"]) == (403, code)

    gateway = bureaus.world.token(Role.GATEWAY, REGISTER)
    claim = bureaus.world.http.post(f"{bureaus.world.url}/api/v1/evidence/drafts/claim", headers=gateway)
    assert claim.json() is None, "there is no draft that a gateway could sign"
    assert bureaus.world.hub.log.size() == size


@pytest.mark.parametrize(
    ("service", "data", "status", "code"),
    [
        (PROOF, {"employer": "1", "year": 2026}, 400, "contract.request_invalid"),
        (f"{EMPLOYMENT}/unheard-of", {}, 404, "registry.service_unknown"),
        ("no service", {}, 400, "exchange.request_invalid"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_at_once(
    bureaus: Bureaus, service: str, data: dict[str, Any], status: int, code: str
) -> None:
    response = bureaus.ask(service, data, bureaus.caseworker)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_a_draft_belongs_to_its_own_subsystems_gateway(bureaus: Bureaus, second: Issued) -> None:
    world = bureaus.world
    stranger = world.token(Role.GATEWAY, EMPLOYMENT)
    drafts = f"{world.url}/api/v1/evidence/drafts"
    failure = {"code": "exchange.internal", "detail": ""}
    for address, body in ((f"{second.id}/settled", None), (f"{second.id}/failure", failure)):
        response = world.http.post(f"{drafts}/{address}", json=body, headers=stranger)
        assert (response.status_code, response.json()["code"]) == (404, "exchange.message_unknown")
    assert bureaus.settled(second.id, bureaus.caseworker)["state"] == "delivered"


def test_an_employer_nobody_knows_ends_with_the_departments_own_code(bureaus: Bureaus) -> None:
    assert UNKNOWN_EMPLOYER not in EMPLOYERS
    for service in (RECORD, PROOF):
        response = bureaus.ask(
            service, {"employer": UNKNOWN_EMPLOYER, "year": bureaus.today.year}, bureaus.caseworker
        )
        assert response.status_code == 201, response.text
        shown = bureaus.settled(response.json()["id"], bureaus.caseworker)
        assert (shown["state"], shown["code"]) == ("failed", "adapter.record_not_found")
        raw = bureaus.get(f"{REQUESTS}/{shown['id']}/containers/answer", bureaus.caseworker).content
        assert bureaus.world.signer_of(open_envelope(raw)) == LABOUR_BUREAU


def test_a_request_nobody_made_is_unknown(bureaus: Bureaus) -> None:
    for name in (new_message_id(SystemClock().now()), "nonsense"):
        response = bureaus.get(f"{REQUESTS}/{name}", bureaus.caseworker)
        assert (response.status_code, response.json()["code"]) == (404, "exchange.message_unknown")
