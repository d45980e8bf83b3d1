# SPDX-License-Identifier: Apache-2.0
"""A message only its recipient can read, through a real hub and two gateways, and all who would like to."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rfc8785

from hub.accounts import Role
from hub.clock import SystemClock
from hub.custody import open_decryption_key
from hub.custody.secrets import Secret
from hub.demo.preparation import FUND, LABOUR_BUREAU
from hub.envelope import (
    ENCRYPTED_SUFFIX,
    Envelope,
    Kind,
    Party,
    Payload,
    decrypt_payloads,
    encrypt_payloads,
    reply_to,
    seal_envelope,
)
from hub.errors import ReportedFaultError
from hub.identifiers import MemberId, new_message_id
from hub.registry import fingerprint_of
from hub.verifier.certificates import SignerCertificate
from hub.verifier.containers import REVOCATION, SECRECY, verify_envelope
from tests.journeys.departments import EMPLOYMENT
from tests.journeys.portal import PORTAL, visiting
from tests.journeys.secrecy import (
    APPRAISAL,
    CONTRACT,
    FINDING,
    PDF,
    PERSON,
    SecretSite,
    client_of,
    question,
    register_appraisal,
    register_key,
)
from tests.journeys.world import PURPOSE, World, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.custody import DecryptionKey
    from tests.pki import ServedPki

LABOUR_KEY, FEDERATION_KEY = "labour-encryption", "federation-encryption"
FEDERATION = MemberId("13510108MB1A00003J")


@pytest.fixture
def world(pki: ServedPki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("secrecy"), pki) as running:
        register_appraisal(running, "http://127.0.0.1:9/messages")
        yield running


@pytest.fixture
def labour(world: World, tmp_path: Path) -> SecretSite:
    (tmp_path / "labour").mkdir()
    return SecretSite(world, EMPLOYMENT, "labour-sign", tmp_path / "labour")


@pytest.fixture
def federation(world: World, tmp_path: Path) -> SecretSite:
    (tmp_path / "federation").mkdir()
    return SecretSite(world, FUND, "federation-sign", tmp_path / "federation")


def decryption_key(world: World, label: str) -> DecryptionKey:
    pki = world.pki
    return open_decryption_key(pki.key(label), pki.chain(label), Secret("test", pki.passphrase.decode()))


def secret_request(world: World, label: str = LABOUR_KEY) -> Envelope:
    """Sign an encrypted request as the fund would, to any certificate."""
    plain = (Payload("request.json", "application/json", rfc8785.dumps({"person_id": PERSON})),)
    draft = world.request(APPRAISAL, payloads=plain, contract=CONTRACT)
    payloads = encrypt_payloads(draft.header, plain, world.pki.certificates(label)[0])
    header = replace(draft.header, payload=tuple(each.describe() for each in payloads))
    return seal_envelope(header, payloads, world.pki.signer("federation-sign"))


def refused(world: World, request: Envelope) -> str:
    reply = world.send(request.raw)
    assert reply.fault is not None
    return reply.fault.code


def files_below(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def test_the_asker_reads_the_answer_and_the_hub_reads_neither(
    world: World, labour: SecretSite, federation: SecretSite
) -> None:
    with labour.running(LABOUR_KEY), federation.running(FEDERATION_KEY) as asking:
        answer = client_of(asking).ask(question())

    assert answer.data["appraisals"][0]["finding"] == FINDING
    assert answer.payloads["appraisal.pdf"] == PDF
    assert labour.adapter.asked[0][0] == {"person_id": PERSON}
    assert [each.name for each in answer.response.header.payload] == [
        "response.json.p7m",
        "appraisal.pdf.p7m",
    ]
    for secret in (PERSON.encode(), FINDING.encode(), PDF):
        assert secret not in answer.request.raw + answer.response.raw + answer.receipt.raw
    for kept in (answer.request, answer.response):
        assert world.hub.vault.read(kept.container_sha256) == kept.raw


def test_nothing_of_the_content_is_anywhere_in_the_hubs_folder(
    world: World, labour: SecretSite, federation: SecretSite
) -> None:
    """The database, its journal, the vault's files and the logs are searched for what was exchanged."""
    with labour.running(LABOUR_KEY), federation.running(FEDERATION_KEY) as asking:
        client_of(asking).ask(question())

    data = world.prepared.folder.path / "data"
    assert files_below(data)
    for file in files_below(data):
        content = file.read_bytes()
        assert PERSON.encode() not in content, file
        assert FINDING.encode() not in content, file


