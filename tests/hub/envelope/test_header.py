# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.clock import format_instant, to_milliseconds
from hub.envelope import (
    Header,
    InReplyTo,
    Kind,
    Payload,
    PayloadEntry,
    Purpose,
    decode_header,
    encode_header,
)
from hub.errors import EnvelopeError
from hub.identifiers import MessageId, new_message_id
from tests.hub.envelope.signers import CONTRACT, NOW, PROOF, REQUEST, header_for

SHA256 = st.binary(min_size=32, max_size=32).map(bytes.hex)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 (hypothesis asks for naive bounds)
    to_milliseconds
)
IDS = st.builds(new_message_id, INSTANTS)
PURPOSES = st.builds(Purpose, item=TEXTS, case=TEXTS, legal_basis=TEXTS, official=TEXTS, post=TEXTS)
TOPICS = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,79}", fullmatch=True)
REPLIES = st.builds(InReplyTo, id=IDS, manifest_sha256=SHA256)
ENTRIES = st.builds(
    PayloadEntry,
    name=st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}", fullmatch=True),
    media_type=st.from_regex(
        r"[a-z0-9][a-z0-9!#$&^_.+-]{0,9}/[a-z0-9][a-z0-9!#$&^_.+-]{0,9}", fullmatch=True
    ),
    bytes=st.integers(0, 2**53 - 1),
    sha256=SHA256,
)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    kind = draw(st.sampled_from(Kind))
    sent_at = draw(INSTANTS)
    topic = draw(st.none() | TOPICS) if kind is Kind.EVENT else None
    is_request = kind is Kind.REQUEST or topic is not None
    needs_reply = kind in {Kind.RESPONSE, Kind.RECEIPT}
    services = [None] if kind is Kind.EVENT else [None, PROOF]
    entries = draw(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.name))
    return header_for(
        (),
        id=draw(IDS),
        kind=kind,
        sent_at=sent_at,
        expires_at=sent_at + timedelta(milliseconds=draw(st.integers(1, 10**9))),
        conversation=draw(IDS),
        service=PROOF if is_request else draw(st.sampled_from(services)),
        contract=CONTRACT if is_request else draw(st.sampled_from([None, CONTRACT])),
        purpose=draw(PURPOSES if is_request else st.none() | PURPOSES),
        in_reply_to=None if is_request else draw(REPLIES if needs_reply else st.none() | REPLIES),
        topic=topic,
        payload=tuple(entries),
    )


def fields_of(header: Header) -> dict[str, Any]:
    """Say by other means what `encode_header` should have written."""
    every: dict[str, Any] = {
        "id": header.id,
        "kind": str(header.kind),
        "sender": header.sender,
        "recipient": header.recipient,
        "sent_at": format_instant(header.sent_at),
        "expires_at": format_instant(header.expires_at),
        "conversation": header.conversation,
        "service": header.service,
        "contract": header.contract,
        "topic": header.topic,
        "purpose": None,
        "in_reply_to": None,
        "payload": [
            {"name": e.name, "media_type": e.media_type, "bytes": e.bytes, "sha256": e.sha256}
            for e in header.payload
        ],
    }
    if header.purpose:
        names = ("item", "case", "legal_basis", "official", "post")
        every["purpose"] = {name: getattr(header.purpose, name) for name in names}
    if header.in_reply_to:
        reply = header.in_reply_to
        every["in_reply_to"] = {"id": reply.id, "manifest_sha256": reply.manifest_sha256}
    return {name: value for name, value in every.items() if value is not None}


@settings(deadline=None)
@given(headers())
def test_a_header_is_written_as_the_rfc8785_package_writes_it_and_read_back(header: Header) -> None:
    written = encode_header(header)

    assert written == rfc8785.dumps(fields_of(header))
    assert decode_header(written) == header


def example() -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(encode_header(header_for((REQUEST,))))
    return fields


def refusal(raw: bytes) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as refused:
        decode_header(raw)
    return refused.value


