# SPDX-License-Identifier: Apache-2.0
"""A gateway's next certificate: registered with the hub by a message, taken into use while requests run.

Source: docs/protocols/registration.md sections 4 and 6.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.hubclient import Question
from hub.alarms import LoggedAlarms
from hub.clock import format_instant, parse_instant
from hub.custody import RollOverState
from hub.envelope import Party, Purpose
from hub.errors import HubError, ReportedFaultError
from hub.identifiers import ContractId, ServiceId, member_of, new_message_id
from hub.trust import ExpiryWatch, Use, WatchedCertificate, latest_certificates, prove_possession

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from adapters.hubclient import HubClient
    from hub.clock import Clock
    from hub.custody import KeyRing, RollOver
    from hub.trust import SigningKey

LOOK_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 300.0

_CONTRACT = ContractId("certificate-registration/v1")
_PURPOSE = Purpose(
    item="own-certificates",
    case="certificate roll-over",
    legal_basis="PR-REG 4",
    official="gateway",
    post="gateway",
)
_SIGNER_IS_OVER = frozenset(
    {"trust.certificate_not_registered", "trust.certificate_expired", "trust.certificate_revoked"}
)
_logger = structlog.get_logger(__name__)


def register_certificate(client: HubClient, key: SigningKey) -> datetime:
    """Have a key's certificate registered by a message; return since when it is.

    The message is signed with the key the client uses. Where the hub refuses that one for good, it is signed
    with the key itself: a gateway that was put back to an old state learns so that its next certificate is
    registered already.

    Raises:
        HubError: the hub refused, or could not be reached.
    """
    try:
        return _register(client, key)
    except ReportedFaultError as error:
        if error.code not in _SIGNER_IS_OVER:
            raise
        return _register(replace(client, party=Party(client.party.subsystem, key)), key)


def _register(client: HubClient, key: SigningKey, use: Use = Use.ENVELOPE) -> datetime:
    message_id = new_message_id(client.clock.now())
    proof = prove_possession(key, member_of(client.party.subsystem), message_id)
    chain = [b64encode(each.public_bytes(Encoding.DER)).decode("ascii") for each in key.certificate_chain]
    answer = client.ask(
        Question(
            service=ServiceId(f"{client.hub_member}/hub/certificates"),
            contract=_CONTRACT,
            data={"use": use.value, "chain": chain, "possession": b64encode(proof).decode("ascii")},
            purpose=_PURPOSE,
            message_id=message_id,
        )
    )
    return parse_instant(answer.data["registered_at"])


def register_encryption_certificate(client: HubClient, key: SigningKey) -> datetime:
    """Have the certificate others encrypt to registered by a message; return since when it is.

    Args:
        client: signs the message with the member's key for envelopes.
        key: the decryption key, which signs nothing but the proof that it is held.

    Raises:
        HubError: the hub refused, or could not be reached.
    """
    return _register(client, key, Use.ENCRYPTION)


@dataclass(frozen=True, kw_only=True)
class EncryptionRegistration:
    """Has the gateway's encryption certificate registered once, trying until the hub has answered.

    Attributes:
        register: does it.
        first_pause_seconds: after the first failure; it doubles up to five minutes.
    """

    register: Callable[[], datetime]
    first_pause_seconds: float = LOOK_SECONDS
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Register, and end; what fails is logged and tried again, ever more slowly."""
        pause_seconds = 0.0
        while not self.stopped.wait(pause_seconds):
            try:
                since = self.register()
            except (HubError, OSError) as error:
                _logger.warning("secrecy.not_registered", reason=str(error))
            except Exception:
                _logger.exception("secrecy.failed_unforeseen")
                pause_seconds = _LONGEST_PAUSE_SECONDS
            else:
                _logger.info("secrecy.registered", since=format_instant(since))
                return
            pause_seconds = min(2 * pause_seconds or self.first_pause_seconds, _LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, kw_only=True)
class KeyWatch:
    """Looks for the next certificate while the gateway runs, and tells in the log when the last one ends.

    Attributes:
        roll_over: does the work.
        ring: the gateway's keys.
        expiry: tells of their end.
        look_seconds: how often.
    """

    roll_over: RollOver
    ring: KeyRing
    clock: Clock
    expiry: ExpiryWatch = field(default_factory=lambda: ExpiryWatch(LoggedAlarms()))
    look_seconds: float = LOOK_SECONDS
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until stopped; what fails is logged and tried again, ever more slowly."""
        pause_seconds, state = self.look_seconds, RollOverState.NONE
        while not self.stopped.wait(pause_seconds):
            self.check_expiry()
            try:
                before, state = state, self.roll_over.step()
                if state is not before:
                    _logger.info("keys.rolled_over", state=state.value)
                pause_seconds = self.look_seconds
            except (HubError, OSError) as error:
                _logger.warning("keys.not_rolled_over", reason=str(error))
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            except Exception:
                # The old certificate signs on; nobody would notice that nobody looks any more.
                _logger.exception("keys.failed_unforeseen")
                pause_seconds = _LONGEST_PAUSE_SECONDS

    def check_expiry(self) -> None:
        """Tell of a certificate that ends while none is there to take over."""
        leaves = latest_certificates(held.key.certificate_chain[0] for held in self.ring.keys)
        watched = [WatchedCertificate(leaf, "this gateway's own key") for leaf in leaves]
        self.expiry.check(watched, self.clock.now())
