# SPDX-License-Identifier: Apache-2.0
"""What a form brings along, files included, and that it was made for this session.

Source: WHATWG URL standard section 5.1 (application/x-www-form-urlencoded); RFC 7578 (multipart/form-data).
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from hub.errors import PortalError
from hub.pages.multipart import Upload, read_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

FORM_TOKEN = "form_token"  # noqa: S105 (a field's name)
_PATH = re.compile(r"/(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]*")
MOST_FORM_FIELDS = 100
_URL_ENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, kw_only=True)
class SentForm:
    """What was sent with a form.

    Attributes:
        fields: by name; each name counts once.
        files: in the order they were chosen; a field for files that was left empty has none.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()


def require_form_token(form: Mapping[str, str], form_token: str) -> None:
    """Refuse a form that was not made for this session.

    Raises:
        PortalError: `portal.form_untrusted`.
    """
    sent = form.get(FORM_TOKEN, "")
    if not hmac.compare_digest(sent.encode(), form_token.encode()):
        raise PortalError("portal.form_untrusted", "the form's token is not this session's")


def own_path(text: str, otherwise: str, *, below: str) -> str:
    """Return a path below an address that somebody asked to be led to, or `otherwise` for anything else."""
    is_own = text.startswith(f"{below}/") and _PATH.fullmatch(text) and len(text) < 200
    return text if is_own else otherwise


async def read_form(
    request: Request, *, most_bytes: int, takes_files: bool = False, most_fields: int = MOST_FORM_FIELDS
) -> SentForm:
    """Read a form; each field's name counts once.

    Args:
        request: what the form came with.
        most_bytes: how large it may be, files included.
        takes_files: whether it may be one with files.
        most_fields: how many fields it may have.

    Raises:
        PortalError: `portal.form_invalid`: too large, not such a form, or not text.
    """
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = media_type.strip().lower()
    if kind != _URL_ENCODED and not (takes_files and kind == _MULTIPART):
        raise PortalError("portal.form_invalid", f"not {_MULTIPART if takes_files else _URL_ENCODED}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise PortalError("portal.form_invalid", f"more than {most_bytes} bytes")
    if kind == _MULTIPART:
        fields, files = read_parts(bytes(body), parameters, most_parts=most_fields)
    else:
        fields, files = _decode(bytes(body), most_fields), ()
    if len(dict(fields)) != len(fields):
        raise PortalError("portal.form_invalid", "a field stands there twice")
    return SentForm(fields=dict(fields), files=files)


def _decode(body: bytes, most_fields: int) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=most_fields,
        )
    except ValueError as exc:
        raise PortalError("portal.form_invalid", "it cannot be decoded") from exc
