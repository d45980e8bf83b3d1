# SPDX-License-Identifier: Apache-2.0
"""One exchange of an evidence bundle: three containers, the log's entries, and what ties them together.

Each container is verified by itself (`containers`), as a section of this report. The steps here hold them to
one another, to the log, and to what the bundle's index says of them.

Source: docs/protocols/evidence-bundle.md section 5; docs/protocols/envelope.md sections 7 and 8.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives import hashes

from hub.clock import format_instant
from hub.envelope import (
    Kind,
    ReceiptStatus,
    read_fault,
    read_receipt,
    refer_to,
    require_binding,
    require_department_receipt,
)
from hub.errors import BundleError, ExchangeError
from hub.tlog import Entry, EntryEvent, ProofFile, leaf_hash, verify_inclusion
from hub.trust import VerificationReport
from hub.verifier.bundleindex import PARTS
from hub.verifier.containers import verify_envelope
from hub.verifier.entries import read_text, require_policy
from hub.verifier.steps import DependentSteps, known

if TYPE_CHECKING:
    from datetime import datetime

    from hub.envelope import Envelope, Receipt
    from hub.identifiers import SubsystemId
    from hub.tlog import TrustPolicy
    from hub.verifier.bundleindex import BundleIndex, EntryLine, MessageLine
    from hub.verifier.certificates import SignerCertificate
    from hub.verifier.containers import Examined

_CLOCK_SKEW = timedelta(seconds=60)

REQUEST = "The request is there and valid"
ANSWER = "The answer is there and valid"
RECEIPT = "The receipt is there and valid"
INDEX = "The index says what the request says"
BOUND = "The answer is bound to the request"
SPEAKS = "The receipt speaks of these containers"
ENTRY = "Log entry"
PROOF = "The entry is in the log"
LOGGED = "The receipt names its log entry"
STATE = "State, answer, receipt and log agree"
TIMES = "Times follow one another"

_PART_STEPS = dict(zip(PARTS, (REQUEST, ANSWER, RECEIPT), strict=True))


class Files(Protocol):
    """The bundle's files; each that is read counts as accounted for."""

    def read(self, path: str) -> bytes:
        """Return a file.

        Raises:
            BundleError: `bundle.file_missing` or `bundle.unreadable`.
        """
        ...

    def why_missing(self, what: str) -> str:
        """Say what the index says of a part that is not there."""
        ...


@dataclass(frozen=True)
class Evidence:
    """What every exchange of a bundle is judged by.

    Attributes:
        files: of the bundle.
        index: what the bundle claims.
        certificate: judges signers and time-stamping authorities.
        policy: the logs and witnesses the reader trusts.
        checkpoint: the text of `log/checkpoint.txt`, "" where there is none.
        at: UTC; the instant of verification.
        signers: SHA-256 of the certificates met on the way, hexadecimal; filled by the steps.
    """

    files: Files
    index: BundleIndex
    certificate: SignerCertificate
    policy: TrustPolicy | None
    checkpoint: str
    at: datetime
    signers: set[str] = field(default_factory=set)


def verify_exchange(line: MessageLine, evidence: Evidence) -> VerificationReport:
    """Verify one exchange wholly; every step is run, whatever failed before."""
    return _Verification(line, evidence).report()


