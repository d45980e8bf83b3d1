# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hub.contracts import Contract, JsonValue, Side, Violation, load_contracts, parse_json
from hub.contracts.formats import FORMATS
from hub.contracts.model import find_violations
from hub.contracts.payloads import PayloadSyntaxError
from hub.contracts.store import cross_check
from hub.envelope import ENCRYPTED_MEDIA_TYPE
from hub.errors import ContractError, Language
from hub.identifiers import ContractId

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parents[2] / "contracts"
FLAGSHIP = [
    "employment-record/v1",
    "disability-certificate/v1",
    "contribution-record/v1",
    "disability-employment-proof/v1",
]
EMPLOYER = "91510108MA6C00001C"
PDF = b"%PDF-1.7\n%%EOF\n"


@pytest.fixture(scope="module")
def contracts() -> Mapping[ContractId, Contract]:
    return load_contracts(FOLDER)


@pytest.fixture(scope="module")
def employment(contracts: Mapping[ContractId, Contract]) -> Contract:
    return contracts[ContractId("employment-record/v1")]


@pytest.fixture(scope="module")
def proof(contracts: Mapping[ContractId, Contract]) -> Contract:
    return contracts[ContractId("disability-employment-proof/v1")]


def example(contract: str, name: str) -> bytes:
    return (FOLDER / contract / "examples" / name).read_bytes()


def invalid_examples() -> list[Path]:
    return sorted(FOLDER.glob("*/v*/examples/invalid/*.json"))


def test_every_contract_of_the_flagship_of_the_hub_itself_and_the_echo_are_there(
    contracts: Mapping[ContractId, Contract],
) -> None:
    of_the_hub = {
        "certificate-registration/v1",
        "certificate-withdrawal/v1",
        "message-outcome/v1",
        "message-collection/v1",
        "gateway-status/v1",
    }
    of_each_pattern = {"echo/v1", "notice/v1", "proof-status/v1", "work-injury-appraisal/v1"}
    of_the_first_adapter = {"vat-registration/v1"}
    assert set(contracts) == {*FLAGSHIP, *of_the_hub, *of_each_pattern, *of_the_first_adapter}


def test_a_contract_has_a_title_in_both_languages(contracts: Mapping[ContractId, Contract]) -> None:
    for contract in contracts.values():
        assert contract.titles[Language.ZH]
        assert contract.titles[Language.EN]


@pytest.mark.parametrize("name", [*FLAGSHIP, "echo/v1"])
def test_a_valid_request_and_answer_are_accepted_and_returned_as_read(
    contracts: Mapping[ContractId, Contract], name: str
) -> None:
    contract = contracts[ContractId(name)]
    request, response = example(name, "request.json"), example(name, "response.json")
    parts = {"response.json": response} | ({"proof.pdf": PDF} if len(contract.response) > 1 else {})
    assert contract.check_request({"request.json": request}) == {"request.json": json.loads(request)}
    assert contract.check_response(parts) == {"response.json": json.loads(response)}


def test_the_media_types_a_message_states_are_compared_with_the_agreed_ones(employment: Contract) -> None:
    parts = {"request.json": example("employment-record/v1", "request.json")}
    employment.check_request(parts, {"request.json": "application/json"})
    with pytest.raises(ContractError, match=r"request\.json: part-media-type application/json"):
        employment.check_request(parts, {"request.json": "text/plain"})


def test_a_message_without_its_part_is_refused(employment: Contract) -> None:
    with pytest.raises(ContractError, match=r"request\.json: part-missing") as refusal:
        employment.check_request({})
    assert refusal.value.code == "contract.request_invalid"


def test_a_part_nobody_agreed_on_is_refused_and_its_name_is_not_repeated(employment: Contract) -> None:
    parts = {"request.json": example("employment-record/v1", "request.json"), "李晓荷.txt": b"?"}
    with pytest.raises(ContractError, match="message: part-unexpected") as refusal:
        employment.check_request(parts)
    assert "李晓荷" not in str(refusal.value)


