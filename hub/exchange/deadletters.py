# SPDX-License-Identifier: Apache-2.0
"""Messages that could not be delivered: looking at them, delivering them once more, and closing them.

Nothing is ever removed. A replay begins at the start: registry, rights and contract are looked at anew, by
what holds then, and the container is the one the sender signed.

Source: docs/protocols/exchange.md section 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import structlog

from hub.errors import ExchangeError, HubError, VaultError
from hub.exchange import store
from hub.exchange.model import ExchangeState
from hub.outbox import DeadLetterSearch, Delivery, DeliveryNumber, DeliveryState
from hub.vault import ContainerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection, Engine

    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.exchange.recorder import Recorder
    from hub.identifiers import ContractId
    from hub.outbox import DeadLetterPage, Outbox
    from hub.vault import Vault

LONGEST_REASON = 500
_PORTION = 500
_logger = structlog.get_logger(__name__)

Selection: TypeAlias = Sequence[DeliveryNumber] | DeadLetterSearch
"""Single dead letters by their numbers, or all that a search finds, from its cursor on."""


@dataclass(frozen=True)
class Preview:
    """What a replay would do.

    Attributes:
        can: what would be delivered once more.
        cannot: what would not, each with the code that says why.
    """

    can: tuple[DeliveryNumber, ...]
    cannot: tuple[tuple[DeliveryNumber, str], ...]


@dataclass(frozen=True)
class Replayed:
    """What a replay did.

    Attributes:
        count: how many will be delivered once more.
        skipped: those that will not, each with the code that says why.
    """

    count: int
    skipped: tuple[tuple[DeliveryNumber, str], ...]


@dataclass(frozen=True, kw_only=True)
class DeadLetters:
    """The dead letters of all services."""

    engine: Engine
    outbox: Outbox
    recorder: Recorder
    vault: Vault
    contracts: Mapping[ContractId, Contract]
    clock: Clock

    def search(self, wanted: DeadLetterSearch) -> DeadLetterPage:
        """Return a page of dead letters, the youngest message first."""
        return self.outbox.search(wanted)

    def count(self, wanted: DeadLetterSearch) -> int:
        """Count all dead letters a search finds."""
        return self.outbox.count(wanted)

    def preview(self, selection: Selection) -> Preview:
        """Say what a replay would do, without doing it."""
        can: list[DeliveryNumber] = []
        cannot: list[tuple[DeliveryNumber, str]] = []
        for number, letter in self._selected(selection):
            try:
                self._require_replayable(letter)
            except HubError as error:
                cannot.append((number, error.code))
            else:
                can.append(number)
        return Preview(tuple(can), tuple(cannot))

    def replay(
        self, selection: Selection, *, by: str, told: Callable[[int], None] = lambda _done: None
    ) -> Replayed:
        """Have dead letters delivered once more, each in a transaction of its own.

        Interrupted, it may be called again: what was replayed is dead no more.

        Args:
            selection: which.
            by: the account that asks.
            told: is called with how many were looked at.
        """
        count = 0
        skipped: list[tuple[DeliveryNumber, str]] = []
        for done, (number, letter) in enumerate(self._selected(selection), 1):
            try:
                self._replay(letter, by)
            except HubError as error:
                skipped.append((number, error.code))
            else:
                count += 1
            told(done)
        _logger.info("outbox.replayed", by=by, count=count, skipped=len(skipped))
        self.outbox.announce()
        return Replayed(count, tuple(skipped))

    def close(self, numbers: Sequence[DeliveryNumber], *, by: str, reason: str) -> int:
        """Leave dead letters as they are, for good and on record: all of them or none. Return how many.

        Raises:
            ExchangeError: `request_invalid`: no reason is given; `dead_letter_unknown`, `not_dead`.
        """
        if not 0 < len(reason.strip()) <= LONGEST_REASON:
            raise ExchangeError("exchange.request_invalid", f"reason: not 1 to {LONGEST_REASON} characters")
        for number in numbers:
            self._require(number, self.outbox.find(number))
        self.recorder.writer.run(lambda connection: self._close(connection, numbers, by, reason.strip()))
        # What waited behind one of them in its conversation is free to go.
        self.outbox.announce()
        return len(numbers)

    def _close(self, connection: Connection, numbers: Sequence[DeliveryNumber], by: str, reason: str) -> None:
        for number in numbers:
            if not self.outbox.close(connection, number, by=by, reason=reason):
                # None of them is closed then.
                raise ExchangeError("exchange.not_dead", str(number))

    def _selected(self, selection: Selection) -> Iterator[tuple[DeliveryNumber, Delivery | None]]:
        if not isinstance(selection, DeadLetterSearch):
            for number in dict.fromkeys(selection):
                yield number, self.outbox.find(number)
            return
        wanted: DeadLetterSearch | None = replace(selection, most=_PORTION)
        while wanted is not None:
            page = self.outbox.search(wanted)
            yield from ((each.number, each) for each in page.letters)
            wanted = replace(wanted, cursor=page.cursor) if page.cursor is not None else None

    def _replay(self, letter: Delivery | None, by: str) -> None:
        found = self._require_replayable(letter)
        request = self.vault.envelope(found.request_sha256)
        contract = self.contracts.get(request.header.contract) if request.header.contract else None
        retention = contract.retention if contract else None
        self.recorder.replay(found, request, retention=retention.period.text if retention else None, by=by)

    def _require_replayable(self, letter: Delivery | None) -> Delivery:
        found = self._require(None, letter)
        if found.state is not DeliveryState.DEAD:
            raise ExchangeError("exchange.not_dead", f"{found.number} is {found.state}")
        if found.expires_at <= self.clock.now():
            raise ExchangeError("exchange.expired", f"{found.number}: its sender has to send it again")
        with self.engine.connect() as connection:
            record = store.find(connection, found.message_id)
        if record is None or record.state is not ExchangeState.REFUSED:
            raise ExchangeError("exchange.not_dead", f"{found.number} was sent again")
        if self.vault.state(found.request_sha256) is ContainerState.ERASED:
            raise VaultError("vault.erased", f"{found.number}: its content was erased")
        return found

    def _require(self, number: DeliveryNumber | None, letter: Delivery | None) -> Delivery:
        if letter is None or letter.state not in _LETTERS:
            raise ExchangeError("exchange.dead_letter_unknown", "" if number is None else str(number))
        return letter


_LETTERS = {DeliveryState.DEAD, DeliveryState.CLOSED}
