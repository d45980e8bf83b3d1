# SPDX-License-Identifier: Apache-2.0
"""Every door of the hub: who may come in with which role, and in what words the others are sent away."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest

from hub.accounts import Role
from hub.app import build_app
from hub.clock import SystemClock
from hub.demo.preparation import FUND
from hub.errors import Language, error_kinds
from hub.identifiers import new_message_id
from tests.journeys.departments import EMPLOYMENT

if TYPE_CHECKING:
    from tests.journeys.world import World

ID = new_message_id(SystemClock().now())
ANYBODY = set(Role)
CASEWORKER, GATEWAY, ADMINISTRATOR = {Role.CASEWORKER}, {Role.GATEWAY}, {Role.ADMINISTRATOR}

PUBLIC = {
    ("POST", "/api/v1/messages"),
    ("POST", "/api/v1/uploads"),
    ("HEAD", "/api/v1/uploads/{upload_id}"),
    ("PATCH", "/api/v1/uploads/{upload_id}"),
    ("GET", "/api/v1/downloads/{sha256}"),
    ("POST", "/api/v1/collections"),
    ("POST", "/api/v1/collections/{number}"),
    ("GET", "/log/checkpoint"),
    ("GET", "/log/checkpoints/{size}"),
    ("GET", "/log/checkpoints/{size}/record"),
    ("GET", "/log/stamps"),
    ("GET", "/log/stamps/{size}"),
    ("GET", "/log/tile/entries/{index}"),
    ("GET", "/log/tile/{level}/{index}"),
    ("GET", "/log/policy"),
    ("GET", "/log/entries/{index}"),
    ("GET", "/log/entries/{index}/proof"),
    ("GET", "/log/consistency/{old}/{new}"),
    ("POST", "/witness/add-checkpoint"),
    ("GET", "/witness/key"),
    ("GET", "/witness/{origin_hash}/checkpoint"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/api/v1/trust-lists"),
    ("GET", "/api/v1/trust-lists/current"),
    ("GET", "/api/v1/trust-lists/{sequence}"),
    ("GET", "/api/v1/encryption-certificates/{member}"),
}
"""A message's signature is its credential; log, trust list and what to encrypt to are for everybody."""

DRAFT: dict[str, Any] = {
    "service": f"{EMPLOYMENT}/echo",
    "request": {"text": ""},
    "purpose": {"item": "1", "case": "1", "legal_basis": "1", "post": "1"},
}
EXPLAINED = {"certificates": "no certificate"}
FAILURE = {"code": "exchange.internal", "detail": ""}

DATA_KEY = "2020-01_P1Y_1"
HOLD = {"subject": "a case nobody has", "reason": "tests"}

