# SPDX-License-Identifier: Apache-2.0
"""Forms with files, taken apart in memory; who reads them has limited their size.

Source: RFC 7578; RFC 2046 section 5.1.1 (boundaries); WHATWG HTML section 4.10.21.8 (what browsers escape in
names).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hub.errors import PortalError

_BOUNDARY = re.compile(r"""\s*boundary=(?:"([^"\s]{1,70})"|([^";,\s]{1,70}))\s*""", re.IGNORECASE)
_PARAMETER = re.compile(r'; *(name|filename)="([^"\r\n]*)"')
_MOST_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Upload:
    """One file of a form.

    Attributes:
        chosen_in: the name of the form's field.
        name: what the file is called where it came from, without folders; the sender's word.
    """

    chosen_in: str
    name: str
    content: bytes = field(repr=False)


def read_parts(
    body: bytes, parameters: str, *, most_parts: int
) -> tuple[list[tuple[str, str]], tuple[Upload, ...]]:
    """Return the fields and the files of a form.

    Args:
        body: as it was sent.
        parameters: what stands behind the media type, the boundary above all.
        most_parts: how many parts it may have.

    Raises:
        PortalError: `portal.form_invalid`.
    """
    found = _BOUNDARY.fullmatch(parameters)
    if found is None:
        raise PortalError("portal.form_invalid", "multipart/form-data without a boundary")
    line = b"--" + (found[1] or found[2]).encode("ascii", "replace")
    # The first delimiter has no line end before it; with one, all look alike.
    before, *parts = (b"\r\n" + body).split(b"\r\n" + line, most_parts + 1)
    if before.strip() or not parts or not parts[-1].startswith(b"--"):
        raise PortalError("portal.form_invalid", f"not made of at most {most_parts} whole parts")
    fields: list[tuple[str, str]] = []
    files: list[Upload] = []
    for part in parts[:-1]:
        name, file_name, content = _part(part)
        if file_name is None:
            fields.append((name, _text(content)))
        elif file_name:
            files.append(Upload(name, file_name, content))
    return fields, tuple(files)


def _part(part: bytes) -> tuple[str, str | None, bytes]:
    head, gap, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not part.startswith(b"\r\n") or not gap or len(head) > _MOST_HEAD_BYTES:
        raise PortalError("portal.form_invalid", "a part without its headers")
    for line in _text(head).split("\r\n"):
        header, _, value = line.partition(":")
        if header.lower() == "content-disposition" and value.strip().startswith("form-data"):
            named = {key: _unescaped(text) for key, text in _PARAMETER.findall(value)}
            if "name" in named:
                file_name = named.get("filename")
                return named["name"], None if file_name is None else _last_step(file_name), content
    raise PortalError("portal.form_invalid", "a part without a name")


def _unescaped(text: str) -> str:
    return text.replace("%22", '"').replace("%0D", "").replace("%0A", "")


def _last_step(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise PortalError("portal.form_invalid", "text that is not UTF-8") from exc