class _Verification:
    """One verification; what a step finds, later ones use."""

    def __init__(self, line: MessageLine, evidence: Evidence) -> None:
        self._line = line
        self._evidence = evidence
        self._examined: dict[str, Examined] = {}
        self._entries: dict[int, Entry] = {}
        self._leaves: dict[int, bytes] = {}
        self._receipt: Receipt | None = None
        self._facts: dict[str, str] = {}

    def report(self) -> VerificationReport:
        """Carry out every step."""
        steps = DependentSteps()
        for part in PARTS:
            code = "bundle.file_missing"
            steps.run(_PART_STEPS[part], code, lambda part=part: self._examine(part))  # type: ignore[misc]
        steps.run(INDEX, "bundle.contradiction", self._check_index)
        steps.run(BOUND, "exchange.answer_not_bound", self._check_bound)
        steps.run(SPEAKS, "exchange.answer_not_bound", self._check_receipt)
        for entry in self._line.entries:
            self._run_entry(steps, entry)
        steps.run(LOGGED, "bundle.contradiction", self._check_logged)
        steps.run(STATE, "bundle.contradiction", self._check_state)
        steps.run(TIMES, "bundle.contradiction", self._check_times)
        sections = tuple(self._examined[part].report for part in PARTS if part in self._examined)
        facts = MappingProxyType(self._facts)
        return VerificationReport(self._line.id, "exchange", steps.steps, facts, sections)

    def _run_entry(self, steps: DependentSteps, line: EntryLine) -> None:
        entry, proof = f"{ENTRY}: {line.index}", f"{PROOF}: {line.index}"
        steps.run(entry, "log.corrupt", lambda: self._check_entry(line))
        steps.run(proof, "log.proof_invalid", lambda: self._check_proof(line))

    def _examine(self, part: str) -> str:
        path = self._line.path(part)
        if path is None:
            raise BundleError("bundle.file_missing", self._evidence.files.why_missing(self._expected(part)))
        examined = verify_envelope(
            self._evidence.files.read(path),
            self._evidence.certificate,
            at=self._evidence.at,
            subject=path,
            needs_record=True,
        )
        self._examined[part] = examined
        self._evidence.signers.update(each.fingerprint(hashes.SHA256()).hex() for each in examined.chain)
        if not examined.report.is_valid:
            failed = next(step for step in examined.report.steps if not step.is_passed)
            raise BundleError("bundle.part_invalid", f"{path}: {failed.name} [{failed.code}]")
        return f"{path}: {len(examined.report.steps)} steps hold"

    def _expected(self, part: str) -> str:
        return f"messages/{self._line.id}/{part}.asice"

    def _envelope(self, part: str) -> Envelope:
        """Return a container whose header and payloads hold.

        Raises:
            BundleError: `bundle.file_missing`: there is none.
        """
        examined = self._examined.get(part)
        if examined is None or examined.envelope is None:
            raise BundleError("bundle.file_missing", f"there is no readable {part}")
        return examined.envelope

    def _check_index(self) -> str:
        header, line = self._envelope("request").header, self._line
        if header.kind not in {Kind.REQUEST, Kind.EVENT}:
            raise BundleError("bundle.contradiction", f"the request is a {header.kind}")
        for name in ("id", "conversation", "sender", "recipient", "service"):
            said, signed = getattr(line, name), getattr(header, name)
            if said != signed:
                raise BundleError(
                    "bundle.contradiction", f"{name}: the index says {said}, signed is {signed}"
                )
        self._check_selected(header.purpose.case if header.purpose else None)
        self._facts |= {
            "sender": header.sender,
            "recipient": header.recipient,
            "service": str(header.service),
        }
        return f"{header.id} from {header.sender} to {header.recipient}"

    def _check_selected(self, case: str | None) -> None:
        """Refuse an exchange that is not what the bundle says was asked for."""
        line, wanted = self._line, self._evidence.index.selection
        received = format_instant(line.received_at)
        party = wanted.get("party")
        is_selected = (
            wanted.get("message", line.id) == line.id
            and wanted.get("conversation", line.conversation) == line.conversation
            and ("case" not in wanted or _spelled(wanted["case"]) == _spelled(case))
            # Instants are written in one form, in which their order is that of the texts.
            and (wanted.get("since") or "") <= received
            and (wanted.get("until") is None or received < str(wanted["until"]))
            and party in {None, line.sender, line.recipient}
        )
        if not is_selected:
            raise BundleError("bundle.contradiction", "it is not what the bundle says was selected")

    def _check_bound(self) -> str:
        """Hold the answer to the request; the hub answers with a fault where the department does not."""
        request, answer = self._envelope("request"), self._envelope("answer")
        if answer.header.kind is Kind.RECEIPT:
            said = require_department_receipt(answer, request, answerer=_answerer(answer, request))
            return f"{said.status}, says {answer.header.sender} of manifest SHA-256 {request.manifest_sha256}"
        if answer.header.kind not in {Kind.RESPONSE, Kind.FAULT}:
            raise ExchangeError("exchange.answer_not_bound", f"a {answer.header.kind} is no answer")
        of_hub = (
            answer.header.kind is Kind.FAULT and answer.header.sender == self._evidence.index.hub.subsystem
        )
        _require_bound(answer, request, by=self._evidence.index.hub.subsystem if of_hub else None)
        return f"{answer.header.kind} {answer.header.id} answers manifest SHA-256 {request.manifest_sha256}"

    def _check_receipt(self) -> str:
        request, envelope = self._envelope("request"), self._envelope("receipt")
        if envelope.header.kind is not Kind.RECEIPT:
            raise ExchangeError("exchange.answer_not_bound", f"a {envelope.header.kind} is no receipt")
        _require_bound(envelope, request, by=self._evidence.index.hub.subsystem)
        receipt = read_receipt(envelope)
        self._receipt = receipt
        if receipt.message != refer_to(request):
            raise ExchangeError("exchange.answer_not_bound", "the receipt is about another request")
        has_answer = "answer" in self._examined
        if (receipt.answer is not None) != has_answer:
            raise ExchangeError("exchange.answer_not_bound", "one of receipt and bundle knows no answer")
        if has_answer and receipt.answer != refer_to(self._envelope("answer")):
            raise ExchangeError("exchange.answer_not_bound", "the receipt is about another answer")
        self._facts |= {"receipt_status": receipt.status.value, "receipt_at": format_instant(receipt.at)}
        return f"{receipt.status}: {', '.join(self._digests().values())}"

    def _digests(self) -> dict[str, str]:
        """Return the digests of the containers as they passed the hub, by part."""
        return {
            part: examined.envelope.container_sha256
            for part, examined in self._examined.items()
            if examined.envelope is not None
        }

    def _check_entry(self, line: EntryLine) -> str:
        leaf = self._evidence.files.read(line.leaf)
        self._leaves[line.index] = leaf
        entry = Entry.from_bytes(leaf)
        part = next((each for each in ("answer", "request") if entry.message_id == self._id_of(each)), None)
        if part is None:
            raise BundleError("bundle.contradiction", f"the entry is about message {entry.message_id}")
        envelope = self._envelope(part)
        is_same = entry.container_sha256 == envelope.container_sha256
        if is_same:
            header = envelope.header
            for name, signed in (
                ("manifest_sha256", envelope.manifest_sha256),
                ("sender", header.sender),
                ("recipient", header.recipient),
                ("service", header.service),
            ):
                if getattr(entry, name) != signed:
                    detail = f"{name}: the log says {getattr(entry, name)}, signed is {signed}"
                    raise BundleError("bundle.contradiction", detail)
        elif entry.event not in {EntryEvent.REFUSED, EntryEvent.DUPLICATE}:
            detail = f"the entry is about container {entry.container_sha256}, which is not here"
            raise BundleError("bundle.contradiction", detail)
        self._entries[line.index] = entry
        about = part if is_same else "another container that bore the same id"
        return f"{entry.event} at {format_instant(entry.at)}, about the {about}"

    def _id_of(self, part: str) -> str | None:
        examined = self._examined.get(part)
        return examined.envelope.header.id if examined and examined.envelope else None

    def _check_proof(self, line: EntryLine) -> str:
        evidence = self._evidence
        if line.proof is None:
            path = line.leaf.removesuffix(".json") + ".tlog-proof"
            raise BundleError("bundle.file_missing", evidence.files.why_missing(path))
        leaf = self._leaves.get(line.index) or evidence.files.read(line.leaf)
        text = read_text(evidence.files.read(line.proof), line.proof)
        proof = ProofFile.decode(text)
        if proof.extra is not None or proof.encode() != text:
            raise BundleError("bundle.contradiction", "the proof holds more than a proof")
        if proof.index != line.index:
            raise BundleError("bundle.contradiction", f"the proof is for entry {proof.index}")
        if not evidence.checkpoint or not proof.checkpoint.startswith(evidence.checkpoint):
            raise BundleError("bundle.contradiction", "the proof is for another checkpoint than the bundle's")
        found = require_policy(evidence.policy).open(proof.checkpoint).checkpoint
        verify_inclusion(leaf_hash(leaf), proof.index, found.size, proof.path, found.root)
        return f"entry {proof.index} of {found.size} in {found.origin}"

    def _check_logged(self) -> str:
        receipt = known(self._receipt)
        log = receipt.log
        if log is None:
            raise BundleError("bundle.contradiction", "it names no log entry, and is said to be the hub's")
        entry = self._entries.get(log.index)
        if entry is None:
            raise BundleError("bundle.contradiction", f"it names entry {log.index}, which is not here")
        if log.leaf_sha256 != leaf_hash(self._leaves[log.index]).hex():
            raise BundleError("bundle.contradiction", f"it names another leaf than that of entry {log.index}")
        if log.origin != self._evidence.index.hub.log_origin:
            raise BundleError("bundle.contradiction", f"it names the log {log.origin}")
        if receipt.at != entry.at:
            raise BundleError("bundle.contradiction", f"entry {log.index} is of {format_instant(entry.at)}")
        ends = _ENDS.get(receipt.status, frozenset())
        part = "answer" if entry.event in _ENDS[ReceiptStatus.PROCESSED] else "request"
        if entry.event not in ends or entry.container_sha256 != self._digests().get(part):
            raise BundleError(
                "bundle.contradiction", f"{receipt.status}, but entry {log.index} is {entry.event}"
            )
        if entry.code != receipt.code:
            raise BundleError(
                "bundle.contradiction", f"it says {receipt.code}, entry {log.index} {entry.code}"
            )
        return f"entry {log.index} of {log.origin}: {entry.event}"

    def _check_state(self) -> str:
        line, receipt = self._line, self._receipt
        digests = self._digests()
        logged = {(entry.event, entry.container_sha256) for entry in self._entries.values()}
        if line.state not in {"processed", "refused"} or receipt is None:
            raise BundleError(
                "bundle.contradiction", f"the exchange is {line.state}, and has no final receipt"
            )
        if line.state != receipt.status.value or line.code != receipt.code:
            detail = f"the index says {line.state} {line.code}, the receipt {receipt.status} {receipt.code}"
            raise BundleError("bundle.contradiction", detail)
        if line.concluded_at != receipt.at:
            raise BundleError("bundle.contradiction", f"the receipt is of {format_instant(receipt.at)}")
        if receipt.status is ReceiptStatus.PROCESSED:
            is_receipt = self._envelope("answer").header.kind is Kind.RECEIPT
            logged_as = EntryEvent.DELIVERED if is_receipt else EntryEvent.ANSWERED
            needed = {(EntryEvent.ACCEPTED, digests["request"]), (logged_as, digests["answer"])}
            with_what = self._what_processed()
            if with_what is None or not needed <= logged:
                raise BundleError("bundle.contradiction", "processed needs an answer, and two log entries")
            return f"processed: accepted and answered in the log, with {with_what} and a receipt"
        ended = {(event, digests["request"]) for event in (EntryEvent.REFUSED, EntryEvent.FAILED)}
        fault = read_fault(self._envelope("answer"))
        if not ended & logged or fault.code != receipt.code:
            raise BundleError(
                "bundle.contradiction", "refused needs a fault of the same code, and a log entry"
            )
        return f"refused: {fault.code}, in the log, the fault and the receipt"

    def _what_processed(self) -> str | None:
        """Say what shows that a department has worked on the request; None where nothing does."""
        answer = self._envelope("answer")
        if answer.header.kind is Kind.RECEIPT:
            request = self._envelope("request")
            status = require_department_receipt(answer, request, answerer=_answerer(answer, request)).status
            return "the department's receipt" if status is ReceiptStatus.PROCESSED else None
        return "a response" if answer.header.kind is Kind.RESPONSE else None

    def _check_times(self) -> str:
        request, answer, receipt = (self._envelope(part).header for part in PARTS)
        begun = [entry.at for entry in self._entries.values()]
        steps = [
            ("the request was signed", request.sent_at),
            ("the hub had received it", self._line.received_at),
            ("the log's first entry", min(begun, default=self._line.received_at)),
            ("the answer was signed", answer.sent_at),
            ("the receipt was signed", receipt.sent_at),
            ("the bundle was made", self._evidence.index.created_at),
        ]
        if answer.kind is Kind.FAULT:
            # The hub's fault, and what it logs about it, are of one instant; which comes first says nothing.
            del steps[2]
        for (earlier, before), (later, after) in pairwise(steps):
            if after < before - _CLOCK_SKEW:
                detail = f"{later} at {format_instant(after)}, {earlier} at {format_instant(before)}"
                raise BundleError("bundle.contradiction", detail)
        if self._line.received_at >= request.expires_at and self._line.state == "processed":
            raise BundleError("bundle.contradiction", "the request had expired when the hub received it")
        return "; ".join(f"{name} at {format_instant(at)}" for name, at in steps)