# Route, the path to try, the body, and who may.
DOORS: list[tuple[str, str, str, Any, set[Role]]] = [
    ("GET", "/api/v1/gateways", "/api/v1/gateways", None, {Role.AUDITOR, Role.OPERATOR, *ADMINISTRATOR}),
    ("GET", "/api/v1/vault/due", "/api/v1/vault/due", None, {Role.AUDITOR, Role.OPERATOR, *ADMINISTRATOR}),
    (
        "GET",
        "/api/v1/vault/keys/{key}",
        f"/api/v1/vault/keys/{DATA_KEY}",
        None,
        {Role.AUDITOR, Role.OPERATOR, *ADMINISTRATOR},
    ),
    (
        "GET",
        "/api/v1/vault/erasures",
        "/api/v1/vault/erasures",
        None,
        {Role.AUDITOR, Role.OPERATOR, *ADMINISTRATOR},
    ),
    (
        "POST",
        "/api/v1/vault/keys/{key}/erasure",
        f"/api/v1/vault/keys/{DATA_KEY}/erasure",
        {"reason": "tests"},
        ADMINISTRATOR,
    ),
    ("GET", "/api/v1/vault/holds", "/api/v1/vault/holds", None, {Role.AUDITOR, *ADMINISTRATOR}),
    ("POST", "/api/v1/vault/holds", "/api/v1/vault/holds", HOLD, {Role.AUDITOR, *ADMINISTRATOR}),
    ("POST", "/api/v1/vault/holds/release", "/api/v1/vault/holds/release", HOLD, ADMINISTRATOR),
    ("GET", "/api/v1/messages", "/api/v1/messages", None, ANYBODY),
    ("GET", "/api/v1/readings", "/api/v1/readings", None, {Role.AUDITOR}),
    ("GET", "/metrics", "/metrics", None, {Role.ADMINISTRATOR, Role.OPERATOR, Role.AUDITOR}),
    ("GET", "/api/v1/weather", "/api/v1/weather", None, {Role.ADMINISTRATOR, Role.OPERATOR, Role.AUDITOR}),
    ("GET", "/api/v1/flows", "/api/v1/flows", None, {Role.ADMINISTRATOR, Role.OPERATOR, Role.AUDITOR}),
    ("GET", "/api/v1/messages/{message_id}", f"/api/v1/messages/{ID}", None, ANYBODY),
    (
        "GET",
        "/api/v1/messages/{message_id}/evidence",
        f"/api/v1/messages/{ID}/evidence",
        None,
        {Role.AUDITOR, Role.CASEWORKER, Role.GATEWAY},
    ),
    (
        "GET",
        "/api/v1/evidence-bundles",
        f"/api/v1/evidence-bundles?conversation={ID}",
        None,
        {Role.AUDITOR, Role.CASEWORKER, Role.GATEWAY},
    ),
    ("GET", "/api/v1/messages/{message_id}/{part}", f"/api/v1/messages/{ID}/request", None, ANYBODY),
    (
        "GET",
        "/api/v1/log/health",
        "/api/v1/log/health",
        None,
        {Role.ADMINISTRATOR, Role.OPERATOR, Role.AUDITOR},
    ),
    ("GET", "/api/v1/log/proofs/{message_id}", f"/api/v1/log/proofs/{ID}", None, ANYBODY),
    ("POST", "/api/v1/evidence/requests", "/api/v1/evidence/requests", DRAFT, CASEWORKER),
    ("GET", "/api/v1/evidence/requests", "/api/v1/evidence/requests", None, CASEWORKER),
    ("GET", "/api/v1/evidence/requests/{request_id}", f"/api/v1/evidence/requests/{ID}", None, CASEWORKER),
    (
        "GET",
        "/api/v1/evidence/requests/{request_id}/containers/{part}",
        f"/api/v1/evidence/requests/{ID}/containers/answer",
        None,
        CASEWORKER,
    ),
    (
        "GET",
        "/api/v1/evidence/requests/{request_id}/documents/{name}",
        f"/api/v1/evidence/requests/{ID}/documents/proof.pdf",
        None,
        CASEWORKER,
    ),
    ("POST", "/api/v1/trust-lists", "/api/v1/trust-lists", None, ADMINISTRATOR),
    ("POST", "/api/v1/evidence/drafts/claim", "/api/v1/evidence/drafts/claim", None, GATEWAY),
    (
        "POST",
        "/api/v1/evidence/drafts/{request_id}/settled",
        f"/api/v1/evidence/drafts/{ID}/settled",
        None,
        GATEWAY,
    ),
    (
        "POST",
        "/api/v1/evidence/drafts/{request_id}/failure",
        f"/api/v1/evidence/drafts/{ID}/failure",
        FAILURE,
        GATEWAY,
    ),
    ("GET", "/api/v1/alarms", "/api/v1/alarms", None, {Role.ADMINISTRATOR, Role.OPERATOR, Role.AUDITOR}),
    (
        "POST",
        "/api/v1/alarms/{alarm_id}/acknowledgement",
        "/api/v1/alarms/4711/acknowledgement",
        None,
        {Role.ADMINISTRATOR, Role.OPERATOR},
    ),
    ("POST", "/api/v1/trust/explanations", "/api/v1/trust/explanations", EXPLAINED, ANYBODY),
    (
        "GET",
        "/api/v1/registry-changes",
        "/api/v1/registry-changes",
        None,
        {Role.AUDITOR, Role.ADMINISTRATOR},
    ),
]
DOORS += [
    ("GET", "/api/v1/keys", "/api/v1/keys", None, ADMINISTRATOR),
    ("POST", "/api/v1/keys", "/api/v1/keys", {}, ADMINISTRATOR),
    ("GET", "/api/v1/keys/{name}/request", "/api/v1/keys/nothing/request", None, ADMINISTRATOR),
    ("PUT", "/api/v1/keys/{name}/certificate", "/api/v1/keys/nothing/certificate", {}, ADMINISTRATOR),
]
for kind in ("member", "subsystem", "service", "access-right", "subscription"):
    each = f"/api/v1/{kind}s/{{entry_id:path}}"
    DOORS += [
        ("GET", f"/api/v1/{kind}s", f"/api/v1/{kind}s", None, ANYBODY),
        ("GET", each, f"/api/v1/{kind}s/nothing", None, ANYBODY),
        ("PUT", each, f"/api/v1/{kind}s/nothing", {}, ADMINISTRATOR),
        ("DELETE", each, f"/api/v1/{kind}s/nothing", None, ADMINISTRATOR),
    ]

