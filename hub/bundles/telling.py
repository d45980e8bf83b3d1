# SPDX-License-Identifier: Apache-2.0
"""How states, events, times and selections are told to people, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hub.bundles.page import Words
from hub.clock import CHINA
from hub.errors import Language, error_kinds
from hub.exchange import ExchangeState
from hub.tlog import EntryEvent

if TYPE_CHECKING:
    from datetime import datetime

    from hub.bundles.model import Selection
    from hub.tlog import Entry

STATES = {
    ExchangeState.PROCESSED: Words("已应答", "answered"),
    ExchangeState.REFUSED: Words("未应答（被拒绝或失败）", "not answered (refused or failed)"),
    ExchangeState.IN_PROGRESS: Words("进行中", "in progress"),
    ExchangeState.QUEUED: Words("待送达", "waiting to be delivered"),
    ExchangeState.DEFERRED: Words("已送达，待应答", "delivered, to be answered later"),
}
_EVENTS = {
    EntryEvent.ACCEPTED: Words("平台核验通过并登记请求", "The hub checked the request and logged it"),
    EntryEvent.DELIVERED: Words(
        "平台登记应答方已收到", "The hub logged that the answering department has it"
    ),
    EntryEvent.REPLAYED: Words("平台登记重新送达", "The hub logged that it is delivered once more"),
    EntryEvent.ANSWERED: Words("平台核验通过并登记应答", "The hub checked the answer and logged it"),
    EntryEvent.REFUSED: Words("平台拒绝并登记", "The hub refused it and logged that"),
    EntryEvent.FAILED: Words("平台登记未能应答", "The hub logged that it could not be answered"),
    EntryEvent.DUPLICATE: Words("平台登记重复报文", "The hub logged a copy"),
}


class Names(Protocol):
    """What ids are called, for people."""

    def of(self, identifier: str) -> Words | None:
        """Return the name of a subsystem or service, or None where the hub knows none."""
        ...


def when(instant: datetime) -> str:
    """Write an instant in China Standard Time, to the millisecond."""
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M:%S}.{instant.microsecond // 1000:03}"


def about_when(instant: datetime) -> str:
    """Write an instant in China Standard Time, to the minute, for who only wants to know about when."""
    return f"{instant.astimezone(CHINA):%Y-%m-%d %H:%M}"


def event_words(entry: Entry) -> Words:
    """Tell what an entry says, with the reason where it has one."""
    said = _EVENTS[entry.event]
    if entry.code is None:
        return said
    reason = reason_of(entry.code)
    return Words(f"{said.zh}：{reason.zh}", f"{said.en}: {reason.en}")


def reason_of(code: str) -> Words:
    """Tell what an error code means; a code of another version says itself."""
    kind = error_kinds().get(code)
    return Words(kind.message[Language.ZH], kind.message[Language.EN]) if kind else Words(code, code)


def asked_for(selection: Selection) -> Words:
    """Tell what was selected."""
    if selection.message is not None:
        return Words(f"报文{selection.message}", f"message {selection.message}")
    if selection.conversation is not None:
        return Words(f"会话{selection.conversation}", f"conversation {selection.conversation}")
    if selection.case is not None:
        return Words(f"案件{selection.case}", f"case {selection.case}")
    since = when(selection.since) if selection.since else "…"
    until = when(selection.until) if selection.until else "…"
    return Words(f"{since}至{until}期间", f"the period {since} to {until}")


def count_of(number: int, noun: str) -> str:
    """Write a number with its noun, in English."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def named(identifier: str, names: Names) -> Words:
    """Return what an id is called, or the id."""
    return names.of(identifier) or Words(identifier, identifier)