def test_an_answer_without_its_document_is_refused(proof: Contract) -> None:
    data = example(proof.id, "response.json")
    with pytest.raises(ContractError, match=r"proof\.pdf: part-missing") as refusal:
        proof.check_response({"response.json": data})
    assert refusal.value.code == "contract.response_invalid"


def test_a_document_that_is_no_pdf_is_refused_whatever_its_label(proof: Contract) -> None:
    data = example(proof.id, "response.json")
    with pytest.raises(ContractError, match=r"proof\.pdf: part-media-type"):
        proof.check_response({"response.json": data, "proof.pdf": b"PK\x03\x04"})


def test_a_part_larger_than_agreed_is_refused_before_it_is_read(employment: Contract) -> None:
    too_large = b" " * (employment.request[0].max_bytes + 1)
    with pytest.raises(ContractError, match=r"request\.json: part-size 65536"):
        employment.check_request({"request.json": too_large})


@pytest.mark.parametrize("file", invalid_examples(), ids=lambda file: f"{file.parts[-5]}:{file.stem}")
def test_every_invalid_example_is_refused_at_the_place_it_names(
    contracts: Mapping[ContractId, Contract], file: Path
) -> None:
    contract = contracts[ContractId("/".join(file.parts[-5:-3]))]
    case = json.loads(file.read_text(encoding="utf-8"))
    side, _, _ = file.stem.partition("-")
    content = json.dumps(case["data"], ensure_ascii=False).encode()
    check = contract.check_request if side == "request" else contract.check_response
    documents = [part.file_name for part in getattr(contract, side) if part.schema is None]
    parts = {f"{side}.json": content} | dict.fromkeys(documents, PDF)
    with pytest.raises(ContractError) as refusal:
        check(parts)
    assert refusal.value.code == f"contract.{side}_invalid"
    assert f"{side}.json{'#' if case['pointer'] else ''}{case['pointer']}: {case['keyword']}" in str(
        refusal.value.detail
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"employer": "91510108MA6C00001C", "year": 2025, "year": 2024}', "same name twice"),
        (b'{"employer": "91510108MA6C00001C", "year": NaN}', "NaN"),
        (b'{"employer": "91510108MA6C00001C", "year": -Infinity}', "NaN and Infinity"),
        (b'{"employer": "91510108MA6C00001C", "year": 1e999}', "too large"),
        (b'{"year": ' + b"9" * 5000 + b"}", "too long"),
        (b'\xef\xbb\xbf{"year": 2025}', "not JSON at line 1 column 1"),
        (b'{"employer": "\xff"}', "not UTF-8 at byte 14"),
        (b'{"employer": "\\ud800"}', "surrogate"),
        (b"[" * 200 + b"]" * 200, "nested too deeply"),
        (b"[" * 60000, "nested too deeply"),
        (b'{"year": 2025} {}', "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_json_that_two_readers_could_read_differently_is_refused(
    employment: Contract, raw: bytes, reason: str
) -> None:
    with pytest.raises(ContractError) as refusal:
        employment.check_request({"request.json": raw})
    assert reason in refusal.value.detail


def test_a_pair_of_surrogate_escapes_is_one_character_and_accepted() -> None:
    assert parse_json(b'"\\ud842\\udfb7"') == "𠮷"
    with pytest.raises(PayloadSyntaxError):
        parse_json(b'{"\\udfb7": 1}')


def test_a_refusal_repeats_nothing_of_what_was_sent(
    contracts: Mapping[ContractId, Contract], employment: Contract
) -> None:
    secret = {
        "name": "李晓荷",
        "51010819850312023X": "51010819850312023X",
        "employer": "李晓荷",
        "year": "李晓荷",
    }
    with pytest.raises(ContractError) as refusal:
        employment.check_request({"request.json": json.dumps(secret).encode()})
    answer = json.loads(example("disability-certificate/v1", "response.json"))
    answer["certificates"][0] |= {"status": "李晓荷", "grade": "51010819850312023X", "category": 99}
    with pytest.raises(ContractError) as other:
        contracts[ContractId("disability-certificate/v1")].check_response(
            {"response.json": json.dumps(answer).encode()}
        )
    for text in (str(refusal.value), str(other.value)):
        assert "李晓荷" not in text
        assert "5101" not in text
        assert "99," not in text


