# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from adapters.openapi import read_openapi
from adapters.sources import Severity
from tests.adapters.openapi.describing import as_yaml, child, codes, described, only, written

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "source.unreadable"),
        ("<!DOCTYPE html><html></html>", "openapi.other_format"),
        ("<?xml version='1.0'?><definitions/>", "openapi.other_format"),
        ("just a sentence", "openapi.other_format"),
        ("- a\n- b\n", "openapi.other_format"),
        ('{"swaggerVersion": "1.2", "apis": []}', "openapi.other_format"),
        ('{"info": {}, "item": []}', "openapi.other_format"),
        ("openapi: 3.0.0\ninfo: {title: a\n", "openapi.syntax"),
        ("openapi: 3.0.0\npaths: {}\n", "openapi.nothing_offered"),
        ("openapi: 3.0.0\npaths: [1, 2]\n", "openapi.nothing_offered"),
        ("[" * 300_000, "openapi.too_deep"),
        ("- " * 300_000, "openapi.too_deep"),
        ("&a [*a]", "openapi.other_format"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(tmp_path: Path, text: str, code: str) -> None:
    source = read_openapi(written(tmp_path, text))

    [finding] = [each for each in source.findings if each.code == code]
    assert finding.severity is Severity.ERROR
    assert not source.is_usable


def test_a_file_that_is_not_there_or_binary_is_refused_with_a_reason(tmp_path: Path) -> None:
    binary = tmp_path / "a.yaml"
    binary.write_bytes(b"\x00\xff\x01" * 400)

    assert codes(read_openapi(tmp_path / "gone.yaml")) == {"source.unreadable"}
    assert codes(read_openapi(tmp_path)) == {"source.unreadable"}
    assert codes(read_openapi(binary)) == {"openapi.other_format"}


def test_aliases_that_multiply_do_not_exhaust_the_reader(tmp_path: Path) -> None:
    lines = ["openapi: 3.0.0", "paths: {}", "x0: &x0 {type: object}"]
    lines += [f"x{n}: &x{n} {{allOf: [*x{n - 1}, *x{n - 1}, *x{n - 1}, *x{n - 1}]}}" for n in range(1, 40)]
    lines += ["components: {schemas: {Bomb: *x39}}"]

    assert not read_openapi(written(tmp_path, "\n".join(lines))).is_usable


def test_schemas_that_multiply_are_cut(tmp_path: Path) -> None:
    document = described()
    schemas = document["components"]["schemas"]
    for number in range(10):
        below = {"$ref": f"#/components/schemas/L{number + 1}"} if number < 9 else {"type": "string"}
        schemas[f"L{number}"] = {"type": "object", "properties": {f"p{each}": below for each in range(8)}}
    schemas["Certificate"]["properties"] = {"deep": {"$ref": "#/components/schemas/L0"}}

    source = read_openapi(written(tmp_path, document))

    assert codes(source) == {"openapi.shape_cut"}
    assert only(source).is_usable


def test_choices_that_multiply_are_cut(tmp_path: Path) -> None:
    document = described()
    schemas = document["components"]["schemas"]
    for number in range(11):
        below = {"$ref": f"#/components/schemas/C{number + 1}"} if number < 10 else {"type": "string"}
        schemas[f"C{number}"] = {"anyOf": [below] * 8}
    schemas["Certificate"]["properties"] = {"deep": {"$ref": "#/components/schemas/C0"}}

    assert only(read_openapi(written(tmp_path, document))).is_usable


DEFECTS = [
    ("openapi: 3.0.3", "openapi: 3.0.3\nopenapi: 3.0.3", "openapi.key_twice"),
    ("openapi: 3.0.3", "openapi: 5.0.0", "openapi.version_unknown"),
    ("openapi: 3.0.3", "openapi: 3.0.3\nunheard_of: 1", "openapi.field_unknown"),
    ("description: found", "x-description: found", "openapi.field_missing"),
    ("title: Register", "title: [Register]", "openapi.wrong_type"),
    ("/certificates/{id}:", "certificates/{id}?a=b:", "openapi.path_repaired"),
    ("/certificates/{id}:", "/certificates/{id}/{part}:", "openapi.path_name_undescribed"),
    ("/certificates/{id}:", "/certificates:", "openapi.parameter_not_in_path"),
    ("required: true\n", "required: false\n", "openapi.path_optional"),
    ("'200':", "'2000':", "openapi.status_unknown"),
    ("type: integer", "type: int", "openapi.type_unknown"),
    ("type: integer", "type: int", "openapi.value_unknown"),
    ("type: number", "type: number\n          pattern: '['", "openapi.pattern_invalid"),
    ("      operationId: certificate_read\n", "", "openapi.operation_unnamed"),
    ("url: https://", "url: http://", "openapi.server_plain"),
    ("url: https://register.example.gov/api", "url: /api", "openapi.server_unsaid"),
    ("url: https://register.example.gov/api", "url: 'https://[x/api'", "openapi.server_unsaid"),
    ("url: https://register.example.gov/api", "url: 'https://x:port/api'", "openapi.server_unsaid"),
    ("url: https://register.example.gov/api", "url: 'https://{region}.example/api'", "openapi.server_unsaid"),
    ("      required:\n      - number\n", "      required: []\n", "openapi.empty_list"),
    (
        "        schema:\n          type: string\n",
        "        type: string\n",
        "openapi.parameter_without_schema",
    ),
    ("name: id", "nom: id", "openapi.parameter_unusable"),
    ("title: Register", "title: Regis\x07ter", "openapi.control_character"),
]


@pytest.mark.parametrize(("sound", "defect", "code"), DEFECTS, ids=[each[2] for each in DEFECTS])
def test_a_defect_is_a_finding_with_its_line_and_cure_and_no_refusal(
    tmp_path: Path, sound: str, defect: str, code: str
) -> None:
    text = as_yaml(described())
    assert sound in text
    source = read_openapi(written(tmp_path, text.replace(sound, defect, 1)))

    finding = next(each for each in source.findings if each.code == code)
    assert finding.severity in {Severity.WARNING, Severity.INFO}
    assert finding.at.startswith("openapi.yaml")
    assert finding.at.partition("#")[0].rpartition(":")[2].isdigit() or code == "openapi.field_missing"
    assert all(finding.message.values())
    assert all(finding.cure.values())
    assert source.is_usable


def test_json_that_is_none_is_read_all_the_same(tmp_path: Path) -> None:
    loose = json.dumps(described(), indent="\t")[:-1] + ",\n}"

    assert codes(read_openapi(written(tmp_path, loose))) == {"openapi.json_repaired"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "gb18030", "cp1252"])
def test_old_encodings_are_recognised(tmp_path: Path, encoding: str) -> None:
    title = "Registre des entreprises employées" if encoding == "cp1252" else "残疾人证登记"
    document = described(info={"title": title, "version": "1"}, operation={"summary": "x"})
    document["components"]["schemas"]["Certificate"]["properties"]["number"] = {"type": "string"}
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    source = read_openapi(path)

    assert source.title == title
    assert ("openapi.encoding" in codes(source)) == (encoding in {"gb18030", "cp1252"})


def test_plain_words_of_yaml_stay_words(tmp_path: Path) -> None:
    text = as_yaml(described())
    old = "          - 1\n          - 2\n"
    assert old in text
    text = text.replace(old, "          - NO\n          - 2026-01-01\n          - 010\n")
    operation = only(read_openapi(written(tmp_path, text)))

    assert child(operation.answer, "grade").codes == ("NO", "2026-01-01", "010", "3", "4")
