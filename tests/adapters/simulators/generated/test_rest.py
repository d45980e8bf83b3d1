# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from adapters.openapi import SchemaBundle, preferred, read_openapi, success
from adapters.simulators.generated import FilePlan, running_file
from adapters.simulators.generated.misconduct import Misbehaviour, Misconduct
from adapters.simulators.generated.rest import TOKEN_PATH, OpenApiStandIn
from hub.errors import AdapterError
from tests.adapters.openapi.describing import described, written
from tests.adapters.running import TODAY, call_of, only_adapter, running_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.ports import JsonObject

REAL = sorted((Path(__file__).parents[5] / "shared" / "data" / "openapi").glob("*"))
ZAKEN = [path for path in REAL if path.name == "nl_openzaak_zaken.yaml"]
needs_data = pytest.mark.skipif(not REAL, reason="needs the OpenAPI files of ../shared/data")
SECRET = "key-of-a-test"  # noqa: S105 - of a stand-in
UUID = "9f1d5c8e-6a3f-4f9e-8d59-6c5f2f7f0c11"


def stand_in(path: Path, *ways: Misbehaviour, seed: str = "0") -> OpenApiStandIn:
    return OpenApiStandIn(path, Misconduct(ways=ways), now=TODAY, seed=seed, secret=SECRET)


@contextmanager
def asking(service: OpenApiStandIn) -> Iterator[httpx2.Client]:
    with (
        running_app(service.app()) as port,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        client.headers["Authorization"] = f"Bearer {SECRET}"
        yield client


def register() -> dict[str, Any]:
    search = {
        "operationId": "search",
        "security": [{"s": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["number", "id"],
                        "properties": {
                            "number": {"type": "string", "pattern": "^[0-9]{4}$", "nullable": True},
                            "id": {"type": "string", "readOnly": True},
                        },
                    }
                }
            },
        },
        "responses": {"201": {"description": "done"}},
    }
    document = described(operation={"security": [{"s": []}]})
    document["components"]["securitySchemes"] = {"s": {"type": "http", "scheme": "bearer"}}
    document["paths"]["/certificates/search"] = {"post": search}
    return document


def test_what_the_file_does_not_describe_is_refused_as_services_do(tmp_path: Path) -> None:
    with asking(stand_in(written(tmp_path, register()))) as client:
        statuses = {
            "unknown path": client.get("/api/elsewhere").status_code,
            "without its base": client.get("/certificates/7").status_code,
            "method": client.delete("/api/certificates/7").status_code,
            "stranger": client.get("/api/certificates/7", headers={"Authorization": "Bearer x"}).status_code,
            "no body": client.post("/api/certificates/search").status_code,
            "no JSON": client.post(
                "/api/certificates/search", content=b"{", headers={"Content-Type": "application/json"}
            ).status_code,
            "other type": client.post("/api/certificates/search", content=b"a=b").status_code,
            "good": client.post("/api/certificates/search", json={"number": "1234"}).status_code,
            "null": client.post("/api/certificates/search", json={"number": None}).status_code,
        }
        wrong = client.post("/api/certificates/search", json={"number": "12"})

    assert statuses == {
        "unknown path": 404,
        "without its base": 404,
        "method": 405,
        "stranger": 401,
        "no body": 400,
        "no JSON": 400,
        "other type": 415,
        "good": 201,
        "null": 201,
    }
    assert (wrong.status_code, wrong.json()["invalidParams"]) == (400, [{"name": "body/number"}])


def test_answers_are_the_same_for_the_same_seed_and_question_and_say_again_what_was_asked(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, register())
    with asking(stand_in(path)) as client:
        first, again = (client.get("/api/certificates/7").json() for _ in range(2))
        other = client.get("/api/certificates/8").json()
    with asking(stand_in(path, seed="1")) as client:
        seeded = client.get("/api/certificates/7").json()

    assert first == again
    assert first not in (other, seeded)


def test_the_files_example_is_answered_where_it_keeps_to_its_schema(tmp_path: Path) -> None:
    document = register()
    media = document["paths"]["/certificates/{id}"]["get"]["responses"]["200"]["content"]["application/json"]
    media["examples"] = {"bad": {"value": {"number": 7}}, "good": {"value": {"number": "证-7"}}}
    with asking(stand_in(written(tmp_path, document))) as client:
        assert client.get("/api/certificates/7").json() == {"number": "证-7"}


def test_tokens_are_handed_out(tmp_path: Path) -> None:
    with asking(stand_in(written(tmp_path, register()))) as client:
        form = {"grant_type": "client_credentials"}
        token = client.post(TOKEN_PATH, data=form, auth=("stand-in", SECRET)).json()["access_token"]
        assert client.post(TOKEN_PATH, data=form, auth=("stand-in", "x")).status_code == 401
        shown = {"Authorization": f"Bearer {token}"}
        assert client.get("/api/certificates/7", headers=shown).status_code == 200