def test_at_most_five_violations_are_listed(contracts: Mapping[ContractId, Contract]) -> None:
    answer = json.loads(example("employment-record/v1", "response.json"))
    answer["headcount"] = [{"month": f"2025-{m:02d}", "employees": -1} for m in range(1, 13)]
    with pytest.raises(ContractError) as refusal:
        contracts[ContractId("employment-record/v1")].check_response(
            {"response.json": json.dumps(answer).encode()}
        )
    assert refusal.value.detail.count("minimum 0") == 5
    assert refusal.value.detail.endswith("; and more")


def test_a_violation_is_told_in_both_languages() -> None:
    violation = Violation("request.json", "/year", "type", "integer")
    assert violation.describe(Language.ZH) == "request.json /year: 数据类型应为integer"
    assert violation.describe(Language.EN) == "request.json /year: the value must be of type integer"
    assert Violation("a", "", "oneOf").describe(Language.ZH) == "a: 不符合规则oneOf"
    assert Violation("a", "", "oneOf").describe(Language.EN) == "a: the rule oneOf is not kept"


def test_every_format_a_contract_may_name_has_a_name_for_people() -> None:
    for name in FORMATS:
        violation = Violation("a", "/b", "format", name)
        assert violation.describe(Language.ZH).startswith("a /b: 不是有效的")
        assert name not in violation.describe(Language.ZH)


ODD: list[JsonValue] = [None, True, -1, 7, 10**12, 1.5, "", "x", "2025-02-30", "9" * 18, [], {}, [1]]


def _mutations(node: JsonValue) -> Iterator[JsonValue]:
    """Yield every variant in which one value is replaced, or one field dropped or added."""
    yield from ODD
    if isinstance(node, dict):
        yield node | {"extra": 1}
        for key, child in node.items():
            yield {name: kept for name, kept in node.items() if name != key}
            yield from (node | {key: changed} for changed in _mutations(child))
    if isinstance(node, list):
        for index, child in enumerate(node[:3]):
            yield from ([*node[:index], changed, *node[index + 1 :]] for changed in _mutations(child))


@pytest.mark.parametrize("name", [*FLAGSHIP, "echo/v1"])
@pytest.mark.parametrize("side", ["request", "response"])
def test_both_validators_judge_every_mutation_of_the_examples_alike(
    contracts: Mapping[ContractId, Contract], name: str, side: str
) -> None:
    contract = contracts[ContractId(name)]
    part = (contract.request if side == "request" else contract.response)[0]
    mutations = list(_mutations(parse_json(example(name, f"{side}.json"))))
    refused = 0
    for value in mutations[:: len(mutations) // 700 + 1]:
        ours, theirs = find_violations(part, value), cross_check(part, value)
        assert bool(ours) == bool(theirs), value
        refused += bool(ours)
    assert refused > min(len(mutations), 350) // 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy one contract to where it may be broken."""
    shutil.copytree(FOLDER / "echo", tmp_path / "contracts" / "echo")
    load_contracts(tmp_path / "contracts")
    return tmp_path / "contracts"


def _rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("contract.yaml", "id: echo/v1", "id: echo/v2", "stands in echo/v1"),
        ("contract.yaml", "personal_data: none", "personal_data: secret", "personal_data"),
        ("contract.yaml", "personal_data: none", "personal: none", "personal"),
        ("contract.yaml", "zh: 回显", "de: Echo", "title"),
        ("contract.yaml", "title:", "title: [", "contract.yaml"),
        (
            "contract.yaml",
            "schema_file: request.schema.json",
            "schema_file: other.json",
            "echo/v1/other.json",
        ),
        ("contract.yaml", "schema_file: request.schema.json", "schema_file: ../x.json", "schema_file"),
        ("request.schema.json", '"type": "string"', '"type": "text"', "request.schema.json"),
        ("request.schema.json", '"type": "string"', '"type": "string", "format": "passport"', "passport"),
        (
            "request.schema.json",
            '"type": "string"',
            '"type": "string", "pattern": "("',
            "request.schema.json",
        ),
        ("request.schema.json", "2020-12", "2019-09", "not a JSON Schema 2020-12"),
        ("request.schema.json", '"additionalProperties": false', '"type": "object"', "same name twice"),
        ("examples/request.json", '"text"', '"word"', "should be valid"),
        ("examples/invalid/response-text-as-number.json", "/text", "/word", "should break only"),
        ("examples/invalid/response-text-as-number.json", '"type"', '"format"', "should break only"),
        ("examples/invalid/response-text-as-number.json", '"text": 7', '"text": "7"', "should break only"),
        (
            "examples/invalid/response-text-as-number.json",
            '"why"',
            '"because"',
            "response-text-as-number.json",
        ),
    ],
)
def test_a_broken_folder_is_refused_and_the_file_is_named(
    folder: Path, name: str, old: str, new: str, said: str
) -> None:
    _rewrite(folder / "echo" / "v1" / name, old, new)
    with pytest.raises(ContractError) as refusal:
        load_contracts(folder)
    assert refusal.value.code == "contract.folder_invalid"
    assert said in refusal.value.detail


