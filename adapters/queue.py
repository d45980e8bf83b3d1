# SPDX-License-Identifier: Apache-2.0
"""What this gateway has to send while the hub may be away: kept durably, sent in order, until it is too late.

    state      means                                                 what follows
    waiting    the hub has not said that it has it                   it is sent; a hub that is away is tried
                                                                     again, ever later
    sent       the hub has it, and has given its receipt             the hub is asked what became of it
    processed  the recipient has answered, or taken note             its origin takes note
    refused    with a code: by the hub, by the recipient, or here    its origin takes note
               when it could not be sent in time

A message is signed when it is first tried, and from then on it is that container: what arrives at the hub
twice has its effect once. Messages of one origin are sent in the order in which they were put in.

Source: docs/protocols/exchange.md sections 11.1, 12.5 and 16.3.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import rfc8785
import structlog

from adapters.queuestore import Queued, QueueDepth, QueuedState, QueueStore, Row
from hub.envelope import open_envelope
from hub.errors import AdapterError, ExchangeError, HubError, ReportedFaultError
from hub.identifiers import new_message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from adapters.hubclient import HubClient, MessageOutcome, Question
    from hub.clock import Clock
    from hub.envelope import Envelope
    from hub.identifiers import MessageId, SubsystemId

__all__ = ["LocalQueue", "QueueDepth", "Queued", "QueuedState"]

MOST_WAITING = 100_000
"""How many messages may wait; who puts in more has to wait as well."""

_LOOK_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_LONGEST_LOOK_SECONDS = 300.0
_MOST_DOUBLINGS = 20
_PAGE = 50
_logger = structlog.get_logger(__name__)


class _HubAwayError(Exception):
    """The hub does not answer: nothing else can be sent now either."""


class LocalQueue:
    """The messages a gateway sends for its legacy systems. Safe to use from several threads.

    Args:
        folder: where `queue.sqlite` is kept.
        client_for: returns what sends for a subsystem.
        clock: what time it is.
        look_seconds: how often it looks for what is due.
        most_waiting: how many messages may wait.
    """

    def __init__(
        self,
        folder: Path,
        *,
        client_for: Callable[[SubsystemId], HubClient],
        clock: Clock,
        look_seconds: float = _LOOK_SECONDS,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self.stopped = threading.Event()
        self._store = QueueStore(folder / "queue.sqlite")
        self._client_for = client_for
        self._clock = clock
        self._look_seconds = look_seconds
        self._most_waiting = most_waiting
        self._woken = threading.Event()
        self._away_tries = 0
        self._away_until: datetime | None = None

    def close(self) -> None:
        """Close the file; `run` has ended."""
        self._store.close()

    def put(self, key: str, question: Question, *, origin: str, sender: SubsystemId) -> MessageId:
        """Put a message in; when this returns, it survives a power cut.

        Args:
            key: what the origin calls it; what has this key already is not put in again, whatever it says.
            question: what to send; `lifetime` says until when it is of use.
            origin: who puts it in, for example an intake's id.
            sender: the subsystem whose message it is.

        Returns:
            The message's id, the same for the same key.

        Raises:
            ContractError: the question does not keep to its contract.
            ExchangeError: `exchange.contract_mismatch`: the contract is not known here.
            AdapterError: `adapter.queue_full`.
        """
        known = self._store.find(key)
        if known is not None:
            return known.message_id
        contract = self._client_for(sender).contracts.get(question.contract)
        if contract is None:
            raise ExchangeError("exchange.contract_mismatch", f"{question.contract} is not known here")
        contract.check_request({"request.json": rfc8785.dumps(dict(question.data))})
        now = self._clock.now()
        message_id = self._store.put(
            key,
            replace(question, message_id=question.message_id or new_message_id(now)),
            origin=origin,
            sender=sender,
            now=now,
            most=self._most_waiting,
        )
        self._woken.set()
        return message_id

    def state_of(self, key: str) -> Queued | None:
        """Return what has become of a message; None for a key nobody has put in."""
        return self._store.find(key)

    def settled(self, origin: str) -> Iterator[Queued]:
        """Yield what has ended, in the order in which it was put in, until `acknowledge` takes note of it."""
        after = 0
        while True:
            page = self._store.settled(origin, after=after, most=_PAGE)
            for _, queued in page:
                yield queued
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def acknowledge(self, key: str) -> None:
        """Take note of what became of a message: its answer is not kept any longer."""
        self._store.acknowledge(key)

    def depth(self) -> QueueDepth:
        """Return how much waits."""
        return self._store.depth()

    def stop(self) -> None:
        """Let `run` end; from any thread."""
        self.stopped.set()
        self._woken.set()

    def run(self) -> None:
        """Send and look until stopped; what goes wrong once must not end the work on everything."""
        while not self.stopped.is_set():
            self._woken.clear()
            try:
                self.work()
            except Exception:
                # The disk may be full for a while; what is kept, is kept.
                _logger.exception("queue.not_worked_on")
            self._woken.wait(self._look_seconds)

    def work(self) -> None:
        """Send once what is due, in order, and look once at what the hub has."""
        now = self._clock.now()
        if self._away_until is not None and now < self._away_until:
            self._refuse_late()
            return
        try:
            self._send_all()
            self._look_at_all()
        except _HubAwayError as error:
            self._away_until = now + _pause(self._away_tries, _LONGEST_PAUSE_SECONDS)
            self._away_tries += 1
            _logger.warning("queue.hub_away", reason=str(error), until=self._away_until.isoformat())
            self._refuse_late()
            return
        self._away_until, self._away_tries = None, 0

    def _refuse_late(self) -> None:
        """Refuse what has become too late while the hub is away."""
        for row in self._store.late(self._clock.now(), most=_PAGE):
            self._refuse(row, AdapterError("adapter.not_sent_in_time", f"expired {row.expires_at}"))

    def _rows(self) -> Iterator[Row]:
        after = 0
        while not self.stopped.is_set():
            page = self._store.waiting(after=after, most=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].number

    def _send_all(self) -> None:
        held_up: set[str] = set()
        for row in self._rows():
            origin = row.queued.origin
            if origin in held_up:
                continue
            # Behind what has to wait, the rest of its origin waits too: that is what keeps the order.
            if row.due_at > self._clock.now() or not self._send(row):
                held_up.add(origin)

    def _send(self, row: Row) -> bool:
        """Send one message; False when it has to wait, and what comes after it too."""
        if row.expires_at <= self._clock.now():
            return self._end_late(row)
        try:
            envelope = self._sign(row)
        except HubError as error:
            return self._not_sent(row, error)
        try:
            self._client_for(row.sender).send_again(envelope, timeout_seconds=row.question.timeout_seconds)
        except ReportedFaultError as error:
            return self._not_sent(row, error)
        except HubError as error:
            # Nothing the hub has signed: it is away, or something else answers in its place.
            self._store.put_off(row.number, code=error.code, detail=error.detail, until=self._clock.now())
            raise _HubAwayError(f"{error.code}: {error.detail}") from error
        self._store.sent(row.number, look_at=self._clock.now() + _pause(0, _LONGEST_LOOK_SECONDS))
        return True

    def _sign(self, row: Row) -> Envelope:
        if row.container is not None:
            return open_envelope(row.container)
        lifetime = row.expires_at - self._clock.now()
        envelope = self._client_for(row.sender).sign_request(replace(row.question, lifetime=lifetime))
        self._store.sign(row.number, envelope.raw)
        return envelope

    def _not_sent(self, row: Row, error: HubError) -> bool:
        """Say why a message was not sent; False when it is tried again."""
        if not error.is_retryable:
            self._refuse(row, error)
            return True
        until = self._clock.now() + _pause(row.tries, _LONGEST_PAUSE_SECONDS)
        self._store.put_off(row.number, code=error.code, detail=error.detail, until=until)
        return False

    def _end_late(self, row: Row) -> bool:
        """End what is too late to be sent: the hub may have it all the same, when a try was cut off."""
        late = AdapterError("adapter.not_sent_in_time", f"expired {row.expires_at}")
        if row.container is None:
            self._refuse(row, late)
            return True
        try:
            self._ask(row)
        except _UnknownError:
            self._refuse(row, late)
        return True

    def _look_at_all(self) -> None:
        for row in self._store.to_look_at(self._clock.now(), most=_PAGE):
            if self.stopped.is_set():
                return
            try:
                self._ask(row)
            except _UnknownError:
                # It gave a receipt for it: a hub that knows nothing of it now is a matter for people.
                self._refuse(row, ExchangeError("exchange.message_unknown", row.queued.message_id))

    def _ask(self, row: Row) -> None:
        """Ask the hub what has become of a message, and enter it."""
        if row.container is None:
            raise TypeError("what was sent is kept")
        client = self._client_for(row.sender)
        try:
            outcome = client.outcome(open_envelope(row.container), row.question.purpose)
        except HubError as error:
            is_said = isinstance(error, ReportedFaultError)
            if is_said and error.code == "exchange.message_unknown":
                raise _UnknownError from error
            # Asked later; the hub keeps what it knows.
            until = self._clock.now() + _pause(row.tries, _LONGEST_LOOK_SECONDS)
            self._store.put_off(row.number, code=error.code, detail=error.detail, until=until)
            if not is_said:
                raise _HubAwayError(f"{error.code}: {error.detail}") from error
            return
        self._enter(row, outcome)

    def _enter(self, row: Row, outcome: MessageOutcome) -> None:
        match outcome.state:
            case "processed":
                answer = None if outcome.answer is None else outcome.answer.data
                self._store.settle(row.number, QueuedState.PROCESSED, answer=answer)
                _logger.info("queue.processed", message_id=row.queued.message_id)
            case "refused":
                detail = "the hub's receipt says so"
                self._settle_refused(row, outcome.code or "exchange.internal", detail)
            case _:
                if row.queued.state is QueuedState.WAITING:
                    self._store.sent(row.number, look_at=self._clock.now())
                until = self._clock.now() + _pause(row.tries, _LONGEST_LOOK_SECONDS)
                self._store.put_off(row.number, code=None, detail="", until=until)

    def _refuse(self, row: Row, error: HubError) -> None:
        self._settle_refused(row, error.code, error.detail)

    def _settle_refused(self, row: Row, code: str, detail: str) -> None:
        self._store.settle(row.number, QueuedState.REFUSED, code=code, detail=detail)
        _logger.info("queue.refused", message_id=row.queued.message_id, code=code)


class _UnknownError(Exception):
    """The hub has never had the message."""


def _pause(tries: int, longest_seconds: float) -> timedelta:
    seconds = _FIRST_PAUSE_SECONDS * 2 ** min(tries, _MOST_DOUBLINGS)
    return timedelta(seconds=min(seconds, longest_seconds))
