# SPDX-License-Identifier: Apache-2.0
"""Answers in several MIME parts: binary parts of an MTOM message put where they belong, others kept beside.

Source: W3C SOAP Message Transmission Optimization Mechanism section 3; XML-binary Optimized Packaging section
3.2; W3C Note SOAP Messages with Attachments; RFC 2387 (multipart/related), RFC 2392 (cid).
"""

from __future__ import annotations

import base64
import binascii
import quopri
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lxml import etree

from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

_INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"
_MOST_PARTS = 1000


@dataclass(frozen=True)
class Attachment:
    """A part that came along."""

    content_id: str
    media_type: str
    content: bytes


def is_multipart(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer has several parts."""
    return _content_type(headers).get_content_type() == "multipart/related"


def unpack(
    headers: Mapping[str, str], content: bytes, *, has_huge_text: bool
) -> tuple[bytes, tuple[Attachment, ...]]:
    """Return the envelope with all it includes, and the parts it does not.

    Args:
        headers: of the answer.
        content: its body.
        has_huge_text: whether a part may be larger than libxml2's usual limit of one text.

    Raises:
        AdapterError: `adapter.answer_unreadable`, the parts do not fit together.
    """
    outer = _content_type(headers)
    parts = _split(content, str(outer.get_param("boundary", "")))
    start = _bare(str(outer.get_param("start", "")))
    roots = [part for part in parts if start and part.content_id == start] or parts[:1]
    root, others = roots[0], {part.content_id: part for part in parts if part is not roots[0]}
    if len(others) != len(parts) - 1:
        raise _unreadable("two parts have the same Content-ID")
    if b"Include" not in root.content:
        return root.content, tuple(others.values())
    envelope = _parse(root.content, has_huge_text=has_huge_text)
    for include in list(envelope.iter(_INCLUDE)):
        # Each part goes to one place: a small answer must not grow by repetition.
        part = others.pop(_bare(unquote((include.get("href") or "").removeprefix("cid:"))), None)
        parent = include.getparent()
        if part is None or parent is None:
            raise _unreadable("an included part is not there, or is included twice")
        parent.remove(include)
        parent.text = base64.b64encode(part.content).decode("ascii")
    return bytes(etree.tostring(envelope, encoding="utf-8")), tuple(others.values())


def _split(content: bytes, boundary: str) -> list[Attachment]:
    if not boundary or len(boundary) > 200:
        raise _unreadable("multipart without a boundary")
    mark = b"\r\n--" + boundary.encode("latin-1", errors="replace")
    pieces = (b"\r\n" + content).split(mark)
    if len(pieces) < 3 or len(pieces) > _MOST_PARTS:
        raise _unreadable(f"{len(pieces) - 2} parts")
    if not pieces[-1].startswith(b"--"):
        raise _unreadable("the last part is cut off")
    return [_part(number, piece) for number, piece in enumerate(pieces[1:-1])]


def _part(number: int, piece: bytes) -> Attachment:
    head, separator, body = piece.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not separator:
        head, body = b"", piece.removeprefix(b"\r\n\r\n")
    headers = BytesHeaderParser().parsebytes(head)
    encoding = str(headers.get("Content-Transfer-Encoding", "binary")).strip().lower()
    try:
        if encoding == "base64":
            body = base64.b64decode(body)
        elif encoding == "quoted-printable":
            body = quopri.decodestring(body)
    except binascii.Error as exc:
        raise _unreadable("a part is not base64") from exc
    content_id = _bare(str(headers.get("Content-ID", ""))) or f"part-{number}"
    return Attachment(content_id, headers.get_content_type(), body)


def _parse(content: bytes, *, has_huge_text: bool) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=has_huge_text)
    try:
        envelope: etree._Element = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as exc:
        raise _unreadable("the envelope is not XML") from exc
    if envelope.getroottree().docinfo.internalDTD is not None:
        raise _unreadable("the envelope has a document type")
    return envelope


def _content_type(headers: Mapping[str, str]) -> Message:
    message = Message()
    message["Content-Type"] = next(
        (value for name, value in headers.items() if name.lower() == "content-type"), "text/xml"
    )
    return message


def _bare(content_id: str) -> str:
    return content_id.strip().removeprefix("<").removesuffix(">")


def _unreadable(reason: str) -> AdapterError:
    return AdapterError("adapter.answer_unreadable", f"the MIME message: {reason}")
