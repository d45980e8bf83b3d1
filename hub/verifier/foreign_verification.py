# SPDX-License-Identifier: Apache-2.0
"""Verifying an ASiC-E container of another producer offline, step by step.

A container is protected by signatures, by evidence records (RFC 4998), or by both. Time stamps and evidence
records in XML are named but not evaluated, and a container with one is never called valid: nothing counts as
passed that was not checked.

Source: ETSI EN 319 162-1 clause 4.4 (ASiC-E with CAdES or time assertions) and annex A.7.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.envelope import CONTAINER_MEDIA_TYPE
from hub.errors import EnvelopeError, ExchangeError
from hub.preservation import RecordVerification, digest_of
from hub.trust import VerificationReport, describe
from hub.verifier.foreign import Manifest, ProofKind, read_manifests, unpack
from hub.verifier.foreign_signature import verify_foreign_cades
from hub.verifier.steps import DependentSteps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub.envelope import Signature
    from hub.verifier.certificates import SignerCertificate, SignerJudgement

_CLOCK_SKEW = timedelta(seconds=60)
# Lists of files in the manner of OpenDocument; they protect nothing.
_UNSIGNED_LISTS = frozenset({"META-INF/manifest.xml", "META-INF/container.xml"})

ZIP = "ZIP form of a foreign container"
MIMETYPE = "Kind of container"
MANIFESTS = "ASiC manifests"
DIGESTS = "Digests of the files the manifests name"
COVERAGE = "Every file is covered by a signature or an evidence record"
SIGNATURE = "Signature of a manifest"
PATH = "Certificate path and usage of the signer"
REVOCATION = "Signer not revoked when signing"
RECORD = "Evidence record"
NOT_EVALUATED = "Present, not evaluated"


def verify_foreign_container(
    raw: bytes, certificate: SignerCertificate, *, at: datetime, subject: str
) -> VerificationReport:
    """Verify an ASiC-E container whose ZIP is not of our canonical form.

    Args:
        raw: the container.
        certificate: judges the signers' certificates, by who was approved when they signed.
        at: UTC; the instant of verification. Nothing may have been signed after it.
        subject: names the container in the report.
    """
    return _Verification(raw, certificate, at).report(subject)


class _Verification:
    def __init__(self, raw: bytes, certificate: SignerCertificate, at: datetime) -> None:
        self._raw = raw
        self._certificate = certificate
        self._at = at
        self._members: Mapping[str, bytes] = {}
        self._manifests: tuple[Manifest, ...] = ()
        self._signatures: dict[str, Signature] = {}
        self._judgements: dict[str, SignerJudgement] = {}
        self._facts: dict[str, str] = {}

    def report(self, subject: str) -> VerificationReport:
        """Carry out every step; each signature has three of its own."""
        steps = DependentSteps()
        steps.run(ZIP, "envelope.not_a_zip", self._unpack)
        steps.run(MIMETYPE, "envelope.mimetype_invalid", self._check_mimetype, needs=(ZIP,))
        steps.run(MANIFESTS, "envelope.manifest_invalid", self._read_manifests, needs=(ZIP,))
        steps.run(DIGESTS, "envelope.payload_mismatch", self._check_digests, needs=(MANIFESTS,))
        steps.run(COVERAGE, "envelope.member_unexpected", self._check_coverage, needs=(MANIFESTS,))
        signed = [each for each in self._manifests if each.kind is ProofKind.SIGNATURE]
        recorded = [each for each in self._manifests if _has_record(each)]
        if not signed and not recorded:
            steps.run(SIGNATURE, "envelope.signature_invalid", self._refuse_unsigned, needs=(MANIFESTS,))
        for manifest in signed:
            self._run_signature(steps, manifest)
        for manifest in recorded:
            self._run_record(steps, manifest)
        for name in self._not_evaluated():
            steps.run(f"{NOT_EVALUATED}: {name}", "envelope.not_evaluated", self._refuse_not_evaluated)
        return VerificationReport(
            subject, "foreign container", steps.steps, MappingProxyType(dict(self._facts))
        )

    def _run_signature(self, steps: DependentSteps, manifest: Manifest) -> None:
        signature, path, revocation = (f"{name}: {manifest.name}" for name in (SIGNATURE, PATH, REVOCATION))
        name = manifest.name
        steps.run(signature, "envelope.signature_invalid", lambda: self._check_signature(manifest))
        steps.run(path, "trust.path_invalid", lambda: self._check_path(name), needs=(signature,))
        steps.run(revocation, "trust.revocation_unknown", lambda: self._check_revocation(name), needs=(path,))

    def _run_record(self, steps: DependentSteps, manifest: Manifest) -> None:
        """Let the record of a manifest be checked as RFC 4998 says, for the files the manifest names."""
        found = f"{RECORD}: {manifest.proof}"
        steps.run(found, "envelope.member_missing", lambda: self._find_record(manifest))
        contents = [self._members.get(reference.name, b"") for reference in manifest.references]
        verification = RecordVerification(
            self._members.get(manifest.proof, b""),
            lambda digest: [digest_of(digest, content) for content in contents],
            self._certificate.time_stamps,
            at=self._at,
            stated=frozenset(reference.digest for reference in manifest.references),
        )
        for step in verification.steps(f": {manifest.proof}"):
            steps.run(step.name, step.code, step.check, needs=(found, DIGESTS, *step.needs))

    def _find_record(self, manifest: Manifest) -> str:
        if manifest.proof not in self._members:
            raise EnvelopeError("envelope.member_missing", manifest.proof)
        return f"over the {len(manifest.references)} files that {manifest.name} names"

    def _unpack(self) -> str:
        self._members = unpack(self._raw)
        return f"{len(self._raw)} bytes, {len(self._members)} members"

    def _check_mimetype(self) -> str:
        """The member may be left out where the file's name tells (EN 319 162-1 clause 4.4 and annex A.1)."""
        stated = self._members.get("mimetype")
        if stated is None:
            return "no mimetype member, as the standard allows"
        if stated != CONTAINER_MEDIA_TYPE.encode("ascii"):
            raise EnvelopeError("envelope.mimetype_invalid", repr(stated[:80]))
        return CONTAINER_MEDIA_TYPE

    def _read_manifests(self) -> str:
        self._manifests = read_manifests(self._members)
        proofs = [manifest.proof for manifest in self._manifests]
        if len(set(proofs)) != len(proofs):
            raise EnvelopeError("envelope.manifest_invalid", "two manifests name the same proof")
        return ", ".join(f"{each.name} (by {each.kind} {each.proof})" for each in self._manifests)

    def _check_digests(self) -> str:
        count = 0
        for manifest in self._manifests:
            for reference in manifest.references:
                content = self._members.get(reference.name)
                if content is None:
                    detail = f"{reference.name}, named by {manifest.name}"
                    raise EnvelopeError("envelope.member_missing", detail)
                if hashlib.new(reference.digest, content).digest() != reference.value:
                    detail = f"{reference.name} has not the digest {manifest.name} states"
                    raise EnvelopeError("envelope.payload_mismatch", detail)
                count += 1
        return f"{count} references hold"

    def _check_coverage(self) -> str:
        """Report files that nothing here protects: anybody could have put them there."""
        proving = [each for each in self._manifests if each.kind is ProofKind.SIGNATURE or _has_record(each)]
        covered = {reference.name for manifest in proving for reference in manifest.references}
        accounted = covered | {name for each in self._manifests for name in (each.name, each.proof)}
        accounted |= _UNSIGNED_LISTS | {"mimetype"}
        stray = sorted(set(self._members) - accounted)
        if stray:
            raise EnvelopeError("envelope.member_unexpected", f"not covered: {', '.join(stray)}"[:500])
        return f"{len(covered)} files, nothing beside them"

    def _refuse_unsigned(self) -> str:
        raise EnvelopeError("envelope.member_missing", "no manifest is signed or has an evidence record")

    def _check_signature(self, manifest: Manifest) -> str:
        if manifest.proof not in self._members:
            raise EnvelopeError("envelope.member_missing", manifest.proof)
        signature = verify_foreign_cades(
            self._members[manifest.proof], self._members[manifest.name], self._certificate.algorithms
        )
        self._signatures[manifest.name] = signature
        self._facts[f"{manifest.proof} signed_by"] = describe(signature.chain[0])
        self._facts[f"{manifest.proof} signed_at"] = format_instant(signature.signed_at)
        return f"{signature.algorithm}, by {describe(signature.chain[0])}"

    def _check_path(self, manifest: str) -> str:
        signature = self._signatures[manifest]
        if signature.signed_at > self._at + _CLOCK_SKEW:
            raise ExchangeError(
                "exchange.from_the_future", f"signed at {format_instant(signature.signed_at)}"
            )
        judgement = self._certificate.judge(signature.chain, signature.signed_at)
        self._judgements[manifest] = judgement
        return f"{judgement.path()}, at {format_instant(signature.signed_at)} as the signer says"

    def _check_revocation(self, manifest: str) -> str:
        return self._judgements[manifest].revocation(self._signatures[manifest].signed_at)

    def _not_evaluated(self) -> list[str]:
        return [
            f"{each.kind} {each.proof} over {each.name}"
            for each in self._manifests
            if each.kind is not ProofKind.SIGNATURE and not _has_record(each)
        ]

    def _refuse_not_evaluated(self) -> str:
        raise EnvelopeError("envelope.not_evaluated", "it proves nothing here, for or against")


def _has_record(manifest: Manifest) -> bool:
    """Tell an evidence record in ASN.1 from one in XML, by the names the standard gives them."""
    return manifest.kind is ProofKind.EVIDENCE_RECORD and manifest.proof.endswith(".ers")
