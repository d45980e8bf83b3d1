# SPDX-License-Identifier: Apache-2.0
"""Counting what passes: in memory with every message, into the database every few seconds.

An exchange adds to three dictionaries and nothing else. What was counted since the last flush is lost when
the process is killed: it is about how partners fare, not about what was exchanged, which stands in the log.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.errors import Culprit
from hub.operations import store
from hub.operations.model import FAILED, limit_for

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from hub.exchange import Seen


@dataclass
class Counted:
    """What was counted, by minute, partner and flow."""

    counts: Counter[store.Minute] = field(default_factory=Counter)
    contacts: dict[str, datetime] = field(default_factory=dict)
    failures: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    heard: dict[store.FlowName, datetime] = field(default_factory=dict)

    def write(self, connection: Connection) -> None:
        """Add it to what is kept, inside a unit of the writer."""
        store.add_counts(connection, self.counts)
        store.mark_contacts(connection, self.contacts)
        store.mark_failures(connection, self.failures)
        store.mark_heard(connection, self.heard)


class Traffic:
    """What this process has seen pass. Safe to use from several threads."""

    def __init__(self) -> None:
        self._counted = Counted()
        self._lock = threading.Lock()

    def note(self, seen: Seen) -> None:
        """Count one attempt to have a message answered.

        A fault of the department that its sender has to act on is an answer: the department is there.
        """
        is_answered = seen.culprit is None or seen.culprit is Culprit.SENDER
        limit = limit_for(seen.seconds) if is_answered else FAILED
        with self._lock:
            counted = self._counted
            counted.counts[store.Minute(store.minute_of(seen.at), seen.lane, limit)] += 1
            if is_answered:
                counted.contacts[seen.lane] = seen.at
                counted.heard[store.FlowName(seen.sender, seen.service)] = seen.at
            elif seen.code is not None:
                counted.failures[seen.lane] = (seen.at, seen.code)

    def take(self) -> Counted:
        """Return what was counted since the last time, to be written or given back."""
        with self._lock:
            counted, self._counted = self._counted, Counted()
        return counted

    def give_back(self, counted: Counted) -> None:
        """Keep what could not be written for the next time."""
        with self._lock:
            newer, self._counted = self._counted, counted
            counted.counts.update(newer.counts)
            counted.contacts.update(newer.contacts)
            counted.failures.update(newer.failures)
            counted.heard.update(newer.heard)
