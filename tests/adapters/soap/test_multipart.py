# SPDX-License-Identifier: Apache-2.0
"""MTOM and attachments: what belongs in the envelope is put there, byte for byte, and once."""

from __future__ import annotations

import base64
import os

import pytest
from lxml import etree

from adapters.soap.multipart import is_multipart, unpack
from hub.errors import AdapterError

XOP = "http://www.w3.org/2004/08/xop/include"
HUGE = etree.XMLParser(huge_tree=True)
HEADERS = {
    "content-type": 'multipart/related; type="application/xop+xml"; start="<root@x>"; boundary="b-1"',
}


def part(content_id: str, content: bytes, *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"Content-ID: <{content_id}>", *lines))
    return b"--b-1\r\n" + head.encode() + b"\r\n" + content + b"\r\n"


def root(*hrefs: str) -> bytes:
    includes = "".join(f'<f><i:Include xmlns:i="{XOP}" href="{href}"/></f>' for href in hrefs)
    return part("root@x", f"<e>{includes}</e>".encode(), "Content-Type: application/xop+xml")


def unpacked(body: bytes) -> tuple[list[bytes], list[str]]:
    content, others = unpack(HEADERS, body, has_huge_text=True)
    fields = [base64.b64decode(node.text or "") for node in etree.fromstring(content, HUGE).iter("f")]
    return fields, [one.content_id for one in others]


def test_binary_parts_come_where_they_are_included_with_every_byte() -> None:
    first, second = b"\r\n\r\n%PDF\n" + os.urandom(50_000) + b"\r\n", b"--b-2\r\n"
    body = root("cid:a%40x", "cid:b@x") + part("b@x", second) + part("a@x", first) + b"--b-1--\r\n"

    assert unpacked(body) == ([first, second], [])


@pytest.mark.parametrize(
    ("encoding", "content"), [("base64", base64.b64encode(b"\x00\xff=")), ("quoted-printable", b"=00=FF=3D")]
)
def test_encoded_parts_are_decoded(encoding: str, content: bytes) -> None:
    body = root("cid:a") + part("a", content, f"Content-Transfer-Encoding: {encoding}") + b"--b-1--"

    assert unpacked(body) == ([b"\x00\xff="], [])


def test_a_part_nothing_includes_is_an_attachment() -> None:
    body = root() + part("scan@x", b"\x89PNG", "Content-Type: image/png") + b"--b-1--"
    content, [scan] = unpack(HEADERS, body, has_huge_text=False)

    assert content == b"<e></e>"
    assert (scan.content_id, scan.media_type, scan.content) == ("scan@x", "image/png", b"\x89PNG")


def test_a_document_of_more_than_seven_megabytes_comes_whole() -> None:
    document = os.urandom(12_000_000)

    assert unpacked(root("cid:a") + part("a", document) + b"--b-1--") == ([document], [])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(root("cid:a") + b"--b-1--", id="a part that is missing"),
        pytest.param(root("cid:a", "cid:a") + part("a", b"x") + b"--b-1--", id="a part included twice"),
        pytest.param(root("cid:a") + part("a", b"x") + part("a", b"y") + b"--b-1--", id="two of one name"),
        pytest.param(root("cid:a") + part("a", b"x"), id="cut off"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"--b-1\r\n\r\n" * 2000 + b"--b-1--", id="too many parts"),
        pytest.param(
            part("root@x", b'<!DOCTYPE e [<!ENTITY a "b">]><e><Include/></e>') + b"--b-1--", id="DTD"
        ),
        pytest.param(part("root@x", b"<e><Include></e>") + b"--b-1--", id="no XML"),
        pytest.param(
            root("cid:a") + part("a", b"x", "Content-Transfer-Encoding: base64") + b"--b-1--", id="no base64"
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(body: bytes) -> None:
    with pytest.raises(AdapterError) as caught:
        unpack(HEADERS, body, has_huge_text=True)

    assert caught.value.code == "adapter.answer_unreadable"


def test_only_multipart_related_is_taken_apart() -> None:
    assert is_multipart(HEADERS)
    assert not is_multipart({"Content-Type": "text/xml"})
    assert not is_multipart({})
