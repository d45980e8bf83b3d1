# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from hub.documents import ATTACHMENT_NAME, proof_json, typeset_proof, typeset_seal
from hub.errors import DocumentError
from tests.hub.documents.conftest import NOTICE

if TYPE_CHECKING:
    from pathlib import Path

needs_poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")


def text_of(pdf: bytes) -> str:
    result = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return result.stdout.decode()


def many_persons(data: dict[str, Any], count: int) -> dict[str, Any]:
    persons = [dict(data["persons"][index % len(data["persons"])]) for index in range(count)]
    for index, person in enumerate(persons):
        person["name"] = ("阿卜杜热合曼·买买提艾力", "欧阳修竹", "李一")[index % 3]
    return {**data, "persons": persons}


def test_the_same_data_gives_the_same_bytes(proof_data: dict[str, Any]) -> None:
    assert typeset_proof(proof_data) == typeset_proof(proof_data)


def test_the_document_says_that_it_is_pdf_a_3b_and_names_its_colour_space(typeset: bytes) -> None:
    root = PdfFileReader(io.BytesIO(typeset)).root
    metadata = root["/Metadata"].data.decode()
    assert re.search(r"pdfaid:part>3<.*pdfaid:conformance>B<", metadata, re.DOTALL)
    assert root["/OutputIntents"][0].get_object()["/S"] == "/GTS_PDFA1"
    assert root["/Lang"] == "zh-CN"


def test_the_data_is_attached_as_canonical_json(typeset: bytes, proof_data: dict[str, Any]) -> None:
    root = PdfFileReader(io.BytesIO(typeset)).root
    (attached,) = (each.get_object() for each in root["/AF"])
    content = attached["/EF"]["/F"].data
    assert attached["/AFRelationship"] == "/Data"
    assert attached["/UF"] == ATTACHMENT_NAME
    assert attached["/EF"]["/F"]["/Subtype"] == "/application/json"
    assert content == proof_json(proof_data)
    assert json.loads(content) == proof_data


@needs_poppler
def test_the_words_can_be_extracted(typeset: bytes, proof_data: dict[str, Any]) -> None:
    text = text_of(typeset)
    flat = re.sub(r"\s", "", text)
    assert "残疾人按比例就业情况证明" in text
    assert "Proof of the Employment of Disabled Persons by Quota" in text
    for words in (proof_data["employer"]["name"], proof_data["issuer"]["name"], proof_data["proof_number"]):
        assert words in text
    assert "第1页共2页" in flat
    assert "第2页共2页" in flat
    assert "510107********4163" in text
    assert sha256(proof_json(proof_data)).hexdigest() in flat.replace("\N{ZERO WIDTH SPACE}", "")
    assert NOTICE in text
    for source in proof_data["sources"]:
        assert source["message_id"] is None or source["message_id"] in text


@needs_poppler
def test_no_whole_number_of_a_person_stands_on_a_page(typeset: bytes, proof_data: dict[str, Any]) -> None:
    text = re.sub(r"\s", "", text_of(typeset))
    for person in proof_data["persons"]:
        assert person["person_id"] not in text


@needs_poppler
@pytest.mark.parametrize("count", [0, 1, 9, 23, 26, 50])
def test_however_many_persons_the_closing_block_stands_on_the_last_page(
    count: int, proof_data: dict[str, Any]
) -> None:
    pages = text_of(typeset_proof(many_persons(proof_data, count))).split("\f")[:-1]
    last = re.sub(r"\s", "", pages[-1])
    assert "说明" in last
    assert "电子印章" in last
    assert f"第{len(pages)}页共{len(pages)}页" in last
    assert "".join(pages).count("阿卜杜热合曼") == (count + 2) // 3


@pytest.mark.skipif(shutil.which("pdffonts") is None, reason="poppler-utils is not installed")
def test_every_font_is_embedded(typeset: bytes, tmp_path: Path) -> None:
    (tmp_path / "proof.pdf").write_bytes(typeset)
    listing = subprocess.run(
        ["pdffonts", tmp_path / "proof.pdf"], capture_output=True, check=True, text=True
    ).stdout
    fonts = listing.splitlines()[2:]
    assert len(fonts) >= 2
    # The columns are: embedded, subset, with a map to Unicode.
    assert all(re.search(r"\byes yes yes\b", font) for font in fonts)


def test_long_names_and_a_proof_without_persons_can_be_typeset(proof_data: dict[str, Any]) -> None:
    proof_data["employer"]["name"] = "四川省成都市成华区" * 22
    proof_data["persons"] = []
    assert typeset_proof(proof_data).startswith(b"%PDF-")


def test_markup_in_a_name_stays_text(proof_data: dict[str, Any]) -> None:
    name = "#panic() *粗* $x$ <b> \\ [甲] @乙 //丙"
    proof_data["employer"]["name"] = name
    pdf = typeset_proof(proof_data)
    if shutil.which("pdftotext"):
        assert "#panic()*粗*$x$<b>\\[甲]@乙//丙" in re.sub(r"\s", "", text_of(pdf))


@pytest.mark.parametrize("member", ["proof_number", "issuer", "months", "rule", "issued_at"])
def test_data_without_a_member_is_refused(member: str, proof_data: dict[str, Any]) -> None:
    del proof_data[member]
    with pytest.raises(DocumentError) as refusal:
        typeset_proof(proof_data)
    assert refusal.value.code == "document.typesetting_failed"


def test_a_character_that_no_font_has_is_refused_rather_than_printed_as_a_box(
    proof_data: dict[str, Any],
) -> None:
    proof_data["persons"][0]["name"] = "王\U0001f9ff"
    with pytest.raises(DocumentError) as refusal:
        typeset_proof(proof_data)
    assert refusal.value.code == "document.typesetting_failed"
    assert "王" not in refusal.value.detail


@pytest.mark.parametrize(
    "name", ["民政局", "成华区人力资源和社会保障局", "成都市成华区人力资源和社会保障局" * 3]
)
def test_a_seal_is_drawn_for_short_and_long_names(name: str) -> None:
    reader = PdfFileReader(io.BytesIO(typeset_seal(name, "11510108MB1A00002M")))
    box = reader.root["/Pages"]["/Kids"][0]["/MediaBox"]
    width, height = box[2], box[3]
    assert abs(float(width) - 42 * 72 / 25.4) < 0.1
    assert width == height
