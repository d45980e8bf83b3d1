# SPDX-License-Identifier: Apache-2.0
"""A refusal as HTTP says it, for what is refused before any application is asked.

Source: RFC 9457 (problem details).
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from hub.errors import Language
from hub.findings import finding_in, tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.errors import HubError

PROBLEM_MEDIA_TYPE = "application/problem+json"

STATUS = {
    "wire.request_malformed": 400,
    "wire.headers_too_large": 431,
    "wire.body_too_large": 413,
    "wire.too_slow": 408,
    "wire.too_many_connections": 503,
}


def describe(error: HubError, language: Language, status: int) -> dict[str, object]:
    """Return an error as the members of a problem document; a refused certificate comes with its finding."""
    finding = error.finding
    return {
        "type": f"urn:heliograph:error:{error.code}",
        "title": error.kind.message[language],
        "status": status,
        "detail": tell(finding, language) if finding else error.detail,
        "code": error.code,
        "culprit": error.culprit.value,
        "retryable": error.is_retryable,
        "cure": finding.cure[language] if finding else error.kind.cure[language],
        **({"finding": finding_in(finding, language)} if finding else {}),
    }


def answer(error: HubError, status: int, more: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return a whole HTTP answer that refuses, and ends the connection; in Chinese, as nothing was agreed."""
    body = json.dumps(describe(error, Language.ZH, status), ensure_ascii=False).encode("utf-8")
    fields = [
        *more,
        (b"content-type", PROBLEM_MEDIA_TYPE.encode("ascii")),
        (b"content-language", Language.ZH.value.encode("ascii")),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    head = b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode("ascii"))
    return head + b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"\r\n" + body