def test_a_contract_without_examples_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "echo" / "v1" / "examples" / "invalid")
    with pytest.raises(ContractError, match="lacks a valid or an invalid example of the request"):
        load_contracts(folder)


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="holds no contract"):
        load_contracts(tmp_path)


def test_every_schema_is_closed_and_described_in_both_languages() -> None:
    for file in FOLDER.glob("*/v*/*.schema.json"):
        for node in _schemas(json.loads(file.read_text(encoding="utf-8"))):
            if node.get("type") == "object":
                assert node["additionalProperties"] is False, file
            if "description" in node:
                assert " / " in node["description"], file
            if "pattern" in node:
                assert node["pattern"].startswith("^"), file
                assert node["pattern"].endswith("$"), file
                assert "\\d" not in node["pattern"], file


PROMOTED = "promoted:\n  - {name: text, where: request, pointer: /text, kind: text}"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("personal_data: none", f"personal_data: none\n{PROMOTED}", "promotes values"),
        ("max_bytes: 1048576", "max_bytes: 16000000", "at most 15728640"),
        ("file: request.json", "file: request.p7m", "has the name of an encrypted payload"),
    ],
)
def test_a_contract_cannot_ask_for_what_encryption_does_not_allow(
    folder: Path, old: str, new: str, reason: str
) -> None:
    file = folder / "echo" / "v1" / "contract.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new, 1)
    if "p7m" in new:
        text = text.replace("application/json", ENCRYPTED_MEDIA_TYPE, 1)
    if "end_to_end" not in text:
        text = text.replace("personal_data: none", "personal_data: none\nend_to_end: true", 1)
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ContractError, match=reason) as refusal:
        load_contracts(folder)

    assert refusal.value.code == "contract.folder_invalid"


def test_encrypted_payloads_are_held_to_names_and_sizes(contracts: Mapping[ContractId, Contract]) -> None:
    contract = contracts[ContractId("work-injury-appraisal/v1")]
    contract.check_encrypted(Side.REQUEST, {"request.json": 4096})
    contract.check_encrypted(Side.ANSWER, {"response.json": 1, "appraisal.pdf": 4194304})
    contract.check_encrypted(Side.ANSWER, {"response.json": 1})
    for side, sizes, reason in (
        (Side.REQUEST, {"request.json": 4097}, "request.json: part-size 4096"),
        (Side.REQUEST, {}, "request.json: part-missing"),
        (Side.REQUEST, {"request.json": 1, "more.json": 1}, "part-unexpected"),
        (Side.ANSWER, {"appraisal.pdf": 1}, "response.json: part-missing"),
    ):
        with pytest.raises(ContractError, match=reason) as refusal:
            contract.check_encrypted(side, sizes)
        assert refusal.value.code == f"contract.{'request' if side is Side.REQUEST else 'response'}_invalid"


def _schemas(node: object) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for child in node for found in _schemas(child)]
    if not isinstance(node, dict):
        return []
    return [node, *(found for child in node.values() for found in _schemas(child))]
