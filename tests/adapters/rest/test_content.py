# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import email
import email.policy
from typing import TYPE_CHECKING, Any, cast

import pytest

from adapters.rest.content import BodyFormat, Content, Style, content_of, headers_of, path_of, query_of
from adapters.rest.xmlbodies import read_xml, write_xml
from hub.errors import AdapterError

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path


def body(words: dict[str, Any], body_format: BodyFormat, files: dict[str, Path] | None = None) -> Content:
    content = content_of(words, body_format, None, files or {})
    assert content is not None
    assert content.size == len(b"".join(content))
    return content


def parts_of(content: Content) -> list[EmailMessage]:
    """Read a multipart body as the standard library reads mail."""
    raw = f"Content-Type: {content.media_type}\r\n\r\n".encode() + b"".join(content)
    message = email.message_from_bytes(raw, policy=email.policy.HTTP)
    return cast("list[EmailMessage]", list(message.iter_parts()))


def test_files_are_uploaded_beside_fields_from_memory_and_from_disk(tmp_path: Path) -> None:
    large = tmp_path / "scan"
    large.write_bytes(bytes(range(256)) * 4000)
    words = {
        "form": {"case": "CL-2026-0001", "tags": ["a", "b"]},
        "files": {
            "scan": {"payload": "scan.pdf", "media_type": "application/pdf"},
            "note": {"base64": "aGVsbG8=", "name": "说明.txt", "media_type": "text/plain"},
        },
    }
    parts = parts_of(body(words, BodyFormat.MULTIPART, {"scan.pdf": large}))

    assert [each.get_param("name", header="content-disposition") for each in parts] == [
        "case",
        "tags",
        "tags",
        "scan",
        "note",
    ]
    assert parts[3].get_payload(decode=True) == large.read_bytes()
    assert parts[3].get_filename() == "scan.pdf"
    assert parts[4].get_payload(decode=True) == b"hello"


def test_a_name_cannot_end_its_part() -> None:
    name = 'a"\r\nContent-Type: text/html\r\n\r\n<script>'
    content = body({"files": {"f": {"base64": "", "name": name}}}, BodyFormat.MULTIPART)

    [part] = parts_of(content)
    assert part.get_content_type() == "application/octet-stream"
    assert b"\r\nContent-Type: text/html" not in b"".join(content)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ({"files": {"f": {"payload": "../../etc/passwd"}}}, "/files/f/payload"),
        ({"files": {"f": {"payload": "absent"}}}, "/files/f/payload"),
        ({"files": {"f": {"base64": "***"}}}, "/files/f/base64"),
        ({"files": {"f": {}}}, "/files/f"),
        ({"files": {"f": "text"}}, "/files/f"),
        ({"files": {"f": {"base64": "", "media_type": "a/b\r\nX: y"}}}, "/files/f/media_type"),
        ({"form": {"a": {"b": 1}}}, "/form/a"),
        ({"form": []}, "/form"),
    ],
)
def test_what_cannot_be_uploaded_is_refused_by_its_place(words: dict[str, Any], place: str) -> None:
    with pytest.raises(AdapterError) as caught:
        content_of(words, BodyFormat.MULTIPART, None, {"f": __file__})  # type: ignore[dict-item]

    assert caught.value.code == "adapter.mapping_failed"
    assert caught.value.detail.startswith(place)


def test_forms_are_written_as_browsers_write_them() -> None:
    content = body({"form": {"xm": "张 三", "n": 1, "is": True, "gone": None}}, BodyFormat.FORM)

    assert (content.media_type, content.pieces) == (
        "application/x-www-form-urlencoded",
        (b"xm=%E5%BC%A0%20%E4%B8%89&n=1&is=true",),
    )


@pytest.mark.parametrize(
    ("style", "query"),
    [
        (Style.REPEAT, [("a", "1"), ("a", "2")]),
        (Style.COMMA, [("a", "1,2")]),
        (Style.SPACE, [("a", "1 2")]),
        (Style.PIPE, [("a", "1|2")]),
        (Style.JSON, [("a", "[1, 2]")]),
    ],
)
def test_lists_are_written_in_the_systems_style(style: Style, query: list[tuple[str, str]]) -> None:
    assert query_of({"query": {"a": [1, 2]}}, {"a": style}) == query


def test_objects_are_written_with_their_names_in_brackets() -> None:
    assert query_of({"query": {"f": {"a": 1, "b": "x"}}}, {"f": Style.DEEP}) == [("f[a]", "1"), ("f[b]", "x")]


def test_a_separator_within_a_value_is_refused_and_not_read_as_two() -> None:
    with pytest.raises(AdapterError, match="separator"):
        query_of({"query": {"a": ["1,2", "3"]}}, {"a": Style.COMMA})


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nHost: evil"}, {"X": "证"}, {"X Y": "a"}, {"X:": "a"}, {"X": {"a": 1}}]
)
def test_a_header_cannot_become_two(headers: dict[str, Any]) -> None:
    with pytest.raises(AdapterError):
        headers_of({"headers": headers}, {})


def test_headers_and_cookies_are_written() -> None:
    words: dict[str, Any] = {"headers": {"Accept-Crs": "EPSG:4326", "X-L": [1, 2]}, "cookies": {"s": "a;b"}}

    assert headers_of(words, {}) == {"Accept-Crs": "EPSG:4326", "X-L": "1,2", "Cookie": "s=a%3Bb"}


def test_a_value_cannot_name_another_place_of_the_path() -> None:
    assert path_of("/{a}/{b}", {"path": {"a": "{b}", "b": "x"}}, {}) == "/%7Bb%7D/x"
    with pytest.raises(AdapterError):
        path_of("/{a}/{b}", {"path": {"a": "x"}}, {})


def test_xml_goes_out_and_comes_back_the_same() -> None:
    value: Any = {"PullURIRequest": {"@ver": "1.0", "DocDetails": {"DocType": "DISCT", "UDF1": ["a", "b<&"]}}}

    assert read_xml(write_xml(value)) == value


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a>",
        b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        b"<!DOCTYPE a [<!ENTITY x 'ha'>]><a>&x;</a>",
        b"<!DOCTYPE a SYSTEM 'http://127.0.0.1/x.dtd'><a/>",
        b"<a>" * 5000 + b"</a>" * 5000,
        b"<a>" * 150 + b"</a>" * 150,
    ],
)
def test_xml_with_a_dtd_or_too_deep_is_refused(content: bytes) -> None:
    with pytest.raises(AdapterError) as caught:
        read_xml(content)

    assert caught.value.code == "adapter.answer_unreadable"


@pytest.mark.parametrize("value", [{}, {"a": 1, "b": 2}, "x", {"a b": 1}, {"a": "\x00"}, {"a": {"b": [[1]]}}])
def test_what_is_no_xml_is_not_sent(value: Any) -> None:
    with pytest.raises(AdapterError) as caught:
        write_xml(value)

    assert caught.value.code == "adapter.mapping_failed"
