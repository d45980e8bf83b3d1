# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from adapters.entry import settings_of
from adapters.openapi import read_openapi
from adapters.references import Surroundings
from adapters.rest.settings import RestSettings
from adapters.sources import ShapeType
from tests.adapters.openapi.describing import child, codes, described, only, written

REAL = sorted((Path(__file__).parents[4] / "shared" / "data" / "openapi").glob("*"))
needs_data = pytest.mark.skipif(not REAL, reason="needs the OpenAPI files of ../shared/data")


def test_a_sound_file_gives_an_operation_ready_to_be_described(tmp_path: Path) -> None:
    source = read_openapi(written(tmp_path, described()))

    operation = only(source)
    assert (source.kind, source.title, source.findings, source.is_usable) == ("rest", "Register", (), True)
    assert (operation.name, operation.about, operation.findings) == ("certificate_read", "读取证件", ())
    assert operation.connection == {
        "url": "https://register.example.gov/api",
        "path": "/certificates/{id}",
        "method": "GET",
    }
    assert child(operation.request, "path", "id").type is ShapeType.TEXT
    assert [(each.name, str(each.type), each.is_required) for each in operation.answer.children] == [
        ("number", "text", True),
        ("grade", "integer", False),
        ("issued", "date", False),
        ("amount", "decimal", False),
        ("seen", "instant", False),
        ("scan", "bytes", False),
    ]
    assert child(operation.answer, "grade").codes == ("1", "2", "3", "4")
    assert child(operation.answer, "number").about == "证号"


@needs_data
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_every_official_file_registers_without_the_network(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError("the network was used")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)

    source = read_openapi(path)

    assert source.is_usable
    assert all(operation.is_usable for operation in source.operations)
    for operation in source.operations:
        named = dict.fromkeys(re.findall(r"env:(\w+)", json.dumps(operation.connection)), "https://a.example")
        settings_of(RestSettings, operation.connection, Surroundings(path.parent, named), at=operation.name)
    assert len({operation.name for operation in source.operations}) == len(source.operations) >= 10
    json.dumps(source.as_json(), ensure_ascii=False)


@needs_data
def test_open_zaak_says_how_a_case_is_read() -> None:
    [path] = [each for each in REAL if each.name == "nl_openzaak_zaken.yaml"]
    source = read_openapi(path)

    [read] = [each for each in source.operations if each.name == "zaak_read"]
    assert read.connection["path"] == "/zaken/api/v1/zaken/{uuid}"
    assert read.connection["auth"] == {"kind": "bearer", "secret": "env:JWT_CLAIMS_SECRET"}
    assert child(read.request, "headers", "Accept-Crs").codes == ("EPSG:4326",)
    assert child(read.answer, "identificatie").type is ShapeType.TEXT
    assert child(read.answer, "startdatum").type is ShapeType.DATE
    [remote] = [each for each in source.findings if each.code == "openapi.reference_remote"]
    assert remote.at.startswith("nl_openzaak_zaken.yaml:")
    [listed] = [each for each in source.operations if each.name == "zaak_list"]
    assert listed.connection["paging"] == {"kind": "next", "items": "results", "next": "next"}


