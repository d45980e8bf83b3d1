# SPDX-License-Identifier: Apache-2.0
"""The protocol document and the code say the same: its examples are read, its tables compared."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import rfc8785

from hub.envelope import (
    Envelope,
    Header,
    Limits,
    Payload,
    decode_header,
    read_fault,
    read_receipt,
    seal_envelope,
)
from hub.errors import error_kinds
from hub.trust import ALGORITHMS, SM2_SM3, Signed
from tests.hub.envelope.signers import header_for, throwaway_key

TEXT = (Path(__file__).parents[3] / "docs/protocols/envelope.md").read_text(encoding="utf-8")
ANNEX = TEXT[TEXT.index("## Annex") :]
EXAMPLES = re.findall(r"^### ([^\n:]+): `([^\n`]+)`\n\n```json\n(.*?)```", ANNEX, re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    start = TEXT.index(title)
    return TEXT[start : TEXT.index("\n## ", start + 1)]


def canonical(kind: str, member: str) -> bytes:
    text = next(text for about, name, text in EXAMPLES if (about, name) == (kind, member))
    written: bytes = rfc8785.dumps(json.loads(text))
    return written


@pytest.mark.parametrize(
    ("kind", "notice"),
    [("A request", None), ("A receipt", "payload/receipt.json"), ("A fault", "payload/fault.json")],
)
def test_an_example_is_accepted_once_it_is_canonical_and_its_notice_is_the_one_it_lists(
    kind: str, notice: str | None
) -> None:
    header = decode_header(canonical(kind, "message.json"))
    content = canonical(kind, notice) if notice else b'{"employer":"91510108MA6C00001C","year":2025}'

    described = Payload(header.payload[0].name, header.payload[0].media_type, content).describe()

    assert header.payload == (described,)
    envelope = Envelope(b"", header, {described.name: content}, b"", b"")
    if kind == "A receipt":
        about = header.in_reply_to
        assert about is not None
        assert read_receipt(envelope).message.id == about.id
        assert read_receipt(envelope).message.manifest_sha256 == about.manifest_sha256
    if kind == "A fault":
        assert read_fault(envelope).code in error_kinds()


def test_the_manifest_shown_is_the_one_the_request_of_the_annex_calls_for() -> None:
    shown = section("## 5. The manifest").partition("```xml\n")[2].partition("```")[0]
    header = decode_header(canonical("A request", "message.json"))
    content = b'{"employer":"91510108MA6C00001C","year":2025}'
    payload = Payload("request.json", "application/json", content)

    assert seal_envelope(header, [payload], throwaway_key()).manifest.decode() == shown
    assert seal_envelope(header_for([payload]), [payload], throwaway_key()).manifest.decode() != shown


def test_the_table_of_fields_lists_every_field_and_no_other() -> None:
    table = section("## 3. The header")
    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert set(listed) == {field.name for field in dataclasses.fields(Header)}


def test_every_code_named_exists() -> None:
    named = set(re.findall(r"`((?:envelope|trust|exchange|access)\.[a-z0-9_]+)`", TEXT))

    assert named <= set(error_kinds())
    assert len(named) > 25


def test_every_code_of_an_envelope_is_named_but_those_of_foreign_containers() -> None:
    codes = {code for code in error_kinds() if code.startswith("envelope.")}

    assert {code for code in codes if f"`{code}`" not in TEXT} == {
        "envelope.manifest_invalid",
        "envelope.not_evaluated",
    }


def test_the_limits_are_those_of_the_code() -> None:
    table = section("## 9. Limits")

    assert f"| {Limits().container_bytes // 1024**2} MiB |" in table
    assert Limits().header_bytes == Limits().signature_bytes == 64 * 1024
    assert "| 64 KiB each |" in table
    assert f"| members | {Limits().members} |" in table


def test_the_table_of_algorithms_is_that_of_the_code() -> None:
    table = section("## 6. The signature")
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| ([^|]+) \| (SHA-\d+|SM3) \| (yes|by policy) \|$", table, re.MULTILINE
    )

    assert rows == [
        (
            row.id,
            row.name,
            "SM3" if row is SM2_SM3 else f"SHA-{row.digest[3:]}",
            "yes" if row.is_default else "by policy",
        )
        for row in ALGORITHMS
        if Signed.ENVELOPE in row.signs
    ]
