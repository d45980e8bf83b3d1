# SPDX-License-Identifier: Apache-2.0
"""Verifying an evidence bundle offline, wholly: every step is run, and nothing in it stays unaccounted for.

     1  the ZIP, strictly, before anything is unpacked             bundlezip
     2  the index, in its one form                                 bundleindex
     3  the files are those of the index, with its digests
     4  nothing is missing by the hub's own word
     5  the trust lists, under the signer the reader pinned
     6  certificates and revocation answers are what they are called
     7  the checkpoint, signed by the reader's log; its witnesses; its evidence record
     8  each exchange: containers, receipt, log entries, proofs    exchanges
     9  every file was used by a step

Whom to believe comes from the reader alone: who signs the trust list, and the log's policy. What the bundle
says of itself is a claim, and is held to what is signed.

Source: docs/protocols/evidence-bundle.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from hub.clock import format_instant
from hub.errors import BundleError, LogError
from hub.preservation import RecordVerification, digest_of
from hub.tlog import Checkpoint, ProofFile, TrustPolicy, open_note
from hub.trust import USE_POLICIES, HeldRevocation, TrustList, VerificationReport
from hub.verifier.bundleindex import FORMAT, read_index
from hub.verifier.bundlezip import INDEX_NAME, BundleZip
from hub.verifier.certificates import SignerCertificate
from hub.verifier.entries import read_text, require_policy, tell_witnesses
from hub.verifier.exchanges import Evidence, verify_exchange
from hub.verifier.steps import DependentSteps, known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import BinaryIO

    from hub.trust import TrustLists, Use, UsePolicy
    from hub.verifier.bundleindex import BundleIndex

ZIP = "ZIP form of the bundle"
INDEX = "Index of the bundle"
LISTED = "The files are those the index lists"
DIGESTS = "Digests of all files"
COMPLETE = "Nothing is missing"
LISTS = "Trust lists"
CERTIFICATES = "Certificates and revocation answers"
POLICY = "The log's policy, as the hub claims it"
CHECKPOINT = "Checkpoint of the log"
WITNESSES = "Witnesses of the checkpoint"
RECORD = "Evidence record of the checkpoint"
EXCHANGES = "The exchanges that were selected"
ACCOUNTED = "Nothing is in the bundle that no step used"

_FOR_PEOPLE = frozenset({"README.txt", "summary.html", "summary.pdf"})
_FORMS = ({"message"}, {"conversation"}, {"case"}, {"since", "until"})
_MOST_TOLD = 10


class TrustListReader(Protocol):
    """Reads versions of the trust list under the signer the reader pinned; `hub.trustlist` does."""

    def __call__(self, containers: Sequence[bytes]) -> TrustLists:
        """Put them together, the oldest first; raises a TrustError."""
        ...


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Whom the reader believes, from elsewhere than the bundle.

    Attributes:
        read_trust_lists: reads trust lists under the pinned signer.
        policy: the logs and witnesses trusted; without one no checkpoint is believed.
        policies: what envelopes' signatures and certificates are held to.
        hub: the subsystem that must have signed the receipts; None takes the one the bundle names.
        tell_progress: is told how many of how many exchanges are done, if anybody wants to know.
    """

    read_trust_lists: TrustListReader
    policy: TrustPolicy | None
    policies: Mapping[Use, UsePolicy] = field(default_factory=lambda: USE_POLICIES)
    hub: str | None = None
    tell_progress: Callable[[int, int], None] | None = None


def verify_bundle(file: Path | BinaryIO, reader: Reader, *, at: datetime, subject: str) -> VerificationReport:
    """Verify an evidence bundle; its exchanges are sections of the report.

    Args:
        file: where it is, or the bundle itself, seekable.
        reader: whom to believe.
        at: UTC; the instant of verification. Revocation answers published until then are heard.
        subject: names the bundle in the report.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return _Verification(opened, reader, at).report(subject)
    return _Verification(file, reader, at).report(subject)


class _Files:
    """The bundle's files, and which of them a step has used."""

    def __init__(self, opened: BundleZip, index: BundleIndex) -> None:
        self._zip = opened
        self._missing = {line.what: line.why for line in index.missing}
        self.used: set[str] = set()

    def read(self, path: str) -> bytes:
        self.used.add(path)
        return self._zip.read(path)

    def why_missing(self, what: str) -> str:
        why = self._missing.get(what)
        return (
            f"{what}: {why}, says the index"
            if why
            else f"{what}, and the index does not say that it is missing"
        )


