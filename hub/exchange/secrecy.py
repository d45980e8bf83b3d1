# SPDX-License-Identifier: Apache-2.0
"""What the hub can check of messages it cannot read: that they are encrypted, wholly, to whom they are for.

Whether the content keeps to the contract is checked by the gateway that opens it. A certificate counts as the
recipient's when it is registered for it and not retired; older ones beside the latest count too, so that a
change of certificates refuses nothing that is under way.

Source: docs/protocols/exchange.md section 15; docs/protocols/envelope.md section 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.contracts import Side
from hub.envelope import CertificateName, require_encrypted
from hub.errors import ContractError, EnvelopeError, ExchangeError
from hub.identifiers import member_of

if TYPE_CHECKING:
    from datetime import datetime

    from hub.contracts import Contract
    from hub.envelope import Envelope
    from hub.identifiers import MemberId
    from hub.registry import Registry


def require_secret_request(request: Envelope, contract: Contract, registry: Registry, at: datetime) -> None:
    """Hold a request under an end-to-end contract to being readable by its recipient and nobody else.

    Raises:
        EnvelopeError: `envelope.not_encrypted`, `envelope.encryption_malformed`, `envelope.encryption_moved`.
        ContractError: `contract.request_invalid`: other payloads than agreed on.
        ExchangeError: `exchange.encrypted_for_another`; `exchange.asker_cannot_decrypt`, the answer could not
            be encrypted.
    """
    encrypted = require_encrypted(request)
    contract.check_encrypted(Side.REQUEST, encrypted.sizes)
    _require_known(encrypted.certificate, member_of(request.header.recipient), registry, at)
    asker = member_of(request.header.sender)
    if contract.response and not registry.encryption_certificates(asker, at):
        raise ExchangeError("exchange.asker_cannot_decrypt", f"{asker} has registered none")


def require_secret_answer(answer: Envelope, contract: Contract, registry: Registry, at: datetime) -> None:
    """Hold an answer under an end-to-end contract to being readable by who asked and nobody else.

    Raises:
        ExchangeError: `exchange.answer_not_secret`, the detail says in what.
    """
    try:
        encrypted = require_encrypted(answer)
        contract.check_encrypted(Side.ANSWER, encrypted.sizes)
        _require_known(encrypted.certificate, member_of(answer.header.recipient), registry, at)
    except (EnvelopeError, ContractError, ExchangeError) as error:
        raise ExchangeError("exchange.answer_not_secret", f"{error.code}: {error.detail}") from error


def _require_known(name: CertificateName, member: MemberId, registry: Registry, at: datetime) -> None:
    known = registry.encryption_certificates(member, at)
    if not any(CertificateName.of(entry.x509) == name for entry in known):
        # It may have been registered a moment ago, through another process.
        registry.refresh()
        known = registry.encryption_certificates(member, at)
    if not any(CertificateName.of(entry.x509) == name for entry in known):
        detail = f"serial number {name.serial:x} is not registered for {member}, or retired, or over"
        raise ExchangeError("exchange.encrypted_for_another", detail)