OPERATOR = {Role.OPERATOR}
WATCHERS = {Role.OPERATOR, Role.AUDITOR}
PAUSE = "/api/v1/services/{service_id:path}/pause"
A_PAUSE = "/api/v1/services/nothing/pause"
MAINTENANCE = {"reason": "test", "until": "2036-01-01T00:00:00.000Z"}
LETTERS = "/api/v1/dead-letters"
DOORS += [
    ("GET", LETTERS, LETTERS, None, WATCHERS),
    ("POST", f"{LETTERS}/preview", f"{LETTERS}/preview", {"numbers": [4711]}, WATCHERS),
    ("POST", f"{LETTERS}/replay", f"{LETTERS}/replay", {"numbers": [4711]}, OPERATOR),
    ("POST", f"{LETTERS}/close", f"{LETTERS}/close", {"numbers": [4711], "reason": "test"}, OPERATOR),
    (
        "GET",
        "/api/v1/messages/{message_id}/deliveries",
        f"/api/v1/messages/{ID}/deliveries",
        None,
        ANYBODY,
    ),
    ("GET", "/api/v1/pauses", "/api/v1/pauses", None, WATCHERS | ADMINISTRATOR),
    ("GET", PAUSE, A_PAUSE, None, WATCHERS | ADMINISTRATOR),
    ("PUT", PAUSE, A_PAUSE, MAINTENANCE, OPERATOR),
    ("DELETE", PAUSE, A_PAUSE, None, OPERATOR),
]

CERTIFICATE = "/api/v1/certificates/{fingerprint}"
A_CERTIFICATE = f"/api/v1/certificates/{'0' * 64}"
DOORS += [
    ("GET", "/api/v1/certificates", "/api/v1/certificates", None, ANYBODY),
    ("GET", CERTIFICATE, A_CERTIFICATE, None, ANYBODY),
    ("PUT", CERTIFICATE, A_CERTIFICATE, {}, ADMINISTRATOR),
    ("DELETE", CERTIFICATE, A_CERTIFICATE, None, ADMINISTRATOR),
]

doors = pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [(method, path, body, allowed) for method, _, path, body, allowed in DOORS],
    ids=[f"{method} {route}" for method, route, _, _, _ in DOORS],
)


def test_every_door_there_is_stands_in_the_table(world: World) -> None:
    paths = build_app(world.hub).openapi()["paths"]
    there_are = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    listed = {(method, route.replace(":path", "")) for method, route, _, _, _ in DOORS}
    assert there_are == listed | PUBLIC