class _Verification:
    """One verification; what a step finds, later ones use."""

    def __init__(self, file: BinaryIO, reader: Reader, at: datetime) -> None:
        self._file = file
        self._reader = reader
        self._at = at
        self._zip: BundleZip | None = None
        self._index: BundleIndex | None = None
        self._files: _Files | None = None
        self._trust_lists: TrustLists = TrustList(())
        self._answers = HeldRevocation((), ())
        self._checkpoint = ""
        self._facts: dict[str, str] = {}
        self._sections: list[VerificationReport] = []

    def report(self, subject: str) -> VerificationReport:
        """Carry out every step."""
        steps = DependentSteps()
        steps.run(ZIP, "bundle.unreadable", self._open)
        steps.run(INDEX, "bundle.index_invalid", self._read_index, needs=(ZIP,))
        steps.run(LISTED, "bundle.file_unexpected", self._check_listed, needs=(INDEX,))
        steps.run(DIGESTS, "bundle.file_changed", self._check_digests, needs=(INDEX,))
        steps.run(COMPLETE, "bundle.part_missing", self._check_complete, needs=(INDEX,))
        steps.run(LISTS, "trust.trust_list_invalid", self._read_lists, needs=(INDEX,))
        steps.run(CERTIFICATES, "trust.revocation_unknown", self._read_answers, needs=(INDEX,))
        steps.run(POLICY, "log.policy_invalid", self._read_policy, needs=(INDEX,))
        steps.run(CHECKPOINT, "log.checkpoint_invalid", self._open_checkpoint, needs=(INDEX,))
        steps.run(WITNESSES, "log.not_witnessed", self._check_witnesses, needs=(CHECKPOINT,))
        certificate = self._signer_certificate()
        self._run_record(steps, certificate)
        steps.run(
            EXCHANGES, "bundle.contradiction", lambda: self._verify_exchanges(certificate), needs=(INDEX,)
        )
        steps.run(ACCOUNTED, "bundle.file_unexpected", self._check_accounted, needs=(INDEX,))
        facts = MappingProxyType(self._facts)
        return VerificationReport(subject, "evidence bundle", steps.steps, facts, tuple(self._sections))

    def _signer_certificate(self) -> SignerCertificate:
        return SignerCertificate(self._trust_lists, self._answers, self._reader.policies, judged_at=self._at)

    def _run_record(self, steps: DependentSteps, certificate: SignerCertificate) -> None:
        """Let the checkpoint's evidence record be checked, over one data object: the checkpoint's bytes."""
        record: list[bytes] = []
        steps.run(RECORD, "bundle.file_missing", lambda: self._find_record(record), needs=(CHECKPOINT,))
        verification = RecordVerification(
            record[0] if record else b"",
            lambda digest: [digest_of(digest, self._checkpoint.encode())],
            certificate.time_stamps,
            at=self._at,
        )
        for step in verification.steps(": checkpoint"):
            steps.run(step.name, step.code, step.check, needs=(RECORD, *step.needs))

    def _open(self) -> str:
        self._zip = BundleZip(self._file)
        return f"{len(self._zip.names)} members, {self._zip.size} bytes unpacked, every byte accounted for"

    def _read_index(self) -> str:
        opened = known(self._zip)
        index = read_index(opened.read(INDEX_NAME))
        if index.created_at > self._at:
            raise BundleError("bundle.index_invalid", f"made at {format_instant(index.created_at)}, to come")
        self._index, self._files = index, _Files(opened, index)
        self._facts |= {
            "created_at": format_instant(index.created_at),
            "hub": index.hub.subsystem,
            "log": index.hub.log_origin,
            "selection": ", ".join(f"{name}: {value}" for name, value in index.selection.items() if value),
            "exchanges": str(len(index.messages)),
        }
        return f"{FORMAT}, {len(index.messages)} exchanges, made at {format_instant(index.created_at)}"

    def _check_listed(self) -> str:
        listed, present = set(known(self._index).files), known(self._zip).names - {INDEX_NAME}
        if listed - present:
            raise BundleError("bundle.file_missing", _some(listed - present))
        if present - listed:
            raise BundleError("bundle.file_unexpected", _some(present - listed))
        return f"{len(listed)} files"

    def _check_digests(self) -> str:
        opened, changed = known(self._zip), []
        for path, line in known(self._index).files.items():
            content = opened.read(path) if path in opened.names else b""
            if len(content) != line.bytes or hashlib.sha256(content).hexdigest() != line.sha256:
                changed.append(path)
        if changed:
            raise BundleError("bundle.file_changed", _some(changed))
        return f"SHA-256 and size of {len(known(self._index).files)} files"

    def _check_complete(self) -> str:
        missing = known(self._index).missing
        if missing:
            raise BundleError("bundle.part_missing", _some(f"{line.what} ({line.why})" for line in missing))
        return "the hub says that everything is here"

    def _read_lists(self) -> str:
        index, files = known(self._index), known(self._files)
        for path in index.trust_lists:
            _require_folder(path, "trust/lists/", (".asice",))
        self._trust_lists = self._reader.read_trust_lists([files.read(path) for path in index.trust_lists])
        return f"{len(index.trust_lists)} versions, signed as the reader expects"

    def _read_answers(self) -> str:
        """Read the revocation answers; whether they may be believed is for the steps about certificates."""
        index, files = known(self._index), known(self._files)
        for path in index.certificates:
            _require_folder(path, "trust/certificates/", (".pem",))
            pem = files.read(path)
            certificate = x509.load_pem_x509_certificate(pem)
            _require_named(path, certificate.fingerprint(hashes.SHA256()).hex())
            if certificate.public_bytes(Encoding.PEM) != pem:
                raise BundleError("bundle.file_changed", f"{path} holds more than a certificate")
        answers: dict[str, list[bytes]] = {".ocsp": [], ".crl": []}
        for path in index.revocation:
            _require_folder(path, "trust/revocation/", tuple(answers))
            content = files.read(path)
            _require_named(path, hashlib.sha256(content).hexdigest())
            answers[path[path.rindex(".") :]].append(content)
        held = HeldRevocation(answers[".ocsp"], answers[".crl"])
        self._answers = held
        return (
            f"{len(index.certificates)} certificates, {len(held.ocsp_responses)} OCSP responses,"
            f" {len(held.crls)} revocation lists, each named by its digest"
        )

    def _read_policy(self) -> str:
        """Only the log's key has to be the reader's; witnesses and quorum may be others by now."""
        index = known(self._index)
        claimed = TrustPolicy.decode(known(self._files).read(index.policy))
        trusted = require_policy(self._reader.policy)
        keys = [
            {log.key.encode() for log in each.logs if log.key.name == index.hub.log_origin}
            for each in (claimed, trusted)
        ]
        if not keys[0] & keys[1]:
            raise LogError(
                "log.checkpoint_invalid", "the hub claims another key of the log than the reader's"
            )
        is_same = claimed == trusted
        return "the same as the reader's" if is_same else "another than the reader's, which alone counts"

    def _open_checkpoint(self) -> str:
        index = known(self._index)
        if index.checkpoint is None:
            raise BundleError("bundle.file_missing", known(self._files).why_missing("log/checkpoint.txt"))
        note = read_text(known(self._files).read(index.checkpoint), index.checkpoint)
        logs = require_policy(self._reader.policy).logs
        checkpoint = Checkpoint.from_text(open_note(note, [log.key for log in logs]))
        if checkpoint.origin != index.hub.log_origin:
            raise LogError("log.checkpoint_invalid", f"it is of {checkpoint.origin}")
        checkpoint.require_root()
        self._checkpoint = note
        return f"{checkpoint.origin} of size {checkpoint.size}, signed by the log the reader trusts"

    def _check_witnesses(self) -> str:
        """Open the checkpoint with its cosignatures, which travel in the proofs."""
        files = known(self._files)
        for line in known(self._index).messages:
            for entry in line.entries:
                if entry.proof is not None:
                    proof = ProofFile.decode(read_text(files.read(entry.proof), entry.proof))
                    return tell_witnesses(require_policy(self._reader.policy).open(proof.checkpoint))
        raise LogError("log.not_witnessed", "no proof carries witnesses' signatures")

    def _find_record(self, found: list[bytes]) -> str:
        path = known(self._index).checkpoint_record
        if path is None:
            raise BundleError("bundle.file_missing", known(self._files).why_missing("log/checkpoint.ers"))
        found.append(known(self._files).read(path))
        return f"{len(found[0])} bytes"

    def _verify_exchanges(self, certificate: SignerCertificate) -> str:
        index = known(self._index)
        evidence = Evidence(
            known(self._files), index, certificate, self._reader.policy, self._checkpoint, self._at
        )
        for done, line in enumerate(index.messages, start=1):
            self._sections.append(verify_exchange(line, evidence))
            if self._reader.tell_progress:
                self._reader.tell_progress(done, len(index.messages))
        if self._reader.hub not in {None, index.hub.subsystem}:
            raise BundleError("bundle.contradiction", f"the hub is {index.hub.subsystem}")
        if set(index.selection) - {"party"} not in _FORMS or "party" not in index.selection:
            raise BundleError("bundle.index_invalid", "the selection has not its form")
        if not index.messages:
            # That there was none cannot be proven by a bundle.
            raise BundleError("bundle.file_missing", "no exchange is in the bundle, so it proves nothing")
        failed = [section.subject for section in self._sections if not section.is_valid]
        unknown = evidence.signers - {path.rsplit("/", 1)[-1][:64] for path in index.certificates}
        if unknown:
            raise BundleError("bundle.file_missing", f"certificates of signers: {_some(unknown)}")
        if failed:
            raise BundleError("bundle.part_invalid", f"exchanges that do not hold: {_some(failed)}")
        return f"{len(index.messages)} exchanges hold"

    def _check_accounted(self) -> str:
        """What is for people says nothing: only its digest is checked."""
        stray = known(self._zip).names - {INDEX_NAME} - _FOR_PEOPLE - known(self._files).used
        if stray:
            raise BundleError("bundle.file_unexpected", _some(stray))
        return (
            f"{len(known(self._files).used)} files used; README and summary are for people and prove nothing"
        )


def _require_folder(path: str, folder: str, endings: tuple[str, ...]) -> None:
    if not path.startswith(folder) or not path.endswith(endings):
        raise BundleError("bundle.index_invalid", f"{path} does not belong into {folder}")


def _require_named(path: str, digest: str) -> None:
    if path.rsplit("/", 1)[-1].partition(".")[0] != digest:
        raise BundleError("bundle.file_changed", f"{path} is not named by its digest")


def _some(names: Iterable[str]) -> str:
    """List names for people, not all of very many."""
    found = sorted(names)
    more = f" and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    return ", ".join(found[:_MOST_TOLD]) + more