def test_it_misbehaves_as_it_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, register())
    with asking(stand_in(path, Misbehaviour.HALF_WRITTEN)) as client, pytest.raises(json.JSONDecodeError):
        client.get("/api/certificates/7").json()
    with asking(stand_in(path, Misbehaviour.FAULT)) as client:
        assert client.get("/api/certificates/7").status_code == 500
    with asking(stand_in(path, Misbehaviour.BREAKS_CONTRACT)) as client:
        assert client.get("/api/certificates/7").json() == {"unexpected": True}


@pytest.mark.parametrize("dialect", ["openapi", "swagger"])
def test_the_stand_in_of_a_file_is_described_by_that_file_with_its_own_address(
    tmp_path: Path, dialect: str
) -> None:
    document = register()
    if dialect == "swagger":
        answers = {"200": {"description": "ok", "schema": {"type": "object"}}}
        document = {
            "swagger": "2.0",
            "info": {"title": "Old", "version": "1"},
            "basePath": "/api",
            "paths": {
                "/certificates/{id}": {"get": {"operationId": "certificate_read", "responses": answers}}
            },
        }
    plan = FilePlan(file=written(tmp_path, document), folder=tmp_path / "out")
    with running_file(plan) as offer:
        read = read_openapi(tmp_path / "out" / "service.json").operations[0]
        secret = (tmp_path / "out" / "system-secret").read_text(encoding="utf-8")
        headers = {"Authorization": f"Bearer {secret}"}
        address = f"{read.connection['url']}/certificates/7"
        answer = httpx2.get(address, headers=headers, trust_env=False)

    assert read.connection["url"] == f"http://127.0.0.1:{offer.port}/api" == offer.connection["url"]
    assert answer.status_code == 200


def test_a_file_that_describes_nothing_has_no_stand_in(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"openapi\.nothing_offered"):
        stand_in(written(tmp_path, "openapi: 3.0.0\npaths: {}\n"))


@needs_data
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_every_operation_of_every_official_file_has_an_answer_that_keeps_to_it(path: Path) -> None:
    service = stand_in(path)
    bundle = SchemaBundle(service.description.documents, is_request=False)
    for endpoint in service.description.endpoints:
        _, media_type, answer = service.answers.answer(endpoint, {"uuid": UUID})
        reply = success(endpoint.replies)
        body = preferred(reply.bodies) if reply is not None else None
        if body is not None and media_type.endswith("json"):
            assert bundle.validator(bundle.schema(body.schema)).is_valid(answer), endpoint.name


def zaak_description(folder: Path) -> Path:
    """Describe `zaak_read` with nothing but what its file says, and where the stand-in is."""
    [operation] = [each for each in read_openapi(ZAKEN[0]).operations if each.name == "zaak_read"]
    connection = {**operation.connection, "url": "http://127.0.0.1", "port": "env:PORT"}
    service = {
        "service": "11510108MB1A00002M/cases/case",
        "contract": "quota-registration/v1",
        "kind": "rest",
        "timeout_seconds": 10,
        "connection": connection,
        "request": {
            "object": {
                "path": {"object": {"uuid": "request.case"}},
                "headers": {"object": {"Accept-Crs": {"value": "EPSG:4326"}}},
            }
        },
        "response": {
            "object": {
                "number": {"from": "answer.identificatie", "absent": []},
                "uuid": {"from": "answer.uuid"},
                "started": {"from": "answer.startdatum", "type": "date"},
                "secrecy": {"from": "answer.vertrouwelijkheidaanduiding", "optional": True},
            }
        },
    }
    return written(folder, {"services": [service]}, "zaak.yaml")


@pytest.mark.skipif(not ZAKEN, reason="needs Open Zaak's OpenAPI file in ../shared/data")
def test_open_zaaks_zaak_read_is_called_through_an_adapter_made_from_its_file(tmp_path: Path) -> None:
    question: JsonObject = {"case": UUID}
    with running_app(stand_in(ZAKEN[0]).app()) as port:
        environment = {"PORT": str(port), "JWT_CLAIMS_SECRET": SECRET}
        with only_adapter(zaak_description(tmp_path), environment) as configured:
            answer = configured.adapter.answer(question, call_of(configured)).data
            with pytest.raises(AdapterError) as caught:
                configured.adapter.answer({"case": "not a uuid"}, call_of(configured))
        stranger = {"PORT": str(port), "JWT_CLAIMS_SECRET": "x"}
        with (
            only_adapter(zaak_description(tmp_path), stranger) as configured,
            pytest.raises(AdapterError) as unknown,
        ):
            configured.adapter.answer(question, call_of(configured))

    assert answer["uuid"] == UUID
    assert str(answer["started"]).count("-") == 2
    assert "fields path.uuid" in caught.value.detail
    assert "HTTP 401" in unknown.value.detail
