# SPDX-License-Identifier: Apache-2.0
"""Dead letters: what could not be delivered, and why; what will be done is always said before it is done."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from hub.errors import ExchangeError, error_kinds
from hub.exchange import What
from hub.outbox import BreakerState, DeliveryState
from hub.portal.choosing import MOST_AT_ONCE, Choice
from hub.portal.drawings import draw
from hub.portal.letter_filters import STATES, LetterFilters, read_number
from hub.portal.names import Names
from hub.portal.pages import Call, Page
from hub.portal.paths import lane_of
from hub.portal.visitors import OPERATORS, WATCHERS
from hub.registry import Service, Subsystem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from hub.clock import Clock
    from hub.exchange import DeadLetters, Readings
    from hub.identifiers import MessageId, ServiceId, SubsystemId
    from hub.operations import WeatherMap
    from hub.outbox import Delivery, DeliveryNumber, Outbox, Pause, Pauses
    from hub.registry import Registry

_ON_A_PAGE = 50
_MOST_LISTED = 200
_SHORTEST_REASON, _LONGEST_REASON = 10, 500
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Messages for one recipient of one service that will be delivered again.

    Attributes:
        expires_at: UTC; when the first of them expires.
        pause: the service's, while it is paused.
    """

    service: ServiceId
    recipient: SubsystemId
    count: int
    expires_at: datetime
    pause: Pause | None
    is_cut_off: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one.

    Attributes:
        state: of its delivery, now.
        code: why nothing was done; None when it was.
    """

    message_id: MessageId
    state: DeliveryState
    code: str | None


@dataclass(frozen=True, kw_only=True)
class DeadLetterPages:
    """The pages about dead letters."""

    letters: DeadLetters
    outbox: Outbox
    pauses: Pauses
    weather: WeatherMap
    registry: Registry
    readings: Readings
    clock: Clock

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        base = "/dead-letters"
        return (
            Page(path=base, answer=self.show_all, roles=WATCHERS),
            Page(path=f"{base}/{{number}}", answer=self.show, roles=WATCHERS),
            Page(path=f"{base}/preview", answer=self.preview, roles=OPERATORS, method="POST"),
            Page(path=f"{base}/replay", answer=self.replay, roles=OPERATORS, method="POST"),
            Page(path=f"{base}/closing", answer=self.ask_why, roles=OPERATORS, method="POST"),
            Page(path=f"{base}/close", answer=self.close, roles=OPERATORS, method="POST"),
        )

    def show_all(self, call: Call) -> Response:
        """List what the filters let through; without any, all that wait for a decision."""
        return self._list(call, LetterFilters.of(call.request.query_params))

    def show(self, call: Call) -> Response:
        """Show one with its reason, its cure and every try, once it is written down that somebody looks."""
        number = read_number(call.request.path_params["number"])
        letter = None if number is None else self.outbox.find(number)
        if letter is None or not (letter.state in STATES or letter.replays):
            raise ExchangeError("exchange.dead_letter_unknown", call.request.path_params["number"][:20])
        now = self.clock.now()
        lane = lane_of(letter, self.outbox.attempts_of(letter.number), now)
        self.readings.record(call.signed_in.principal, What.PATH, [letter.message_id], at=now)
        return call.render(
            "letter.html",
            letter=letter,
            blocked=dict(self.letters.preview([letter.number]).cannot).get(letter.number),
            lane=lane,
            drawing=draw(lane),
            **self._frame(now),
        )

    def preview(self, call: Call) -> Response:
        """Say what will happen to how many, and which cannot be delivered again and why; do nothing."""
        now = self.clock.now()
        choice = Choice.of(call.form, now)
        letters = choice.letters(self.outbox)
        if not letters:
            return self._list(call, choice.filters, mistake=choice.is_empty)
        preview = self.letters.preview([each.number for each in letters])
        by_number = {each.number: each for each in letters}
        return call.render(
            "replay.html",
            preview=preview,
            groups=self._groups([by_number[each] for each in preview.can]),
            blocked=_by_code((by_number[number], code) for number, code in preview.cannot),
            chosen=choice.to_form(),
            most=MOST_AT_ONCE if len(letters) == MOST_AT_ONCE else None,
            back=choice.filters.address(),
            most_listed=_MOST_LISTED,
            **self._frame(now),
        )

    def replay(self, call: Call) -> Response:
        """Have them delivered again in the visitor's name, and say what became of each."""
        now, subject = self.clock.now(), call.signed_in.principal.subject
        letters = Choice.of(call.form, now).letters(self.outbox)
        done = self.letters.replay([each.number for each in letters], by=subject)
        _logger.info("portal.acted", action="replay", by=subject, count=done.count)
        return self._report(call, letters, dict(done.skipped), is_closing=False)

    def ask_why(self, call: Call) -> Response:
        """Ask why letters shall be closed, and say what that means."""
        choice = Choice.of(call.form, self.clock.now())
        letters = [each for each in choice.letters(self.outbox) if each.state is DeliveryState.DEAD]
        if not letters:
            return self._list(call, choice.filters, mistake=choice.is_empty)
        return self._ask_why(call, letters)

    def close(self, call: Call) -> Response:
        """Close them in the visitor's name, with the reason given."""
        now, subject = self.clock.now(), call.signed_in.principal.subject
        letters = Choice.of(call.form, now).letters(self.outbox)
        reason = " ".join(call.form.get("reason", "").split())
        if letters and not _SHORTEST_REASON <= len(reason) <= _LONGEST_REASON:
            return self._ask_why(call, letters, reason=reason, mistake=True, status=422)
        skipped: dict[DeliveryNumber, str] = {}
        for each in letters:
            try:
                self.letters.close([each.number], by=subject, reason=reason)
            except ExchangeError as error:
                # Somebody else was quicker with this one; the others are closed all the same.
                skipped[each.number] = error.code
        _logger.info("portal.acted", action="close", by=subject, count=len(letters) - len(skipped))
        return self._report(call, letters, skipped, is_closing=True)

    def _list(self, call: Call, filters: LetterFilters, *, mistake: bool = False) -> Response:
        snapshot = self.registry.snapshot
        search = None if filters.mistakes else filters.to_search(_ON_A_PAGE)
        return call.render(
            "letters.html",
            status=422 if filters.mistakes or mistake else 200,
            filters=filters,
            mistake=mistake,
            found=None if search is None else self.outbox.search(search),
            total=0 if search is None else self.outbox.count(search),
            subsystems=snapshot.all_of(Subsystem),
            services=snapshot.all_of(Service),
            codes=sorted(self.outbox.codes(search.state if search else DeliveryState.DEAD)),
            **self._frame(self.clock.now()),
        )

    def _ask_why(
        self,
        call: Call,
        letters: Sequence[Delivery],
        *,
        reason: str = "",
        mistake: bool = False,
        status: int = 200,
    ) -> Response:
        frame = self._frame(self.clock.now())
        return call.render(
            "closing.html", status=status, letters=letters, reason=reason, mistake=mistake, **frame
        )

    def _report(
        self,
        call: Call,
        letters: Iterable[Delivery],
        skipped: Mapping[DeliveryNumber, str],
        *,
        is_closing: bool,
    ) -> Response:
        present = {each.number: self.outbox.find(each.number) or each for each in letters}
        outcomes = [
            Outcome(message_id=each.message_id, state=each.state, code=skipped.get(number))
            for number, each in present.items()
        ]
        # What was left as it is stands first: somebody has to look at it.
        outcomes.sort(key=lambda each: each.code is None)
        return call.render(
            "replayed.html",
            outcomes=outcomes,
            done=[each for each in outcomes if each.code is None],
            skipped=[each for each in outcomes if each.code is not None],
            is_closing=is_closing,
            most_listed=_MOST_LISTED,
            **self._frame(self.clock.now()),
        )

    def _groups(self, letters: Iterable[Delivery]) -> list[Group]:
        by_way: defaultdict[tuple[ServiceId, SubsystemId], list[Delivery]] = defaultdict(list)
        for each in letters:
            by_way[each.service, each.recipient].append(each)
        cut_off = {each.service for each in self.weather.now() if each.breaker is BreakerState.OPEN}
        return [
            Group(
                service=service,
                recipient=recipient,
                count=len(some),
                expires_at=min(each.expires_at for each in some),
                pause=self.pauses.find(service),
                is_cut_off=service in cut_off,
            )
            for (service, recipient), some in sorted(by_way.items())
        ]

    def _frame(self, now: datetime) -> dict[str, Any]:
        return {"names": Names(self.registry.snapshot), "kinds": error_kinds(), "now": now}


def _by_code(cannot: Iterable[tuple[Delivery, str]]) -> list[tuple[str, list[Delivery]]]:
    """Group by why; the most frequent reason first."""
    grouped: defaultdict[str, list[Delivery]] = defaultdict(list)
    for letter, code in cannot:
        grouped[code].append(letter)
    return sorted(grouped.items(), key=lambda item: -len(item[1]))