@doors
def test_nobody_comes_in_without_a_token(
    world: World, method: str, path: str, body: Any, allowed: set[Role]
) -> None:
    del allowed
    for headers in ({}, {"Authorization": "Bearer heliograph_" + "A" * 43}, {"Authorization": "Basic eDp5"}):
        response = world.http.request(method, f"{world.url}{path}", json=body, headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "access.not_authenticated")
        assert response.headers["www-authenticate"] == "Bearer"


@doors
def test_a_caller_comes_in_with_the_right_role_and_no_other(
    world: World, method: str, path: str, body: Any, allowed: set[Role]
) -> None:
    for role in Role:
        subsystem = FUND if role in {Role.CASEWORKER, Role.GATEWAY} else None
        headers = world.token(role, subsystem, "somebody")
        response = world.http.request(method, f"{world.url}{path}", json=body, headers=headers)
        is_sent_away = response.status_code == 403 and response.json()["code"] == "access.role_missing"
        assert is_sent_away == (role not in allowed), (role, response.text)


def test_a_revoked_token_opens_nothing(world: World) -> None:
    headers = world.token(Role.AUDITOR, subject="left yesterday")
    address = f"{world.url}/api/v1/messages"
    assert world.http.get(address, headers=headers).status_code == 200
    [token] = [one for one in world.hub.accounts.tokens() if one.principal.subject == "left yesterday"]
    world.hub.accounts.revoke(token.id)
    assert world.http.get(address, headers=headers).status_code == 401


def test_content_is_for_auditors_and_the_two_parties(world: World) -> None:
    request = world.request(text="personal")
    assert world.send(request.raw).status == 200
    base = f"{world.url}/api/v1/messages/{request.header.id}"
    parts = ("request", "answer", "receipt")

    def statuses(headers: dict[str, str]) -> list[int]:
        addresses = (base, *(f"{base}/{part}" for part in parts), f"{base}/nothing")
        return [world.http.get(address, headers=headers).status_code for address in addresses]

    assert statuses(world.token(Role.AUDITOR)) == [200, 200, 200, 200, 404]
    assert statuses(world.token(Role.GATEWAY, FUND)) == [200, 200, 200, 200, 404]
    assert statuses(world.token(Role.GATEWAY, EMPLOYMENT)) == [200, 200, 200, 200, 404]
    assert statuses(world.token(Role.OPERATOR)) == [200, 403, 403, 200, 404]
    assert statuses(world.token(Role.ADMINISTRATOR)) == [404] * 5
    stranger = world.token(Role.GATEWAY, EMPLOYMENT.replace("employment", "levy"))  # type: ignore[arg-type]  # an id
    assert statuses(stranger) == [404] * 5


def test_a_party_finds_its_own_messages_however_many_others_came_later(world: World) -> None:
    mine = world.request()
    assert world.send(mine.raw).status == 200
    for _ in range(3):
        other = world.request(f"{FUND[:18]}/register/echo", sender=EMPLOYMENT)  # type: ignore[arg-type]  # an id
        assert world.send(other.raw).status == 200
    headers = world.token(Role.GATEWAY, FUND)
    rows = world.http.get(f"{world.url}/api/v1/messages?most=1", headers=headers).json()
    assert [row["id"] for row in rows] == [mine.header.id]


def test_an_inclusion_proof_leads_from_every_entry_to_the_signed_root(world: World) -> None:
    request = world.request()
    assert world.send(request.raw).status == 200
    address = f"{world.url}/api/v1/log/proofs/{request.header.id}"
    proofs = world.http.get(address, headers=world.token(Role.GATEWAY, FUND)).json()
    assert len(proofs) == 2
    for proof in proofs:
        origin, size, root, *_ = proof["checkpoint"].split("\n")
        assert (origin, int(size)) == (world.hub.log.origin, proof["tree_size"])
        assert hashlib.sha256(b"\0" + proof["entry"].encode()).hexdigest() == proof["leaf_sha256"]
        assert root_by_hand(proof).digest() == b64decode(root)


