# SPDX-License-Identifier: Apache-2.0
"""Who signs: the certificates, the key, and what all signatures of one signer have in common."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from hub.envelope import cms
from hub.errors import EnvelopeError
from hub.trust import ANY_ALGORITHM, Signed, algorithms_of, public_key_of

if TYPE_CHECKING:
    from cryptography import x509

    from hub.trust import PublicKey, SignatureAlgorithm

_MOST_REMEMBERED = 512
_MOST_BYTES_REMEMBERED = 16 * 1024


@dataclass(frozen=True, slots=True)
class Signer:
    """A signer's certificates, key and algorithm.

    Attributes:
        chain: the signer's certificate first, then the others in the order in which they are bound.
        order: of the ECDSA group, None for other keys.
    """

    chain: tuple[x509.Certificate, ...]
    key: PublicKey
    algorithm: SignatureAlgorithm
    identity: cms.SignerIdentity
    order: int | None

    def with_low_s(self, signature: bytes) -> bytes:
        """Return an ECDSA signature with the lower of its two valid s values; others as they are.

        Source: SEC 1 version 2 section 4.1.4 (both s and n - s verify).
        """
        if self.order is None:
            return signature
        r, s = decode_dss_signature(signature)
        return signature if s <= self.order // 2 else encode_dss_signature(r, self.order - s)


def signer_of(chain: tuple[x509.Certificate, ...], algorithm: SignatureAlgorithm) -> Signer:
    """Return the signer whose certificate is the first of `chain`, signing with an algorithm of its key.

    Raises:
        EnvelopeError: `algorithm_not_allowed` or `signature_malformed`.
    """
    key = public_key_of(chain[0])
    if key is None:
        raise EnvelopeError("envelope.algorithm_not_allowed", "the certificate's key is unknown")
    try:
        identity = cms.identify_signer(chain, algorithm)
    except ValueError as error:
        raise EnvelopeError(
            "envelope.signature_malformed", "the certificate's issuer is unreadable"
        ) from error
    order = key.curve.group_order if isinstance(key, ec.EllipticCurvePublicKey) else None
    return Signer(chain, key, algorithm, identity, order)


@lru_cache(maxsize=64)
def own_signer(chain: tuple[x509.Certificate, ...], algorithm: SignatureAlgorithm) -> Signer:
    """Return the signer of a key this process holds.

    Raises:
        EnvelopeError: `algorithm_not_allowed`.
    """
    if algorithm not in algorithms_of(chain[0], ANY_ALGORITHM) or Signed.ENVELOPE not in algorithm.signs:
        raise EnvelopeError("envelope.algorithm_not_allowed", f"{algorithm.name} with the certificate's key")
    return signer_of(chain, algorithm)


class SignerMemory:
    """The signers met last, found again by the certificates in a signature, byte for byte.

    What is found is only a guess that saves decoding: the caller still compares the whole signature.
    """

    def __init__(self) -> None:
        self._signers: OrderedDict[bytes, Signer] = OrderedDict()
        self._lock = Lock()

    def recall(self, signature: bytes) -> Signer | None:
        """Return the signer whose signatures begin like this one."""
        return self._signers.get(cms.cut_before_signer_infos(signature))

    def remember(self, signer: Signer) -> None:
        """Keep a signer whose signature held; the one kept longest gives way."""
        key = signer.identity.before_signer_infos
        if len(key) > _MOST_BYTES_REMEMBERED:
            return
        with self._lock:
            self._signers[key] = signer
            while len(self._signers) > _MOST_REMEMBERED:
                self._signers.popitem(last=False)
