# SPDX-License-Identifier: Apache-2.0
"""The header as bytes: RFC 8785 canonical JSON, one form only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from hub.clock import format_instant
from hub.envelope.model import Header
from hub.errors import EnvelopeError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_ADAPTER = TypeAdapter(Header)

# Quotes a string as RFC 8785 section 3.2.2.2 asks.
_quote = json.JSONEncoder(ensure_ascii=False).encode


def encode_header(header: Header) -> bytes:
    """Write a header as canonical JSON; fields without a value are left out.

    The keys are written in the canonical order. Only the purpose's texts need quoting: every other text has
    been matched against a pattern that leaves nothing to escape. A test holds this and the rfc8785 package
    together.

    Source: RFC 8785.
    """
    contract = f'"contract":"{header.contract}",' if header.contract else ""
    service = f',"service":"{header.service}"' if header.service else ""
    topic = f',"topic":"{header.topic}"' if header.topic else ""
    payload = ",".join(
        f'{{"bytes":{p.bytes},"media_type":"{p.media_type}","name":"{p.name}","sha256":"{p.sha256}"}}'
        for p in header.payload
    )
    return (
        f'{{{contract}"conversation":"{header.conversation}"'
        f',"expires_at":"{format_instant(header.expires_at)}","id":"{header.id}"{_encode_reply(header)}'
        f',"kind":"{header.kind.value}","payload":[{payload}]{_encode_purpose(header)}'
        f',"recipient":"{header.recipient}","sender":"{header.sender}"'
        f',"sent_at":"{format_instant(header.sent_at)}"{service}{topic}}}'
    ).encode()


def _encode_reply(header: Header) -> str:
    reply = header.in_reply_to
    if reply is None:
        return ""
    return f',"in_reply_to":{{"id":"{reply.id}","manifest_sha256":"{reply.manifest_sha256}"}}'


def _encode_purpose(header: Header) -> str:
    purpose = header.purpose
    if purpose is None:
        return ""
    return (
        f',"purpose":{{"case":{_quote(purpose.case)},"item":{_quote(purpose.item)}'
        f',"legal_basis":{_quote(purpose.legal_basis)},"official":{_quote(purpose.official)}'
        f',"post":{_quote(purpose.post)}}}'
    )


def decode_header(raw: bytes) -> Header:
    """Read a header, refusing every form but the canonical one.

    Raises:
        EnvelopeError: `header_invalid`, `header_unknown_field` or `header_not_canonical`.
    """
    try:
        header = _ADAPTER.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise EnvelopeError(_code_for(first), _describe(first)) from error
    if encode_header(header) != raw:
        raise EnvelopeError("envelope.header_not_canonical", "message.json")
    return header


def _code_for(error: ErrorDetails) -> str:
    is_unknown = error["type"] in {"extra_forbidden", "unexpected_keyword_argument"}
    return "envelope.header_unknown_field" if is_unknown else "envelope.header_invalid"


def _describe(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "message.json"
    return f"{where}: {error['msg']}"