def canonical(fields: dict[str, Any]) -> bytes:
    """Write fields without losing what rfc8785 would refuse to write."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize("where", [(), ("purpose",), ("payload", 0)])
def test_an_unknown_field_is_refused_by_name(where: tuple[str | int, ...]) -> None:
    fields = example()
    target: Any = fields
    for step in where:
        target = target[step]
    target["zusatz"] = "x"

    refused = refusal(canonical(fields))

    assert refused.code == "envelope.header_unknown_field"
    assert "zusatz" in refused.detail


def test_an_unknown_field_inside_in_reply_to_is_refused() -> None:
    header = header_for((), kind=Kind.FAULT, in_reply_to=InReplyTo(id=OTHER_ID, manifest_sha256="0" * 64))
    fields = json.loads(encode_header(header))
    fields["in_reply_to"]["more"] = 1

    assert refusal(canonical(fields)).code == "envelope.header_unknown_field"


OTHER_ID = MessageId("019ca8a4-5a7b-7000-8000-000000000009")


@pytest.mark.parametrize(
    "name",
    ["id", "kind", "sender", "recipient", "sent_at", "expires_at", "conversation"],
)
def test_a_missing_field_is_refused_by_name(name: str) -> None:
    fields = example()
    del fields[name]

    refused = refusal(canonical(fields))

    assert refused.code == "envelope.header_invalid"
    assert name in refused.detail


@pytest.mark.parametrize("name", ["service", "contract", "purpose"])
def test_a_request_needs_a_service_a_contract_and_a_purpose(name: str) -> None:
    fields = example()
    del fields[name]

    assert refusal(canonical(fields)).code == "envelope.header_invalid"


@pytest.mark.parametrize("kind", [Kind.RESPONSE, Kind.RECEIPT])
def test_a_response_and_a_receipt_need_in_reply_to(kind: Kind) -> None:
    fields = example() | {"kind": kind.value}

    refused = refusal(canonical(fields))

    assert refused.code == "envelope.header_invalid"
    assert "in_reply_to" in refused.detail


def test_a_request_answers_nothing() -> None:
    reply = {"id": OTHER_ID, "manifest_sha256": "0" * 64}

    assert "in_reply_to" in refusal(canonical(example() | {"in_reply_to": reply})).detail


def event_fields() -> dict[str, Any]:
    return example() | {"kind": "event", "topic": "proof.revoked"}


def test_an_event_of_a_service_says_what_it_is_about() -> None:
    assert decode_header(canonical(event_fields())).topic == "proof.revoked"


@pytest.mark.parametrize("name", ["contract", "purpose", "topic"])
def test_an_event_of_a_service_needs_contract_purpose_and_topic(name: str) -> None:
    fields = event_fields()
    del fields[name]

    assert refusal(canonical(fields)).code == "envelope.header_invalid"


def test_a_topic_without_a_service_is_refused() -> None:
    fields = event_fields()
    for name in ("service", "contract"):
        del fields[name]

    assert refusal(canonical(fields)).code == "envelope.header_invalid"


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.EVENT])
def test_only_events_have_a_topic(kind: Kind) -> None:
    reply = {"in_reply_to": {"id": OTHER_ID, "manifest_sha256": "0" * 64}}
    fields = event_fields() | {"kind": kind.value} | ({} if kind is Kind.REQUEST else reply)

    refused = refusal(canonical(fields))

    assert refused.code == "envelope.header_invalid"
    assert "topic" in refused.detail


def test_an_event_answers_nothing() -> None:
    reply = {"id": OTHER_ID, "manifest_sha256": "0" * 64}

    assert "in_reply_to" in refusal(canonical(event_fields() | {"in_reply_to": reply})).detail


@pytest.mark.parametrize(
    "topic", ["", "Proof", "proof revoked", ".proof", "proof/revoked", "证明", "p" * 81, "proof*", 7, None]
)
def test_a_topic_of_another_form_is_refused(topic: object) -> None:
    assert refusal(canonical(event_fields() | {"topic": topic})).code == "envelope.header_invalid"


@pytest.mark.parametrize("kind", [Kind.FAULT, Kind.EVENT])
def test_a_fault_and_an_event_need_neither_purpose_nor_in_reply_to(kind: Kind) -> None:
    header = header_for((), kind=kind, service=None, contract=None, purpose=None)

    assert decode_header(encode_header(header)).kind is kind


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 7),
        ("id", "019CA8A4-5A7B-7000-8000-000000000001"),
        ("id", "019ca8a4-5a7b-4000-8000-000000000001"),
        ("id", "019ca8a4-5a7b-7000-8000-000000000001\n"),
        ("kind", "question"),
        ("kind", "Request"),
        ("kind", None),
        ("sender", "13510108MB1A00003K/fund"),
        ("sender", "13510108MB1A00003J"),
        ("sender", ["13510108MB1A00003J/fund"]),
        ("recipient", "11510108MB1A00002M/Employment"),
        ("service", "11510108MB1A00002M/employment"),
        ("contract", "disability-employment-proof/v0"),
        ("contract", "disability-employment-proof"),
        ("sent_at", 1772352000),
        ("sent_at", "2026-03-01T08:00:00Z"),
        ("sent_at", "2026-03-01T08:00:00.000+00:00"),
        ("sent_at", "2026-02-30T08:00:00.000Z"),
        ("sent_at", "\uff12026-03-01T08:00:00.000Z"),
        ("expires_at", "2026-03-01T08:00:00.123Z"),
        ("expires_at", "2026-03-01T07:59:59.999Z"),
        ("purpose", "000788002000"),
        ("purpose", {}),
        ("payload", {}),
        ("payload", [[]]),
        ("payload", [None]),
    ],
)
def test_a_value_of_the_wrong_type_or_form_is_refused_by_name(name: str, value: object) -> None:
    refused = refusal(canonical(example() | {name: value}))

    assert refused.code == "envelope.header_invalid"
    assert name in refused.detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", ".hidden"),
        ("name", "../request.json"),
        ("name", "a/b"),
        ("name", "a\\b"),
        ("name", "a" * 101),
        ("name", "a.json\n"),
        ("name", "证明.pdf"),
        ("media_type", "application"),
        ("media_type", 'text/plain;charset="utf-8"'),
        ("media_type", "Text/Plain"),
        ("bytes", -1),
        ("bytes", 1.5),
        ("bytes", "44"),
        ("bytes", True),
        ("bytes", 2**53),
        ("sha256", "0" * 63),
        ("sha256", "A" * 64),
        ("sha256", None),
    ],
)
def test_a_payload_entry_of_the_wrong_form_is_refused_by_name(name: str, value: object) -> None:
    fields = example()
    fields["payload"][0][name] = value

    refused = refusal(canonical(fields))

    assert refused.code == "envelope.header_invalid"
    assert f"payload.0.{name}" in refused.detail


def test_two_payloads_of_one_name_are_refused() -> None:
    fields = example()
    fields["payload"] *= 2

    assert "same name" in refusal(canonical(fields)).detail


@pytest.mark.parametrize(("count", "is_accepted"), [(32, True), (33, False)])
def test_a_header_lists_at_most_32_payloads(count: int, is_accepted: bool) -> None:  # noqa: FBT001 (a table's column)
    fields = example()
    fields["payload"] = [fields["payload"][0] | {"name": f"p{number}"} for number in range(count)]

    if is_accepted:
        assert len(decode_header(canonical(fields)).payload) == count
    else:
        assert refusal(canonical(fields)).code == "envelope.header_invalid"


@pytest.mark.parametrize("length", [0, 201])
def test_a_purpose_s_text_has_between_1_and_200_characters(length: int) -> None:
    fields = example()
    fields["purpose"]["case"] = "例" * length

    assert "purpose.case" in refusal(canonical(fields)).detail


def test_every_other_way_to_write_the_same_header_is_refused() -> None:
    fields = example()
    written = encode_header(header_for((REQUEST,)))
    assert canonical(fields) == written
    other_forms = [
        written + b"\n",
        b" " + written,
        written.replace(b'","', b'", "', 1),
        json.dumps(fields, sort_keys=True, separators=(",", ":")).encode(),
        json.dumps(dict(reversed(fields.items())), separators=(",", ":"), ensure_ascii=False).encode(),
        written.replace(b'"bytes":45', b'"bytes":4.5e1'),
        written.replace(b'"kind":"request"', b'"kind":"reques\\u0074"'),
        written.replace(b'"id":', b'"in_reply_to":null,"id":'),
        written.replace("残".encode(), b"\\u6b8b"),
    ]

    for form in other_forms:
        assert form != written
        assert refusal(form).code in {"envelope.header_not_canonical", "envelope.header_invalid"}
    assert refusal(other_forms[0]).code == "envelope.header_not_canonical"


@pytest.mark.parametrize("name", ["id", "sender", "kind"])
def test_a_duplicate_key_is_refused_even_when_both_values_are_the_same(name: str) -> None:
    written = encode_header(header_for((REQUEST,)))
    pair = f'"{name}":{json.dumps(example()[name])},'.encode()

    doubled = written.replace(pair, pair + pair, 1)

    assert doubled != written
    assert refusal(doubled).code == "envelope.header_not_canonical"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"{",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id":"\xff"}',
        "{}".encode("utf-16"),
    ],
)
def test_what_is_no_header_at_all_is_refused(raw: bytes) -> None:
    assert refusal(raw).code == "envelope.header_invalid"


def test_a_lone_surrogate_is_refused_in_both_directions() -> None:
    fields = example()
    fields["purpose"]["case"] = "X"
    raw = canonical(fields).replace(b'"case":"X"', b'"case":"\\ud800"')

    assert refusal(raw).code == "envelope.header_invalid"
    with pytest.raises(ValidationError):
        Purpose(item="\ud800", case="1", legal_basis="1", official="1", post="1")


@pytest.mark.parametrize(
    ("name", "media_type"), [("../x", "text/plain"), ("x", 'text/"plain'), ("a\\", "text/plain")]
)
def test_a_payload_that_no_header_can_name_cannot_be_described(name: str, media_type: str) -> None:
    with pytest.raises(ValidationError):
        Payload(name, media_type, b"").describe()


def test_instants_keep_their_milliseconds() -> None:
    assert decode_header(encode_header(header_for(()))).sent_at == NOW
