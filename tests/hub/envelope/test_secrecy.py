# SPDX-License-Identifier: Apache-2.0
"""Encrypted payloads are bound to their message and opened by its recipient only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub.envelope import (
    Envelope,
    Header,
    Kind,
    Party,
    Payload,
    decrypt_payloads,
    encrypt_payloads,
    find_encrypted,
    open_envelope,
    reply_to,
    require_encrypted,
    seal_envelope,
)
from hub.errors import EnvelopeError
from hub.identifiers import ContractId, MessageId, ServiceId, SubsystemId
from tests.hub.envelope.recipients import KINDS, new_recipient
from tests.hub.envelope.signers import EMPLOYMENT, FUND, NOW, header_for, throwaway_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

SENDER_KEY = throwaway_key("P-256", "成华区残疾人联合会")
REQUEST = Payload("request.json", "application/json", b'{"person_id":"510108198503120235"}')
ANNEX = Payload("annex.pdf", "application/pdf", b"%PDF-1.7")


def sealed(header: Header, payloads: Sequence[Payload]) -> Envelope:
    complete = replace(header, payload=tuple(payload.describe() for payload in payloads))
    return open_envelope(seal_envelope(complete, payloads, SENDER_KEY).raw)


def encrypted_request(certificate: x509.Certificate, *payloads: Payload) -> Envelope:
    header = header_for([])
    return sealed(header, encrypt_payloads(header, payloads or (REQUEST,), certificate))


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipient_reads_what_the_sender_meant(kind: str) -> None:
    _, key = new_recipient(kind)

    message = encrypted_request(key.certificate, REQUEST, ANNEX)

    assert decrypt_payloads(message, [key]) == {
        "request.json": REQUEST.content,
        "annex.pdf": ANNEX.content,
    }
    assert REQUEST.content not in message.raw
    seen = require_encrypted(message)
    assert seen.sizes == {"request.json": len(REQUEST.content), "annex.pdf": len(ANNEX.content)}
    assert seen.certificate.serial == key.certificate.serial_number


def test_an_earlier_key_opens_what_was_encrypted_to_it_beside_the_present_one() -> None:
    _, old = new_recipient("P-256")
    _, present = new_recipient("P-384")

    message = encrypted_request(old.certificate)

    assert decrypt_payloads(message, [present, old]) == {"request.json": REQUEST.content}
    with pytest.raises(EnvelopeError) as refused:
        decrypt_payloads(message, [present])
    assert refused.value.code == "envelope.decryption_key_missing"


def test_an_answer_is_encrypted_to_who_asked_and_bound_to_itself() -> None:
    _, asker = new_recipient()
    request = encrypted_request(new_recipient()[1].certificate)
    party = Party(EMPLOYMENT, throwaway_key("P-256", "成华区人力资源和社会保障局"))

    answer = reply_to(request, Kind.RESPONSE, (ANNEX,), party=party, now=NOW, encrypted_to=asker.certificate)

    assert decrypt_payloads(open_envelope(answer.raw), [asker]) == {"annex.pdf": ANNEX.content}


@pytest.mark.parametrize(
    "change",
    [
        {"id": MessageId("019ca8a4-5a7b-7000-8000-00000000000f")},
        {"sender": SubsystemId("12510108MB1A00004Q/insurance")},
        {"recipient": FUND},
        {"service": ServiceId(f"{EMPLOYMENT}/other")},
        {"contract": ContractId("echo/v1")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_ciphertext_moved_into_another_message_is_refused_without_any_key(
    change: dict[str, object],
) -> None:
    """Whoever may send messages could otherwise have the recipient decrypt what others wrote to it."""
    _, key = new_recipient()
    honest = encrypted_request(key.certificate)
    payload = Payload("request.json.p7m", "application/pkcs7-mime", honest.payloads["request.json.p7m"])

    moved = sealed(replace(honest.header, **change), [payload])  # type: ignore[arg-type]  # any field is changed

    for read in (require_encrypted, lambda message: decrypt_payloads(message, [key])):
        with pytest.raises(EnvelopeError) as refused:
            read(moved)
        assert refused.value.code == "envelope.encryption_moved"


def test_two_payloads_cannot_change_places() -> None:
    _, key = new_recipient()
    honest = encrypted_request(key.certificate, REQUEST, ANNEX)
    swapped = [
        Payload(name, "application/pkcs7-mime", honest.payloads[other])
        for name, other in (("request.json.p7m", "annex.pdf.p7m"), ("annex.pdf.p7m", "request.json.p7m"))
    ]

    with pytest.raises(EnvelopeError) as refused:
        require_encrypted(sealed(honest.header, swapped))

    assert refused.value.code == "envelope.encryption_moved"


def test_a_message_is_encrypted_as_a_whole_or_not_at_all() -> None:
    _, key = new_recipient()
    header = header_for([])
    (encrypted,) = encrypt_payloads(header, [REQUEST], key.certificate)
    (to_another,) = encrypt_payloads(header, [ANNEX], new_recipient()[1].certificate)

    with pytest.raises(EnvelopeError) as refused:
        find_encrypted(sealed(header, [encrypted, ANNEX]))
    assert refused.value.code == "envelope.not_encrypted"
    with pytest.raises(EnvelopeError) as refused:
        require_encrypted(sealed(header, [encrypted, to_another]))
    assert refused.value.code == "envelope.encryption_malformed"
    with pytest.raises(EnvelopeError) as refused:
        require_encrypted(sealed(header, []))
    assert refused.value.code == "envelope.not_encrypted"
    assert find_encrypted(sealed(header, [REQUEST])) is None


def test_the_binding_is_what_the_protocol_says() -> None:
    """Computed here with the standard library, from the document's words."""
    _, key = new_recipient()
    message = encrypted_request(key.certificate)
    header = message.header
    facts = {
        "contract": header.contract,
        "format": "heliograph-secrecy/1",
        "kind": "request",
        "message": header.id,
        "payload": "request.json",
        "recipient": header.recipient,
        "sender": header.sender,
        "service": header.service,
    }
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    assert hashlib.sha256(text.encode()).digest() in message.payloads["request.json.p7m"]
