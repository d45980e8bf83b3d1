# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hub.envelope import (
    Envelope,
    InReplyTo,
    Kind,
    Party,
    Payload,
    open_envelope,
    reply_to,
    require_binding,
    seal_envelope,
    verify_signature,
)
from hub.errors import ExchangeError
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId
from tests.hub.envelope.signers import EMPLOYMENT, FUND, NOW, header_for, request_envelope, throwaway_key

PARTY = Party(EMPLOYMENT, throwaway_key("P-256", "成华区人力资源和社会保障局"))
RESPONSE = Payload("response.json", "application/json", b"{}")
OTHER_ID = MessageId("019ca8a4-5a7b-7000-8000-00000000000f")


def answer(request: Envelope, kind: Kind = Kind.RESPONSE) -> Envelope:
    return open_envelope(reply_to(request, kind, [RESPONSE], party=PARTY, now=NOW).raw)


@pytest.mark.parametrize("kind", [Kind.RESPONSE, Kind.FAULT, Kind.RECEIPT])
def test_a_reply_is_bound_to_its_request(kind: Kind) -> None:
    request = request_envelope()

    reply = answer(request, kind)

    require_binding(reply, request)
    assert verify_signature(reply).chain == PARTY.key.certificate_chain
    header = reply.header
    assert (header.kind, header.sender, header.recipient) == (kind, EMPLOYMENT, FUND)
    assert header.in_reply_to == InReplyTo(id=request.header.id, manifest_sha256=request.manifest_sha256)
    assert header.id != request.header.id
    assert header.expires_at > header.sent_at
    assert header.purpose is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_reply_to", InReplyTo(id=OTHER_ID, manifest_sha256=request_envelope().manifest_sha256)),
        ("in_reply_to", InReplyTo(id=request_envelope().header.id, manifest_sha256="0" * 64)),
        ("sender", SubsystemId("11510108MB1A00002M/other")),
        ("sender", SubsystemId("12510108MB1A00004Q/employment")),
        ("recipient", SubsystemId("13510108MB1A00003J/register")),
        ("service", ServiceId("11510108MB1A00002M/employment/other")),
        ("service", None),
        ("contract", ContractId("disability-employment-proof/v2")),
        ("contract", None),
        ("conversation", OTHER_ID),
    ],
)
def test_an_answer_that_differs_in_one_field_is_refused_naming_the_field(name: str, value: object) -> None:
    request = request_envelope()
    header = replace(answer(request).header, **{name: value})  # type: ignore[arg-type]
    stranger = seal_envelope(header, [RESPONSE], PARTY.key)

    with pytest.raises(ExchangeError) as refused:
        require_binding(open_envelope(stranger.raw), request)

    assert (refused.value.code, refused.value.detail) == ("exchange.answer_not_bound", name)


def test_an_answer_without_in_reply_to_is_refused() -> None:
    request = request_envelope()
    header = replace(answer(request).header, kind=Kind.FAULT, in_reply_to=None)

    with pytest.raises(ExchangeError, match="in_reply_to"):
        require_binding(seal_envelope(header, [RESPONSE], PARTY.key), request)


def test_the_answer_to_a_request_of_the_same_id_but_other_content_is_refused() -> None:
    """The id alone does not bind: who reuses one gets no answer that was meant for another question."""
    request = request_envelope()
    later = request.header.expires_at + timedelta(hours=1)
    payloads = [Payload("request.json", "application/json", b'{"year":2024}')]
    twin = seal_envelope(header_for(payloads, expires_at=later), payloads, throwaway_key())
    assert twin.header.id == request.header.id

    with pytest.raises(ExchangeError, match="in_reply_to"):
        require_binding(answer(twin), request)
