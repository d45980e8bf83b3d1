# SPDX-License-Identifier: Apache-2.0
"""Reading the trust list, a JSON document; its form stands in certs/README.md."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from cryptography import x509
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from hub.clock import parse_instant
from hub.errors import TrustError
from hub.trust.model import Authority, RevocationPolicy, TrustList, Use

if TYPE_CHECKING:
    from pathlib import Path


def load_trust_list(path: Path) -> TrustList:
    """Read a trust list.

    Raises:
        TrustError: `trust.trust_list_invalid` when it is missing, not of the documented form, names no root,
            or lists a certificate twice.
    """
    try:
        document = _Document.model_validate(json.loads(path.read_bytes()))
        trust_list = TrustList(tuple(_to_authority(row) for row in document.authorities))
    except OSError as exc:
        raise TrustError("trust.trust_list_invalid", f"{path.name} cannot be read") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        where = "/".join(str(part) for part in first["loc"])
        raise TrustError("trust.trust_list_invalid", f"{path.name} at /{where}: {first['msg']}") from exc
    except ValueError as exc:
        raise TrustError("trust.trust_list_invalid", f"{path.name}: {exc}") from exc
    certificates = [row.certificate for row in trust_list.authorities]
    if len(set(certificates)) != len(certificates):
        raise TrustError("trust.trust_list_invalid", f"{path.name} lists a certificate twice")
    if not any(row.is_anchor for row in trust_list.authorities):
        raise TrustError("trust.trust_list_invalid", f"{path.name} names no root (is_anchor)")
    return trust_list


def _instant(value: object) -> object:
    return parse_instant(value) if isinstance(value, str) else value


_Instant = Annotated[datetime, BeforeValidator(_instant)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    certificate: str
    is_anchor: bool
    uses: list[Use]
    approved_from: _Instant
    approved_until: _Instant | None
    revocation: RevocationPolicy


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal["heliograph-trust-list/1"]
    authorities: list[_Row]


def _to_authority(row: _Row) -> Authority:
    try:
        certificate = x509.load_der_x509_certificate(b64decode(row.certificate, validate=True))
    except (binascii.Error, ValueError, x509.InvalidVersion) as exc:
        raise ValueError(f"the certificate of {row.name!r} is not base64 of DER") from exc
    return Authority(
        certificate=certificate,
        is_anchor=row.is_anchor,
        uses=frozenset(row.uses),
        approved_from=row.approved_from,
        approved_until=row.approved_until,
        revocation=row.revocation,
    )