def test_swagger_2_gives_the_same_as_its_successor(tmp_path: Path) -> None:
    answers = {200: {"description": "ok", "schema": {"type": "array", "items": {"$ref": "#/definitions/Q"}}}}
    old = {
        "swagger": "2.0",
        "info": {"title": "Register", "version": "1"},
        "host": "register.example.gov",
        "basePath": "/api",
        "schemes": ["http", "https"],
        "produces": ["application/json"],
        "consumes": ["application/json"],
        "securityDefinitions": {"key": {"type": "apiKey", "in": "query", "name": "appkey"}},
        "security": [{"key": []}],
        "paths": {
            "/certificates": {
                "post": {
                    "operationId": "search",
                    "parameters": [
                        {"name": "ids", "in": "query", "type": "array", "items": {"type": "string"}},
                        {
                            "name": "body",
                            "in": "body",
                            "required": True,
                            "schema": {"$ref": "#/definitions/Q"},
                        },
                    ],
                    "responses": answers,
                }
            },
            "/scans": {
                "post": {
                    "operationId": "upload",
                    "consumes": ["multipart/form-data"],
                    "parameters": [{"name": "scan", "in": "formData", "type": "file", "required": True}],
                    "responses": {"204": {"description": "taken"}},
                }
            },
        },
        "definitions": {"Q": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    }
    source = read_openapi(written(tmp_path, old))

    search, upload = source.operations
    assert codes(source) == {"openapi.servers_several"}
    assert search.connection == {
        "url": "https://register.example.gov/api",
        "path": "/certificates",
        "method": "POST",
        "styles": {"ids": "comma"},
        "auth": {"kind": "api_key", "query": "appkey", "secret": "env:KEY_SECRET"},
    }
    assert child(search.request, "body", "n").type is ShapeType.INTEGER
    assert child(search.request, "body").is_required
    assert search.answer.is_list
    assert upload.connection["body_format"] == "multipart"
    assert child(upload.request, "form", "scan").type is ShapeType.BYTES


def test_a_schema_within_itself_is_cut(tmp_path: Path) -> None:
    before = {"$ref": "#/components/schemas/Certificate"}
    certificate = {"properties": {"before": before, "n": {"type": "integer"}}}
    operation = only(read_openapi(written(tmp_path, described(certificate=certificate))))

    assert child(operation.answer, "before").type is ShapeType.ANY
    assert child(operation.answer, "n").type is ShapeType.INTEGER


def test_what_is_composed_and_what_is_a_choice_stand_side_by_side(tmp_path: Path) -> None:
    certificate = {
        "required": [],
        "allOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}],
        "oneOf": [
            {"required": ["b"], "properties": {"b": {"type": "boolean"}}},
            {"required": ["c"], "properties": {"c": {"type": "string", "nullable": True}}},
        ],
        "properties": {"secret": {"type": "string", "writeOnly": True}},
    }
    answer = only(read_openapi(written(tmp_path, described(certificate=certificate)))).answer

    members = [(each.name, each.is_required) for each in answer.children]
    assert members == [("a", True), ("b", False), ("c", False)]


def test_a_value_of_several_types_is_any(tmp_path: Path) -> None:
    document = described(openapi="3.1.0")
    document["components"]["schemas"]["Certificate"]["properties"] = {
        "maybe": {"type": ["string", "null"]},
        "either": {"type": ["string", "integer"]},
        "always": {"const": "x"},
    }
    answer = only(read_openapi(written(tmp_path, document))).answer

    assert [str(each.type) for each in answer.children] == ["text", "any", "text"]


def test_references_are_followed_to_files_beside_and_no_further(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("secret: {type: integer}", encoding="utf-8")
    folder = tmp_path / "given"
    (folder / "parts").mkdir(parents=True)
    (folder / "link.yaml").symlink_to(outside)
    names = {
        "Name": {"type": "object", "properties": {"xm": {"$ref": "#/Text"}}},
        "Text": {"type": "string"},
    }
    written(folder / "parts", names, "names.yaml")
    properties = {
        "beside": {"$ref": "parts/names.yaml#/Name"},
        "above": {"$ref": "../outside.yaml#/secret"},
        "through": {"$ref": "link.yaml#/secret"},
        "absolute": {"$ref": "/etc/passwd"},
        "remote": {"$ref": "https://schemas.example.gov/a.yaml#/X"},
        "nowhere": {"$ref": "#/components/schemas/Gone"},
        "old": {"$ref": "#/definitions/Certificate"},
        "circle": {"$ref": "#/components/schemas/Circle"},
    }
    document = described(certificate={"properties": properties})
    document["components"]["schemas"]["Circle"] = {"$ref": "#/components/schemas/Circle"}
    source = read_openapi(written(folder, document))

    answer = only(source).answer
    assert child(answer, "beside", "xm").type is ShapeType.TEXT
    unknown = {each.name for each in answer.children if each.type is ShapeType.ANY}
    assert unknown == set(properties) - {"beside"}
    assert len([each for each in source.findings if each.code == "openapi.reference_outside"]) == 3
    wanted = {"openapi.reference_remote", "openapi.reference_broken", "openapi.reference_repaired"}
    assert wanted <= codes(source)
    assert source.is_usable


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        (
            {"type": "http", "scheme": "basic"},
            {"kind": "basic", "username": "env:S_USERNAME", "secret": "env:S_SECRET"},
        ),
        (
            {"type": "apiKey", "in": "cookie", "name": "sid"},
            {"kind": "api_key", "cookie": "sid", "secret": "env:S_SECRET"},
        ),
        ({"type": "mutualTLS"}, None),
        (
            {
                "type": "oauth2",
                "flows": {"clientCredentials": {"tokenUrl": "https://t.example.gov/t", "scopes": {"r": ""}}},
            },
            {
                "kind": "oauth2",
                "token_url": "https://t.example.gov/t",
                "client_id": "env:S_CLIENT_ID",
                "secret": "env:S_SECRET",
                "scope": "r",
            },
        ),
    ],
)
def test_how_to_sign_in_is_taken_over(tmp_path: Path, scheme: dict[str, Any], auth: object) -> None:
    document = described(operation={"security": [{"s": ["r"]}]})
    document["components"]["securitySchemes"] = {"s": scheme}

    assert only(read_openapi(written(tmp_path, document))).connection.get("auth") == auth


def test_a_way_to_sign_in_for_people_only_is_said(tmp_path: Path) -> None:
    flows = {"implicit": {"authorizationUrl": "https://a.example.gov", "scopes": {}}}
    document = described(operation={"security": [{"s": []}, {"other": []}]})
    document["components"]["securitySchemes"] = {"s": {"type": "oauth2", "flows": flows}}

    [finding] = only(read_openapi(written(tmp_path, document))).findings
    assert finding.code == "openapi.security_unsupported"
