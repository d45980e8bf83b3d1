# SPDX-License-Identifier: Apache-2.0
"""What forms bring along: files taken apart, everything else refused."""

from __future__ import annotations

import httpx2
import pytest

from hub.errors import PortalError
from hub.pages import Upload, own_path, require_form_token
from hub.pages.multipart import read_parts


def sent(**options: object) -> tuple[bytes, str]:
    """Return a form as a real client writes it, and the parameters of its media type."""
    request = httpx2.Request("POST", "http://127.0.0.1/", **options)  # type: ignore[arg-type]  # the client's own
    return request.read(), request.headers["content-type"].partition(";")[2]


def part(head: str, content: bytes = b"x") -> bytes:
    return b"--B\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n--B--\r\n"


def test_fields_and_files_come_apart() -> None:
    body, parameters = sent(
        data={"title": "增值税", "empty": ""},
        files=[
            ("wsdl", ("服务.wsdl", b"\r\n--not the boundary\r\n\x00\xff", "text/xml")),
            ("wsdl", ("C:\\old\\types.xsd", b"<x/>", "text/xml")),
        ],
    )
    fields, files = read_parts(body, parameters, most_parts=10)
    assert fields == [("title", "增值税"), ("empty", "")]
    assert files == (
        Upload("wsdl", "服务.wsdl", b"\r\n--not the boundary\r\n\x00\xff"),
        Upload("wsdl", "types.xsd", b"<x/>"),
    )


def test_a_field_for_files_that_was_left_empty_has_none() -> None:
    head = 'Content-Disposition: form-data; name="f"; filename=""\r\nContent-Type: application/octet-stream'
    assert read_parts(part(head, b""), "boundary=B", most_parts=1) == ([], ())


def test_a_name_is_told_without_folders_and_line_ends() -> None:
    head = 'Content-Disposition: form-data; name="f"; filename="../../etc/%22a%0D%0Ab"'
    assert read_parts(part(head), "boundary=B", most_parts=1)[1] == (Upload("f", '"ab', b"x"),)


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        (b"", "boundary=B"),
        (b"anything", "boundary=B"),
        (part('Content-Disposition: form-data; name="f"'), ""),
        (part('Content-Disposition: form-data; name="f"'), "boundary=C"),
        (part('Content-Disposition: form-data; name="f"')[:-6], "boundary=B"),
        (part("Content-Disposition: form-data"), "boundary=B"),
        (part('Content-Disposition: attachment; name="f"'), "boundary=B"),
        (part("Content-Type: text/plain"), "boundary=B"),
        (part("x" * 5000), "boundary=B"),
        (b"before" + part('Content-Disposition: form-data; name="f"'), "boundary=B"),
        (part('Content-Disposition: form-data; name="f"', b"\xff"), "boundary=B"),
        (b"--B\r\nno gap\r\n--B--\r\n", "boundary=B"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, parameters: str) -> None:
    with pytest.raises(PortalError) as refused:
        read_parts(body, parameters, most_parts=5)
    assert refused.value.code == "portal.form_invalid"


def test_a_form_of_too_many_parts_is_refused() -> None:
    body, parameters = sent(files=[("f", (f"{number}", b"x", "text/plain")) for number in range(6)])
    assert len(read_parts(body, parameters, most_parts=6)[1]) == 6
    with pytest.raises(PortalError, match="at most 5"):
        read_parts(body, parameters, most_parts=5)


@pytest.mark.parametrize("token", ["", "other", "ü"])
def test_a_form_of_another_session_is_refused(token: str) -> None:
    require_form_token({"form_token": "mine"}, "mine")
    with pytest.raises(PortalError):
        require_form_token({"form_token": token} if token else {}, "mine")


@pytest.mark.parametrize("text", ["/portal/log", "//evil.example", "/console", "/console/../x", "console/a"])
def test_a_path_of_another_site_is_not_followed(text: str) -> None:
    assert own_path(text, "/console/", below="/console") == "/console/"
    assert own_path("/console/drafts/1", "/console/", below="/console") == "/console/drafts/1"
