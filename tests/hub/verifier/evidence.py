# SPDX-License-Identifier: Apache-2.0
"""Evidence bundles as a hub exports them, made from the parts, so that a test can change any of them.

Everything is signed by the session's PKI; the log and its witness have keys of their own.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import rfc8785
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from hub.clock import SystemClock, format_instant
from hub.envelope import (
    Envelope,
    Kind,
    LogReference,
    Party,
    Payload,
    Receipt,
    ReceiptStatus,
    describe_fault,
    refer_to,
    reply_to,
    write_fault,
    write_receipt,
)
from hub.errors import AccessError
from hub.identifiers import SubsystemId
from hub.preservation import (
    Answers,
    EvidenceRecord,
    HashTree,
    archive_time_stamp,
    group_of,
    with_record,
    write_crypto_infos,
)
from hub.tlog import (
    Checkpoint,
    Cosigner,
    Entry,
    EntryEvent,
    NoteSigner,
    PolicyLog,
    PolicyWitness,
    ProofFile,
    Subtree,
    TrustPolicy,
    inclusion_spans,
    leaf_hash,
    prove,
    root_of,
)
from hub.trust import OnlineRevocation, TimeStampAuthority, TimeStampClient, Use, Validator
from hub.trustlist import check_history, open_trust_list, read_containers, read_pinned
from hub.verifier import Reader, verify_bundle
from tests.hub.envelope.signers import EMPLOYMENT
from tests.hub.verifier.stored import now, sealed_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.trust import TrustLists, VerificationReport
    from tests.pki import ServedPki

ORIGIN = "log.example/2026"
HUB = SubsystemId("11510108MB1A00001J/hub")
_FOR_PEOPLE = {"README.txt": b"How to check this.\n", "summary.html": b"<html/>", "summary.pdf": b"%PDF-"}


@dataclass
class Exchange:
    """One exchange: its containers, and the numbers of its entries."""

    request: Envelope
    answer: Envelope
    receipt: Envelope
    entries: list[int]
    state: str
    code: str | None
    at: datetime


@dataclass
class World:
    """A hub's log, its exchanges and what it knows about the signers."""

    pki: ServedPki
    log_key: NoteSigner = field(default_factory=lambda: NoteSigner(ORIGIN, Ed25519PrivateKey.generate()))
    witness: Cosigner = field(
        default_factory=lambda: Cosigner("witness.example/w1", Ed25519PrivateKey.generate())
    )
    leaves: list[bytes] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.revocation: dict[str, bytes] = {}
        self._source = OnlineRevocation()
        self._validator = Validator(self.pki.approved(), self._source)
        for label in ("federation-sign", "labour-sign", "hub-sign"):
            self.learn(label)

    def close(self) -> None:
        self._source.close()

    def learn(self, label: str) -> None:
        """Ask the authorities about a signer, as the hub does when a message passes."""
        path = self._validator.validate(self.pki.certificates(label), use=Use.ENVELOPE, at=now())
        for answer in path.revocation:
            self.revocation[f"{hashlib.sha256(answer.der).hexdigest()}.{answer.kind}"] = answer.der

    @property
    def policy(self) -> TrustPolicy:
        return TrustPolicy(
            (PolicyLog(self.log_key.verifier),), (PolicyWitness("w1", self.witness.verifier),), "w1"
        )

    def exchange(self, *, is_refused: bool = False, text: str = "x") -> Exchange:
        """Let a request pass, be answered or refused, and be receipted."""
        at = now()
        request = sealed_request(
            self.pki, payloads=[Payload("request.json", "application/json", text.encode())]
        )
        hub = Party(HUB, self.pki.signer("hub-sign"))
        entries, code = [], None
        if is_refused:
            error = AccessError("access.service_not_granted", "no right")
            code = error.code
            answer = reply_to(request, Kind.FAULT, [write_fault(describe_fault(error))], party=hub, now=at)
            entries.append(self._log(EntryEvent.REFUSED, request, at, code))
        else:
            entries.append(self._log(EntryEvent.ACCEPTED, request, at))
            payload = Payload("response.json", "application/json", f'{{"to":"{text}"}}'.encode())
            bureau = Party(EMPLOYMENT, self.pki.signer("labour-sign"))
            answer = reply_to(request, Kind.RESPONSE, [payload], party=bureau, now=at)
            entries.append(self._log(EntryEvent.ANSWERED, answer, at))
        status = ReceiptStatus.REFUSED if is_refused else ReceiptStatus.PROCESSED
        place = LogReference(
            origin=ORIGIN, index=entries[-1], leaf_sha256=leaf_hash(self.leaves[entries[-1]]).hex()
        )
        receipt = Receipt(
            status=status, at=at, message=refer_to(request), log=place, answer=refer_to(answer), code=code
        )
        receipts = reply_to(request, Kind.RECEIPT, [write_receipt(receipt)], party=hub, now=at)
        made = Exchange(request, answer, receipts, entries, status.value, code, at)
        self.exchanges.append(made)
        return made

    def _log(self, event: EntryEvent, envelope: Envelope, at: datetime, code: str | None = None) -> int:
        header = envelope.header
        entry = Entry(
            event=event,
            at=at,
            container_sha256=envelope.container_sha256,
            manifest_sha256=envelope.manifest_sha256,
            message_id=header.id,
            sender=header.sender,
            recipient=header.recipient,
            service=header.service,
            code=code,
        )
        self.leaves.append(entry.to_bytes())
        return len(self.leaves) - 1

    def checkpoint(self) -> tuple[Checkpoint, str, str]:
        """Return the checkpoint, its note signed by the log alone, and the one with a cosignature."""
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        checkpoint = Checkpoint(ORIGIN, len(hashes), root_of(hashes))
        note = self.log_key.sign(checkpoint.to_text())
        return checkpoint, note, note + self.witness.cosign(checkpoint.to_text(), int(now().timestamp()))

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the inclusion proof of an entry in the whole log."""
        hashes = [leaf_hash(leaf) for leaf in self.leaves]

        def hash_of(subtree: Subtree) -> bytes:
            first = subtree.number << subtree.level
            return root_of(hashes[first : first + (1 << subtree.level)])

        return prove(inclusion_spans(index, len(hashes)), hash_of)

    def stamp(self, groups: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Have one time stamp over a hash tree of groups, and return the record of each."""
        listed = [TimeStampAuthority("tsa", self.pki.time_stamp_url)]
        client = TimeStampClient(listed, self._validator, SystemClock())
        tree = HashTree("sha256", groups)
        stamp = client.stamp(tree.root)
        client.close()
        infos = write_crypto_infos(Answers.of(stamp.path.revocation))
        return [
            EvidenceRecord.of(
                ((archive_time_stamp("sha256", tree.reduce(number), stamp.token),),), infos
            ).encode()
            for number in range(len(groups))
        ]

    def bundle(self, **changes: Any) -> dict[str, bytes]:
        """Return a bundle's files, `bundle.json` among them."""
        files: dict[str, bytes] = dict(_FOR_PEOPLE)
        _, note, witnessed = self.checkpoint()
        envelopes = [each for one in self.exchanges for each in (one.request, one.answer, one.receipt)]
        records = self.stamp([*map(group_of, envelopes), [hashlib.sha256(note.encode()).digest()]])
        exported = iter(
            [with_record(*each) for each in zip((e.raw for e in envelopes), records, strict=False)]
        )
        lines = []
        for one in self.exchanges:
            lines.append(self._line(one))
            for part in ("request", "answer", "receipt"):
                files[f"messages/{one.request.header.id}/{part}.asice"] = next(exported)
            for index in one.entries:
                place = f"messages/{one.request.header.id}/entry-{index}"
                path = self.path(index)
                files[f"{place}.json"] = self.leaves[index]
                files[f"{place}.tlog-proof"] = ProofFile(index, path, witnessed).encode().encode()
        files["log/checkpoint.txt"] = note.encode()
        files["log/checkpoint.ers"] = records[-1]
        files["log/policy.txt"] = self.policy.encode().encode()
        files |= self._trust()
        fields: dict[str, Any] = {
            "format": "heliograph-evidence/1",
            "created_at": format_instant(now()),
            "hub": {"subsystem": HUB, "log_origin": ORIGIN},
            "selection": {"since": "2020-01-01T00:00:00.000Z", "until": None, "party": None},
            "messages": sorted(lines, key=lambda line: (line["received_at"], line["id"])),
            "checkpoint": "log/checkpoint.txt",
            "checkpoint_record": "log/checkpoint.ers",
            "policy": "log/policy.txt",
            "missing": [],
        }
        return with_index(files, fields | changes)

    def _line(self, one: Exchange) -> dict[str, Any]:
        header = one.request.header
        place = f"messages/{header.id}"
        return {
            "id": header.id,
            "conversation": header.conversation,
            "sender": header.sender,
            "recipient": header.recipient,
            "service": header.service,
            "state": one.state,
            "code": one.code,
            "received_at": format_instant(one.at),
            "concluded_at": format_instant(one.at),
            "containers": {part: f"{place}/{part}.asice" for part in ("request", "answer", "receipt")},
            "entries": [
                {
                    "index": index,
                    "leaf": f"{place}/entry-{index}.json",
                    "proof": f"{place}/entry-{index}.tlog-proof",
                }
                for index in one.entries
            ],
        }

    def _trust(self) -> dict[str, bytes]:
        files = {f"trust/revocation/{name}": der for name, der in self.revocation.items()}
        for number, raw in enumerate(read_containers(self.pki.trust_list), start=1):
            files[f"trust/lists/trust-list-{number:06}.asice"] = raw
        for label in ("federation-sign", "labour-sign", "hub-sign"):
            for certificate in self.pki.certificates(label):
                digest = certificate.fingerprint(hashes.SHA256()).hex()
                files[f"trust/certificates/{digest}.pem"] = certificate.public_bytes(Encoding.PEM)
        return files

    def read_trust_lists(self, containers: Sequence[bytes]) -> TrustLists:
        pinned = read_pinned(self.pki.trust_list_signer)
        return check_history([open_trust_list(raw) for raw in containers], pinned)

    def verify(
        self, files: Mapping[str, bytes] | bytes, *, at: datetime | None = None, **reader: Any
    ) -> VerificationReport:
        """Verify a bundle, given by its files or as a ZIP."""
        raw = files if isinstance(files, bytes) else zipped(files)
        believed: dict[str, Any] = {"read_trust_lists": self.read_trust_lists, "policy": self.policy} | reader
        at = at or now() + timedelta(seconds=5)
        return verify_bundle(io.BytesIO(raw), Reader(**believed), at=at, subject="bundle.zip")


def with_index(files: Mapping[str, bytes], fields: Mapping[str, Any]) -> dict[str, bytes]:
    """Write `bundle.json` for files: what an exporter does, and an attacker who may."""
    others = {path: content for path, content in files.items() if path != "bundle.json"}
    derived: dict[str, Any] = {
        "trust_lists": sorted(path for path in others if path.startswith("trust/lists/")),
        "certificates": sorted(path for path in others if path.startswith("trust/certificates/")),
        "revocation": sorted(path for path in others if path.startswith("trust/revocation/")),
        "files": {
            path: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for path, content in others.items()
        },
    }
    return {**others, "bundle.json": rfc8785.dumps({**fields, **derived})}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Write files as a hub does."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 3, 2, 10, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
