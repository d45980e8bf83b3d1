# SPDX-License-Identifier: Apache-2.0
"""A time stamp that may be believed: the token holds, and an approved authority gave it.

Source: RFC 3161 section 2.4.2; ETSI EN 319 421 (authorities), EN 319 422 (their tokens).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.trust.model import Use
from hub.trust.refusals import refusal
from hub.trust.tokens import read_token, to_one_form

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from hub.trust.model import ValidatedPath
    from hub.trust.tokens import Token
    from hub.trust.validation import Validator


@dataclass(frozen=True)
class TimeStamp:
    """A time stamp that holds.

    Attributes:
        at: UTC; when the authority saw the digest, by its clock.
        accuracy: how far that may be off, or None where the token does not say.
        path: the authority's validated path, with the revocation answers that were relied on.
        token: the token in DER (ContentInfo), in the one form of `hub.trust.tokens`.
        digest_algorithm: of what was stamped, by its `hashlib` name.
        digest: of what was stamped.
        policy: object identifier of the authority's policy, dotted.
    """

    at: datetime
    accuracy: timedelta | None
    path: ValidatedPath
    token: bytes
    digest_algorithm: str
    digest: bytes
    policy: str


def verify_time_stamp(
    token: bytes,
    digest: bytes | Callable[[str], bytes],
    validator: Validator,
    *,
    judged_at: datetime | None = None,
) -> TimeStamp:
    """Check a time-stamp token and the authority that gave it.

    Args:
        token: in DER, exactly one ContentInfo; see `hub.trust.tokens`.
        digest: of what was stamped, with the token's algorithm; or what returns it by the algorithm's
            `hashlib` name, for who does not know which one the authority used.
        validator: knows the approved authorities and the revocation answers.
        judged_at: UTC; answers about revocation up to this instant may be used. None means the token's time.

    Raises:
        TrustError: `trust.timestamp_invalid`: the token does not hold or belongs to other content; or why the
            authority's certificate is refused as of the token's time.
    """
    read = read_token(token)
    expected = digest if isinstance(digest, bytes) else digest(read.digest_algorithm)
    if read.digest != expected:
        raise refusal("timestamp_imprint", read.certificates[0], read.at)
    stamp = believe_token(read, validator, judged_at=judged_at)
    certificates = read.certificates
    if not set(certificates) <= set(stamp.path.path) or len(set(certificates)) != len(certificates):
        raise refusal("timestamp_certificates", certificates[0], read.at)
    return stamp


def believe_token(token: Token, validator: Validator, *, judged_at: datetime | None = None) -> TimeStamp:
    """Ask whether an approved authority gave a token, and leave out the certificates that need not be there.

    Raises:
        TrustError: why the authority's certificate is refused as of the token's time.
    """
    path = validator.validate(token.certificates, use=Use.TIMESTAMP, at=token.at, judged_at=judged_at)
    der = token.der
    if not set(token.certificates) <= set(path.path):
        der = to_one_form(der, keep=frozenset(path.path))
    return TimeStamp(
        at=token.at,
        accuracy=token.accuracy,
        path=path,
        token=der,
        digest_algorithm=token.digest_algorithm,
        digest=token.digest,
        policy=token.policy,
    )
