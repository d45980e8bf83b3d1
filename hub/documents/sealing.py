# SPDX-License-Identifier: Apache-2.0
"""Sealing a PDF as PAdES B-LTA with the key of the issuing department.

    1  the seal's certificate holds now: trust list, use, revocation
    2  signature over the document, with a signature timestamp           PAdES B-T
    3  the time-stamping authority's certificate held then
    4  both chains and their revocation answers go into the document     PAdES B-LT (DSS)
    5  a document timestamp covers everything                            PAdES B-LTA
    6  the result is verified as a stranger would; only then it is given out

Source: ETSI EN 319 142-1 clause 6 (baseline profiles), clause 5.4 (DSS, document time-stamp).
"""

from __future__ import annotations

import asyncio
import io
import threading
from typing import TYPE_CHECKING

from asn1crypto import crl, ocsp
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.layout import AxisAlignment, Margins, SimpleBoxLayoutRule
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, PdfTimeStamper
from pyhanko.sign.timestamps import TimestampRequestError
from pyhanko.sign.validation import DocumentSecurityStore
from pyhanko.stamp import StaticStampStyle

from hub.clock import Clock, SystemClock
from hub.documents.signer import (
    SealPage,
    SealSigner,
    SealTimeStamper,
    UnchangedMetadataWriter,
    to_asn1,
)
from hub.documents.typesetting import SEAL_SQUARE, Square, typeset_seal
from hub.documents.verification import verify_document
from hub.errors import DocumentError, TrustError
from hub.trust import (
    AnswerKind,
    TimeStampAuthority,
    TimeStampClient,
    TrustLists,
    Use,
    ValidatedPath,
    Validator,
    listed_authorities,
    member_of_certificate,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx2

    from hub.trust import RevocationSource, SigningKey

FIELD = "Seal"
"""Name of the seal's signature field."""

_ARCHIVE_FIELD = "ArchiveTimestamp"
# The last three are how pyHanko meets a time-stamp answer with another nonce, or one that lacks a field.
_PYHANKO_REFUSALS = (
    SigningError,
    TimestampRequestError,
    PdfError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)

_OPACITY = 0.85
"""As of ink: what lies under the seal stays legible."""

_FILL_SQUARE = SimpleBoxLayoutRule(
    x_align=AxisAlignment.ALIGN_MID, y_align=AxisAlignment.ALIGN_MID, margins=Margins(0, 0, 0, 0)
)


class DocumentSealer:
    """Seals documents for one department. Safe to use from several threads; one document at a time.

    Args:
        key: the department's seal key; it stays with its holder.
        trust_lists: who is approved; the finished document is verified against it alone.
        revocation: where the answers come from that are laid into the document.
        time_stamp_urls: time-stamping authorities (RFC 3161 over HTTP) in the order in which they are asked;
            none means those of the trust list. The trust list has to approve each of them either way.
        notice: printed inside the drawn seal, such as that this is a demonstration.
        square: where on the last page the seal is drawn.
        client: carries the requests for time stamps.
        clock: says when a document is sealed.

    Raises:
        DocumentError: `document.seal_failed` when the key cannot seal; `document.font_missing`.
        TrustError: `trust.wrong_member` when the seal's certificate names no member.
    """

    def __init__(  # noqa: PLR0913 (its dependencies, and four named choices)
        self,
        key: SigningKey,
        trust_lists: TrustLists,
        revocation: RevocationSource,
        time_stamp_urls: Sequence[str] = (),
        *,
        notice: str | None = None,
        square: Square = SEAL_SQUARE,
        client: httpx2.Client | None = None,
        clock: Clock | None = None,
    ) -> None:
        leaf = key.certificate_chain[0]
        names = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if len(names) != 1:
            raise DocumentError("document.seal_failed", "the seal's certificate names no organization")
        self._key = key
        self._trust_lists = trust_lists
        self._validator = Validator(trust_lists, revocation)
        self._signer = SealSigner(key.snapshot())
        self._name = str(names[0].value)
        self._page = typeset_seal(self._name, member_of_certificate(leaf), notice=notice)
        self._square = square
        self._clock = clock or SystemClock()
        authorities = [TimeStampAuthority(url, url) for url in time_stamp_urls]
        self._client = TimeStampClient(
            authorities or listed_authorities(trust_lists), self._validator, self._clock, client=client
        )
        self._time_stamps = SealTimeStamper(self._client)
        self._lock = threading.Lock()

    def seal(self, pdf: bytes, *, reason: str | None = None, location: str | None = None) -> bytes:
        """Seal a document that is not signed yet.

        Args:
            pdf: as typeset; PDF/A stays PDF/A.
            reason: why it is sealed, shown by readers.
            location: where, shown by readers.

        Raises:
            DocumentError: `document.seal_failed` with the reason; nothing is given out half-sealed.

        Source: ETSI EN 319 142-1 clause 6.3.
        """
        with self._lock:
            try:
                return self._seal_once(pdf, reason, location)
            except DocumentError:
                # One authority stamps all of a document: its answers about revocation lie in it, and room was
                # left for its tokens. The one that failed on the way is asked last now.
                if not self._time_stamps.has_changed_authority:
                    raise
                self._time_stamps.start_over()
                return self._seal_once(pdf, reason, location)

    def _seal_once(self, pdf: bytes, reason: str | None, location: str | None) -> bytes:
        now = self._clock.now()
        try:
            # One key from the check to the signature, whatever a ring of keys switches to meanwhile.
            key = self._key.snapshot()
            if key is not self._signer.key:
                self._signer = SealSigner(key)
            path = self._validator.validate(key.certificate_chain, use=Use.SEAL, at=now)
            signed = self._sign(pdf, reason, location)
            sealed = self._archive(signed, (path, self._time_stamps.paths[-1]))
        except TrustError as exc:
            raise DocumentError("document.seal_failed", f"{exc.code}: {exc.detail}") from exc
        except _PYHANKO_REFUSALS as exc:
            # pyHanko's messages speak of structures, never of content.
            raise DocumentError("document.seal_failed", f"{type(exc).__name__}: {exc}") from exc
        report = verify_document(sealed, self._trust_lists, at=self._clock.now())
        if not report.is_valid:
            failed = "; ".join(f"{step.code}: {step.reason}" for step in report.steps if not step.is_passed)
            raise DocumentError("document.seal_failed", f"the sealed document does not verify: {failed}")
        self._time_stamps.finish()
        return sealed

    def close(self) -> None:
        """Close the connections to the time-stamping authorities."""
        self._client.close()

    def _sign(self, pdf: bytes, reason: str | None, location: str | None) -> bytes:
        """Write the signature with its timestamp, and draw the seal."""
        writer = UnchangedMetadataWriter(io.BytesIO(pdf))
        if writer.prev.embedded_signatures:
            raise DocumentError("document.seal_failed", "the document is signed already")
        style = StaticStampStyle(
            border_width=0,
            background=SealPage(self._page),
            background_layout=_FILL_SQUARE,
            background_opacity=_OPACITY,
        )
        signer = PdfSigner(
            PdfSignatureMetadata(
                field_name=FIELD,
                md_algorithm=self._signer.digest_algorithm,
                subfilter=SigSeedSubFilter.PADES,
                certify=True,
                docmdp_permissions=MDPPerm.NO_CHANGES,
                name=self._name,
                reason=reason,
                location=location,
            ),
            self._signer,
            timestamper=self._time_stamps,
            stamp_style=style,
            new_field_spec=SigFieldSpec(
                FIELD, on_page=-1, box=self._square.box, readable_field_name="电子印章"
            ),
        )
        signed: io.BytesIO = asyncio.run(signer.async_sign_pdf(writer))
        return signed.getvalue()

    def _archive(self, signed: bytes, paths: tuple[ValidatedPath, ...]) -> bytes:
        """Add what a verifier needs later, then a timestamp over everything."""
        writer = UnchangedMetadataWriter(io.BytesIO(signed))
        answers = {answer.der: answer.kind for path in paths for answer in path.revocation}
        DocumentSecurityStore.supply_dss_in_writer(
            writer,
            None,
            certs=[
                to_asn1(each) for each in dict.fromkeys(each for path in paths for each in path.path[:-1])
            ],
            ocsps=[ocsp.OCSPResponse.load(der) for der, kind in answers.items() if kind is AnswerKind.OCSP],
            crls=[crl.CertificateList.load(der) for der, kind in answers.items() if kind is AnswerKind.CRL],
        )
        stamper = PdfTimeStamper(self._time_stamps, field_name=_ARCHIVE_FIELD)
        stamped: io.BytesIO = asyncio.run(stamper.async_timestamp_pdf(writer, "sha256"))
        return stamped.getvalue()
