# SPDX-License-Identifier: Apache-2.0
"""What pyHanko needs to sign: our keys, our time-stamping client, and a page as the seal's appearance.

pyHanko is asynchronous; this slice runs its coroutines to their end, each in an event loop of its own. So
call sealing and verifying from a plain thread, never from a coroutine.

Source: RFC 3161 section 3.4 (time stamps over HTTP).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import asn1crypto.x509
import httpx2
from asn1crypto import algos, cms, tsp
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
    from hub.trust import SigningKey

_MOST_TOKEN_BYTES = 256 * 1024
_LONGEST_SIGNATURE = 512
_REPLY = "application/timestamp-reply"


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


class TimeStampClient(TimeStamper):
    """Asks a time-stamping authority over HTTP.

    Args:
        url: of the authority.
        client: carries the requests; shared and thread-safe.
    """

    def __init__(self, url: str, client: httpx2.Client) -> None:
        # pyHanko does not annotate this constructor.
        base: Any = super()
        base.__init__()
        self._url = url
        self._client = client

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        """Send one request.

        Raises:
            DocumentError: `document.seal_failed` when the authority cannot be reached or answers otherwise.
        """
        headers = {"Content-Type": "application/timestamp-query", "Accept": _REPLY}
        try:
            response = self._client.post(self._url, content=req.dump(), headers=headers)
        except httpx2.HTTPError as exc:
            detail = f"the time-stamping authority cannot be reached ({type(exc).__name__})"
            raise DocumentError("document.seal_failed", detail) from exc
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if response.status_code != httpx2.codes.OK or kind != _REPLY:
            detail = f"the time-stamping authority answered {response.status_code} with {kind or 'no type'}"
            raise DocumentError("document.seal_failed", detail)
        if len(response.content) > _MOST_TOKEN_BYTES:
            raise DocumentError("document.seal_failed", "the time-stamping authority's answer is too long")
        return tsp.TimeStampResp.load(response.content, strict=True)


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


def token_chain(token: cms.SignedData) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a time-stamp token, its signer's first.

    Raises:
        DocumentError: `document.timestamp_invalid` when the signer's is not among them.
    """
    signer = token["signer_infos"][0]["sid"].chosen
    certificates = [choice.chosen for choice in token["certificates"]]
    wanted = (signer["issuer"], signer["serial_number"].native)
    is_signers = [(each.issuer, each.serial_number) == wanted for each in certificates]
    if is_signers.count(True) != 1:
        raise DocumentError("document.timestamp_invalid", "the token does not hold its signer's certificate")
    first = is_signers.index(True)
    ordered = [certificates[first], *certificates[:first], *certificates[first + 1 :]]
    return tuple(from_asn1(each) for each in ordered)