def _spelled(case: str | None) -> str | None:
    """Write a case number as numbers are compared: no white space, upper case, compatibility forms as one."""
    return None if case is None else "".join(unicodedata.normalize("NFKC", case).split()).upper()


_ENDS = {
    ReceiptStatus.PROCESSED: frozenset({EntryEvent.ANSWERED, EntryEvent.DELIVERED}),
    ReceiptStatus.REFUSED: frozenset({EntryEvent.REFUSED, EntryEvent.FAILED}),
}


def _answerer(answer: Envelope, request: Envelope) -> SubsystemId | None:
    """Return who may answer: an event any subscriber, whom the hub has chosen; a request its recipient."""
    return answer.header.sender if request.header.kind is Kind.EVENT else None


def _require_bound(answer: Envelope, request: Envelope, *, by: str | None) -> None:
    """Hold an answer to its request as on the wire; what the hub says comes from the hub instead.

    Raises:
        ExchangeError: `exchange.answer_not_bound`, naming the field that differs.
    """
    got, asked = answer.header, request.header
    if by is None:
        require_binding(answer, request)
        return
    if got.in_reply_to != request.as_in_reply_to():
        raise ExchangeError("exchange.answer_not_bound", "in_reply_to")
    expected = (by, asked.sender, asked.conversation, asked.service, asked.contract)
    if (got.sender, got.recipient, got.conversation, got.service, got.contract) != expected:
        raise ExchangeError(
            "exchange.answer_not_bound", "sender, recipient, conversation, service or contract"
        )