def root_by_hand(proof: dict[str, Any]) -> Any:
    """Compute the root from a proof as RFC 9162 section 2.1.3.2 says, with nothing of the hub's."""
    index, last = proof["index"], proof["tree_size"] - 1
    digest = hashlib.sha256(b"\0" + proof["entry"].encode())
    for node in map(bytes.fromhex, proof["path"]):
        if index % 2 or index == last:
            digest = hashlib.sha256(b"\1" + node + digest.digest())
            while index and not index % 2:
                index, last = index // 2, last // 2
        else:
            digest = hashlib.sha256(b"\1" + digest.digest() + node)
        index, last = index // 2, last // 2
    assert last == 0
    return digest


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("en", Language.EN),
        ("en-GB,en;q=0.9", Language.EN),
        ("zh-CN", Language.ZH),
        ("zh-CN,en;q=0.5", Language.ZH),
        ("fr, en", Language.EN),
        ("fr", Language.ZH),
        (None, Language.ZH),
    ],
)
def test_a_refusal_speaks_the_callers_language(world: World, accept: str | None, language: Language) -> None:
    headers = {} if accept is None else {"Accept-Language": accept}
    response = world.http.get(f"{world.url}/api/v1/messages", headers=headers)
    kind = error_kinds()["access.not_authenticated"]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-language"] == language.value
    assert response.json() == {
        "type": "urn:heliograph:error:access.not_authenticated",
        "title": kind.message[language],
        "status": 401,
        "detail": "no bearer token was sent",
        "code": "access.not_authenticated",
        "culprit": "sender",
        "retryable": False,
        "cure": kind.cure[language],
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/api/v1/messages", 405), ("GET", "/api/v1/nowhere", 404)],
)
def test_an_address_that_is_none_is_a_problem_too(world: World, method: str, path: str, status: int) -> None:
    response = world.http.request(method, f"{world.url}{path}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.json()["code"], response.json()["status"]) == ("exchange.request_invalid", status)


def test_a_body_that_is_not_valid_is_named_by_its_field_and_not_repeated(world: World) -> None:
    body = {**DRAFT, "request": {"text": "personal"}, "secret": "personal", "service": 7}
    response = world.http.post(
        f"{world.url}/api/v1/evidence/requests", json=body, headers=world.token(Role.CASEWORKER, FUND)
    )
    assert (response.status_code, response.json()["code"]) == (400, "exchange.request_invalid")
    assert "body.service" in response.json()["detail"]
    assert "personal" not in response.text


def test_anybody_copies_the_log_as_tiles_up_to_the_last_checkpoint(world: World) -> None:
    assert world.send(world.request().raw).status == 200
    checkpoint = world.http.get(f"{world.url}/log/checkpoint")
    assert checkpoint.headers["cache-control"] == "no-cache"
    _origin, size, root, *_ = checkpoint.text.split("\n")
    entries, hashes, count = [], b"", int(size)
    for index in range(-(-count // 256)):
        width = min(256, count - 256 * index)
        place = f"{index:03}" if width == 256 else f"{index:03}.p/{width}"
        bundle = world.http.get(f"{world.url}/log/tile/entries/{place}").content
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            entries.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
        hashes += world.http.get(f"{world.url}/log/tile/0/{place}").content
    leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    assert len(leaves) == count
    assert b"".join(leaves) == hashes
    assert mth(leaves) == b64decode(root)
    beyond = world.http.get(f"{world.url}/log/tile/0/900")
    assert (beyond.status_code, beyond.json()["code"]) == (404, "log.tile_unknown")


def mth(leaves: list[bytes]) -> bytes:
    """Compute the root as RFC 9162 section 2.1.1 says, with nothing of the hub's."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + mth(leaves[:split]) + mth(leaves[split:])).digest()