def test_it_is_found_by_its_case_and_by_nothing_else(
    world: World, labour: SecretSite, federation: SecretSite
) -> None:
    with labour.running(LABOUR_KEY), federation.running(FEDERATION_KEY) as asking:
        answer = client_of(asking).ask(question())

    with world.hub.engine.connect() as connection:
        names = connection.exec_driver_sql(
            "SELECT name FROM exchange_keys WHERE message_id = ?", (answer.request.header.id,)
        ).scalars()
        assert set(names) == {"case", "item"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_recipient_opens_a_kept_container_with_openssl_alone(
    world: World, labour: SecretSite, federation: SecretSite, tmp_path: Path
) -> None:
    with labour.running(LABOUR_KEY), federation.running(FEDERATION_KEY) as asking:
        answer = client_of(asking).ask(question())
    file = tmp_path / "response.p7m"
    file.write_bytes(answer.response.payloads["response.json.p7m"])
    pki = world.pki

    opened = subprocess.run(
        [
            *("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", str(file)),
            *("-recip", str(pki.certificate(FEDERATION_KEY)), "-inkey", str(pki.key(FEDERATION_KEY))),
            *("-passin", f"pass:{pki.passphrase.decode()}"),
        ],
        capture_output=True,
        check=True,
        timeout=30,
    )

    assert json.loads(opened.stdout) == answer.data


def test_everybody_is_told_for_whom_it_is_instead_of_being_shown_it(
    world: World, labour: SecretSite, federation: SecretSite, tmp_path: Path
) -> None:
    """The verifier, the portal and the evidence bundle say "encrypted for", and fail at nothing."""
    with labour.running(LABOUR_KEY), federation.running(FEDERATION_KEY) as asking:
        answer = client_of(asking).ask(question())
    message_id = answer.request.header.id
    file = tmp_path / "response.asice"
    file.write_bytes(answer.response.raw)
    pki = world.pki

    signer, now = SignerCertificate(pki.trust_lists(), None), SystemClock().now()
    report = verify_envelope(file.read_bytes(), signer, at=now, subject="response").report

    # Without stored answers nobody can say offline that nothing was revoked; all else holds.
    assert {step.name for step in report.steps if not step.is_passed} == {REVOCATION}
    assert SECRECY in {step.name for step in report.steps}
    assert report.facts["encrypted_for"].startswith(FUND)
    with visiting(world, Role.AUDITOR) as auditor:
        page = auditor.get(f"{PORTAL}/messages/{message_id}")
    assert page.status_code == 200
    assert page.text.count("Encrypted for") == 2
    assert FINDING not in page.text
    bundle = world.http.get(
        f"{world.url}/api/v1/messages/{message_id}/evidence", headers=world.token(Role.AUDITOR)
    )
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as files:
        summary = files.read("summary.html").decode()
    assert "Encrypted for" in summary
    assert FINDING not in summary


def test_the_recipient_opens_a_container_by_command(
    world: World, labour: SecretSite, federation: SecretSite, tmp_path: Path
) -> None:
    with labour.running(LABOUR_KEY), federation.running(FEDERATION_KEY) as asking:
        answer = client_of(asking).ask(question())
    (tmp_path / "response.asice").write_bytes(answer.response.raw)

    def run(label: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(
                    str(Path(sys.executable).with_name("heliograph")),
                    "open",
                    "response.asice",
                    "--out",
                    "opened",
                    "--json",
                ),
                *("--key", str(world.pki.key(label)), "--chain", str(world.pki.chain(label))),
            ],
            env={**os.environ, "HELIOGRAPH_KEY_PASSPHRASE": world.pki.passphrase.decode()},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    wrong = run(LABOUR_KEY)
    assert wrong.returncode == 1
    assert json.loads(wrong.stdout)["code"] == "envelope.decryption_key_missing"
    opened = run(FEDERATION_KEY)
    assert opened.returncode == 0, opened.stderr
    assert json.loads((tmp_path / "opened" / "response.json").read_bytes()) == answer.data
    assert (tmp_path / "opened" / "appraisal.pdf").read_bytes() == PDF
    assert (tmp_path / "opened" / "appraisal.pdf").stat().st_mode & 0o077 == 0
    again = run(FEDERATION_KEY)
    assert json.loads(again.stdout)["code"] == "settings.invalid", "nothing is overwritten"


def test_old_keys_open_what_was_encrypted_to_them_after_a_change(
    world: World, labour: SecretSite, federation: SecretSite
) -> None:
    with federation.running(FEDERATION_KEY) as asking:
        client = client_of(asking)
        with labour.running(LABOUR_KEY):
            before = client.sign_request(question())
        with labour.running("labour-encryption-next", LABOUR_KEY):
            # Made before the change, and one made with what the sender still remembers.
            assert client.submit(before, timeout_seconds=20).data["person_id"] == PERSON
            assert client.ask(question()).data["person_id"] == PERSON
            assert asking.secrecy is not None
            asking.secrecy.forget(MemberId(LABOUR_BUREAU))
            turned = client.sign_request(question())
            next_key = decryption_key(world, "labour-encryption-next")
            assert "request.json" in decrypt_payloads(turned, [next_key])
            assert client.submit(turned, timeout_seconds=20).data["person_id"] == PERSON
        with labour.running("labour-encryption-next"):
            request = secret_request(world, LABOUR_KEY)
            with pytest.raises(ReportedFaultError) as fault:
                client.submit(request, timeout_seconds=20)
            assert fault.value.code == "envelope.decryption_key_missing"


def test_what_is_encrypted_to_a_retired_certificate_is_refused_by_the_hub(world: World) -> None:
    register_key(world, LABOUR_BUREAU, "labour-encryption-p384")
    register_key(world, FEDERATION, FEDERATION_KEY)
    certificate = world.pki.certificates("labour-encryption-p384")[0]
    world.hub.certificates.retire(fingerprint_of(certificate), "keyCompromise", by="tests")

    assert refused(world, secret_request(world, "labour-encryption-p384")) == "exchange.encrypted_for_another"
    listed = world.http.get(f"{world.url}/api/v1/encryption-certificates/{LABOUR_BUREAU}").json()
    assert fingerprint_of(certificate) not in {each["fingerprint"] for each in listed["certificates"]}


def test_rsa_certificates_serve_too(world: World, labour: SecretSite, federation: SecretSite) -> None:
    with (
        labour.running("labour-encryption-rsa", LABOUR_KEY),
        federation.running(FEDERATION_KEY) as asking,
    ):
        request = secret_request(world, "labour-encryption-rsa")
        answer = client_of(asking).submit(request, timeout_seconds=20)

    assert answer.data["person_id"] == PERSON


def test_the_hub_refuses_what_is_not_encrypted_as_it_should(world: World) -> None:
    register_key(world, LABOUR_BUREAU, LABOUR_KEY)
    register_key(world, FEDERATION, FEDERATION_KEY)
    plain = (Payload("request.json", "application/json", rfc8785.dumps({"person_id": PERSON})),)
    good = secret_request(world)
    label = f"request.json{ENCRYPTED_SUFFIX}"
    other_name = replace(good.header.payload[0], name=f"other.json{ENCRYPTED_SUFFIX}")

    def sealed(content: bytes, **changes: object) -> Envelope:
        payload = Payload(label, "application/pkcs7-mime", content)
        header = replace(good.header, id=new_message_id(good.header.sent_at), **changes)  # type: ignore[arg-type]
        header = replace(header, conversation=header.id, payload=(payload.describe(),))
        return seal_envelope(header, (payload,), world.pki.signer("federation-sign"))

    assert (
        refused(world, world.request(APPRAISAL, payloads=plain, contract=CONTRACT))
        == "envelope.not_encrypted"
    )
    assert refused(world, sealed(b"no CMS at all")) == "envelope.encryption_malformed"
    assert refused(world, sealed(good.payloads[label])) == "envelope.encryption_moved"
    renamed = Payload(other_name.name, "application/pkcs7-mime", good.payloads[label])
    moved = seal_envelope(
        replace(good.header, payload=(renamed.describe(),)), (renamed,), world.pki.signer("federation-sign")
    )
    assert refused(world, moved) == "envelope.encryption_moved"
    assert refused(world, secret_request(world, FEDERATION_KEY)) == "exchange.encrypted_for_another"
    assert refused(world, secret_request(world, "tax-encryption")) == "exchange.encrypted_for_another"


def test_a_draft_at_the_hub_is_refused_because_the_hub_would_read_it(world: World) -> None:
    token = world.token(Role.CASEWORKER, FUND)
    body = {
        "service": APPRAISAL,
        "request": {"person_id": PERSON},
        "purpose": {"item": PURPOSE.item, "case": "1", "legal_basis": "1", "post": "1"},
    }

    response = world.http.post(f"{world.url}/api/v1/evidence/requests", json=body, headers=token)

    assert response.json()["code"] == "exchange.secrecy_unavailable"


def test_an_answer_that_is_not_for_the_asker_alone_is_refused(world: World, federation: SecretSite) -> None:
    """An answerer that forgets to encrypt, or encrypts to itself, is stopped before the asker sees it."""
    register_key(world, LABOUR_BUREAU, LABOUR_KEY)
    data = {"person_id": PERSON, "appraisals": []}
    payload = Payload("response.json", "application/json", rfc8785.dumps(data))
    party = Party(EMPLOYMENT, world.pki.signer("labour-sign"))
    with federation.running(FEDERATION_KEY):
        for label in (None, LABOUR_KEY):
            certificate = None if label is None else world.pki.certificates(label)[0]

            def answer(request: Envelope, certificate: object = certificate) -> bytes:
                now = request.header.sent_at
                made = reply_to(
                    request,
                    Kind.RESPONSE,
                    (payload,),
                    party=party,
                    now=now,
                    encrypted_to=certificate,  # type: ignore[arg-type]
                )
                return made.raw

            with world.departments.cheating(answer), _served_by_departments(world):
                assert refused(world, secret_request(world)) == "exchange.answer_not_secret"


class _served_by_departments:  # noqa: N801 - reads as a statement
    """Let the echoing departments' port answer for the service for a while."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __enter__(self) -> None:
        from tests.journeys.departments import LABOUR_ECHO

        url = self._world.hub.registry.require_service(LABOUR_ECHO).gateway_url
        register_appraisal(self._world, url)

    def __exit__(self, *_: object) -> None:
        register_appraisal(self._world, "http://127.0.0.1:9/messages")
