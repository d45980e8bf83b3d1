# SPDX-License-Identifier: Apache-2.0
"""What pyHanko needs to sign: our keys, our time-stamping client, and a page as the seal's appearance.

pyHanko is asynchronous; this slice runs its coroutines to their end, each in an event loop of its own. So
call sealing and verifying from a plain thread, never from a coroutine.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import asn1crypto.x509
from asn1crypto import algos, cms
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.content import PdfContent
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.layout import BoxConstraints
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers import Signer
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.registry import CertificateRegistry

from hub.errors import DocumentError
from hub.trust import Signed

if TYPE_CHECKING:
    from hub.trust import SigningKey, TimeStampClient, ValidatedPath

_LONGEST_SIGNATURE = 512


class SealSigner(Signer):
    """Lets pyHanko build a signature whose raw value comes from the key's holder.

    Args:
        key: signs; the key itself is never seen here. A ring of keys is asked for its `snapshot` before.
    """

    def __init__(self, key: SigningKey) -> None:
        algorithm = key.algorithm
        if Signed.SEAL not in algorithm.signs:
            raise DocumentError("document.seal_failed", f"{algorithm.name} signs no seals")
        super().__init__(
            signing_cert=to_asn1(key.certificate_chain[0]),
            cert_registry=CertificateRegistry.build(map(to_asn1, key.certificate_chain)),
            signature_mechanism=algos.SignedDigestAlgorithm.load(algorithm.identifier),
            embed_roots=False,
        )
        self.key = key
        self.digest_algorithm = algorithm.digest

    # The parameters are pyHanko's.
    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:  # noqa: FBT001, FBT002
        """Sign the attributes; a dry run only asks how long a signature is."""
        if dry_run:
            return bytes(_LONGEST_SIGNATURE)
        if digest_algorithm != self.digest_algorithm:
            raise DocumentError(
                "document.seal_failed", f"asked for {digest_algorithm}, which is not the key's"
            )
        return self.key.sign(data)


class SealTimeStamper(TimeStamper):
    """Lets pyHanko have its digests stamped by our client, which has checked every token it returns.

    Args:
        client: asks the authorities.
    """

    def __init__(self, client: TimeStampClient) -> None:
        # pyHanko does not annotate this constructor.
        base: Any = super()
        base.__init__()
        self._client = client
        self.paths: list[ValidatedPath] = []
        """Of the authorities that stamped: first to measure a token, then for this document."""

    @property
    def has_changed_authority(self) -> bool:
        """Whether more than one authority stamped."""
        return len({path.leaf for path in self.paths}) > 1

    def finish(self) -> None:
        """Forget who stamped this document, but not whose tokens were measured."""
        del self.paths[1:]

    def start_over(self) -> None:
        """Forget what was learned of an authority's tokens, above all their length."""
        self.paths.clear()
        self._dummy_response_cache.clear()

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        """Have a digest stamped.

        Raises:
            TrustError: `trust.timestamp_unavailable`.
        """
        stamp = self._client.stamp(message_digest, md_algorithm)
        self.paths.append(stamp.path)
        return cms.ContentInfo.load(stamp.token, strict=True)


class UnchangedMetadataWriter(IncrementalPdfFileWriter):
    """Appends to a PDF and leaves its metadata as typeset.

    pyHanko would write the XMP anew, with prefixes and value forms that PDF/A does not allow.

    Source: ISO 19005-3 clauses 6.6.2.1 and 6.6.2.3.
    """

    def _update_meta(self) -> None:
        """Leave them."""


class SealPage(PdfContent):
    """The first page of a small PDF as the appearance of a signature field.

    An imported page is about four times as fast as a stamp that pyHanko lays out.

    Args:
        pdf: the page, of exactly the seal's size.
    """

    def __init__(self, pdf: bytes) -> None:
        super().__init__()
        self._pdf = pdf

    def render(self) -> bytes:
        """Import the page into the document that is being signed."""
        page = self._ensure_writer.import_page_as_xobject(PdfFileReader(io.BytesIO(self._pdf)))
        self.resources.xobject["/Seal"] = page
        left, bottom, right, top = page.get_object()["/BBox"]
        self.box = BoxConstraints(width=abs(right - left), height=abs(top - bottom))
        return b"/Seal Do"


def to_asn1(certificate: x509.Certificate) -> asn1crypto.x509.Certificate:
    """Turn a certificate into the form pyHanko works with."""
    return asn1crypto.x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def from_asn1(certificate: asn1crypto.x509.Certificate) -> x509.Certificate:
    """Turn pyHanko's form of a certificate back."""
    return x509.load_der_x509_certificate(certificate.dump())
