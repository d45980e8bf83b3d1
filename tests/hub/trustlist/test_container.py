# SPDX-License-Identifier: Apache-2.0
"""A version in its container: one form, every byte counts, and the document says only what is documented."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hub.canonical import encode_canonical
from hub.envelope import Header, Kind, Payload, open_envelope, seal_envelope
from hub.errors import TrustError
from hub.identifiers import SubsystemId, new_message_id
from hub.trust import RevocationPolicy, Use
from hub.trustlist import (
    AuthorityRow,
    ServiceRow,
    SignedTrustList,
    decode_document,
    encode_document,
    open_trust_list,
)
from tests.hub.envelope.signers import PURPOSE
from tests.hub.trustlist.versions import DAY_ONE, OPERATOR, ListSigner, content, root, row_of, version

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = ListSigner()
FIRST = version(None, KEY)
SECOND = version(FIRST, KEY)


def refused(raw: bytes) -> TrustError:
    with pytest.raises(TrustError) as caught:
        open_trust_list(raw)
    assert caught.value.finding is not None
    return caught.value


def test_a_version_says_what_was_put_into_it() -> None:
    below, stamps = root("below"), root("stamps")
    rows: tuple[AuthorityRow, ...] = (
        root(),
        row_of(
            below.certificate,
            uses=(Use.SEAL, Use.TIMESTAMP),
            revocation=RevocationPolicy.BOTH,
            reaches_below=True,
            longest_answer_age_seconds=3600,
            unsafe_accept_unknown_revocation=True,
            approved_until=DAY_ONE,
        ),
    )
    service = ServiceRow(
        name="stamps",
        certificate=stamps.certificate,
        url="http://tsa.example/",
        approved_from=DAY_ONE,
        approved_until=None,
    )
    said = content(KEY, authorities=rows).model_copy(update={"time_stamping_authorities": (service,)})
    made = open_trust_list(version(None, KEY, said).raw).trust_list
    assert (made.sequence, made.issued_at) == (1, DAY_ONE)
    row = made.find(below.certificate)
    assert row is not None
    assert row.uses == {Use.SEAL, Use.TIMESTAMP}
    assert row.longest_answer_age == timedelta(hours=1)
    assert (row.reaches_below, row.unsafe_accepts_unknown_revocation) == (True, True)
    assert (row.revocation, row.approved_until, row.name) == (RevocationPolicy.BOTH, DAY_ONE, "authority")
    [stamping] = made.time_stamping
    assert (stamping.url, stamping.certificate) == ("http://tsa.example/", stamps.certificate)


def test_every_byte_of_a_version_counts() -> None:
    raw = SECOND.raw
    for position in range(len(raw)):
        damaged = bytearray(raw)
        damaged[position] ^= 1 << position % 8
        error = refused(bytes(damaged))
        assert error.code == "trust.trust_list_invalid", position


@pytest.mark.parametrize("cut", [0, 1, 30, -22, -1])
def test_a_version_cut_short_or_with_something_behind_it_is_refused(cut: int) -> None:
    assert refused(SECOND.raw[:cut]).code == "trust.trust_list_invalid"
    assert refused(SECOND.raw + bytes(1)).code == "trust.trust_list_invalid"


def resealed(raw: bytes, *, payloads: tuple[Payload, ...] | None = None, **changes: Any) -> bytes:
    """Let the rightful signer sign a header or payloads that are none of a trust list."""
    payloads = payloads or (Payload("trust-list.json", "application/json", raw),)
    now = SECOND.document.issued_at
    message_id = new_message_id(now)
    fields: dict[str, Any] = {
        "id": message_id,
        "kind": Kind.EVENT,
        "sender": OPERATOR,
        "recipient": OPERATOR,
        "sent_at": now,
        "expires_at": SECOND.document.next_update,
        "conversation": message_id,
        "payload": tuple(each.describe() for each in payloads),
    }
    return seal_envelope(Header(**fields | changes), payloads, KEY).raw


def test_the_rightful_signer_s_other_containers_are_no_trust_lists() -> None:
    raw = encode_document(SECOND.document)
    assert open_trust_list(resealed(raw)).document == SECOND.document
    instant, other = SECOND.document.issued_at, SubsystemId("13510108MB1A00003J/fund")
    question = open_envelope(FIRST.raw).as_in_reply_to()
    for changes in (
        {"kind": Kind.FAULT},
        {"kind": Kind.RECEIPT, "in_reply_to": question},
        {"recipient": other},
        {"sent_at": instant + timedelta(seconds=1)},
        {"expires_at": SECOND.document.next_update + timedelta(days=1)},
        {"conversation": open_envelope(FIRST.raw).header.id},
        {"service": "13510108MB1A00003J/fund/echo", "contract": "echo/v1", "purpose": PURPOSE, "topic": "x"},
        {"payloads": (Payload("list.json", "application/json", raw),)},
        {"payloads": (Payload("trust-list.json", "text/plain", raw),)},
        {"payloads": tuple(Payload(f"{n}.json", "application/json", raw) for n in range(2))},
    ):
        assert refused(resealed(raw, **changes)).code == "trust.trust_list_invalid", changes


def _spoilt(spoil: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(encode_document(SECOND.document))
    spoil(document)
    return encode_canonical(document)


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (lambda d: d.update(format="heliograph-trust-list/1"), "/format"),
        (lambda d: d.update(extra=1), "/extra"),
        (lambda d: d.pop("ocsp_responders"), "/ocsp_responders"),
        (lambda d: d["name"].pop("zh"), "/name/zh"),
        (lambda d: d.update(sequence=0), "/sequence"),
        (lambda d: d.update(sequence="2"), "/sequence"),
        (lambda d: d.update(sequence=1), "first version"),
        (lambda d: d.update(previous_sha256=None), "first version"),
        (lambda d: d.update(previous_sha256="AB" * 32), "/previous_sha256"),
        (lambda d: d.update(next_update=d["issued_at"]), "next_update"),
        (lambda d: d.update(issued_at="2026-03-01T08:00:00Z"), "/issued_at"),
        (lambda d: d.update(signers=[]), "/signers"),
        (lambda d: d.update(signers=d["signers"] * 2), "signers lists a certificate twice"),
        (lambda d: d.update(authorities=[]), "/authorities"),
        (lambda d: d["authorities"].append(d["authorities"][0]), "authorities lists a certificate twice"),
        (lambda d: d["authorities"][0].update(is_anchor=False), "no authority is a root"),
        (lambda d: d["authorities"][0].update(is_anchor=1), "is_anchor"),
        (lambda d: d["authorities"][0].update(extra=1), "/authorities/0/extra"),
        (lambda d: d["authorities"][0].pop("reaches_below"), "/authorities/0/reaches_below"),
        (lambda d: d["authorities"][0].update(uses=["anything"]), "/authorities/0/uses/0"),
        (lambda d: d["authorities"][0].update(uses=["seal", "seal"]), "use twice"),
        (lambda d: d["authorities"][0].update(revocation="none"), "/authorities/0/revocation"),
        (lambda d: d["authorities"][0].update(longest_answer_age_seconds=0), "longest_answer_age_seconds"),
        (lambda d: d["authorities"][0].update(approved_until="2000-01-01T00:00:00.000Z"), "ends before"),
        (lambda d: d["authorities"][0].update(certificate="AAAA"), "base64 of DER"),
        (lambda d: d["authorities"][0].update(certificate="!"), "base64 of DER"),
        (lambda d: d["authorities"][0].update(certificate=d["signers"][0] + "\n"), "base64"),
        (lambda d: d.update(next_update=None), "/next_update"),
    ],
)
def test_a_document_of_another_form_is_refused(spoil: Callable[[dict[str, Any]], object], hint: str) -> None:
    raw = _spoilt(spoil)
    with pytest.raises(TrustError) as caught:
        decode_document(raw)
    assert caught.value.code == "trust.trust_list_invalid"
    assert hint in caught.value.detail
    assert refused(resealed(raw)).code == "trust.trust_list_invalid", "signed or not"


def test_a_document_has_one_form_only() -> None:
    raw = encode_document(SECOND.document)
    assert decode_document(raw) == SECOND.document
    twice = raw.replace(b'{"authorities"', b'{"sequence":9,"authorities"')
    spaced = json.dumps(json.loads(raw), ensure_ascii=False).encode()
    for other in (
        twice,
        spaced,
        raw + b"\n",
        b"\xef\xbb\xbf" + raw,
        raw.replace(b'"sequence":2', b'"sequence":2.0'),
    ):
        with pytest.raises(TrustError):
            decode_document(other)


def test_a_version_is_the_same_list_each_time_it_is_asked() -> None:
    opened: SignedTrustList = open_trust_list(SECOND.raw)
    assert opened.trust_list is opened.trust_list
    assert opened.sha256 == SECOND.sha256
