# SPDX-License-Identifier: Apache-2.0
"""The versions of the trust list that a process holds: kept in a store, replaced while it runs.

Whoever holds the archive sees a new version with the next question; nothing has to be restarted.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import structlog

from hub.trustlist import rules
from hub.trustlist.container import SignedTrustList, open_trust_list
from hub.trustlist.history import TrustListHistory, check_history

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.alarms import AlarmSink
    from hub.trust import TrustList

_ALARM = "trust.trust_list_outdated"
_SUBJECT = "trust-list"
_logger = structlog.get_logger(__name__)


class VersionStore(Protocol):
    """Keeps the containers of the versions; nothing in it is ever changed or removed."""

    def read(self, after: int = 0) -> list[bytes]:
        """Return the containers whose numbers are higher than `after`, in their order."""
        ...

    def append(self, version: SignedTrustList, *, by: str, at: datetime) -> None:
        """Keep one version more, durably, before this returns.

        Args:
            version: the next one.
            by: who brought it.
            at: UTC; when.

        Raises:
            TrustError: `trust.trust_list_forked`, another version of this number is kept already.
        """
        ...


class TrustListArchive:
    """Every version of the trust list from the first on; says which one was in force when.

    Safe to use from several threads.

    Args:
        store: where the versions are kept.
        pinned: certificates of whom the first version may be signed by.
        seeds: containers that are taken over when the store lacks them, such as those that were installed
            with the configuration.
        now: UTC; when the seeds are taken over.

    Raises:
        TrustError: what is stored or installed is no history, or none from the first version on.
    """

    def __init__(
        self,
        store: VersionStore,
        pinned: Sequence[x509.Certificate],
        *,
        seeds: Sequence[bytes] = (),
        now: datetime,
    ) -> None:
        self._store = store
        self._lock = threading.Lock()
        stored = [open_trust_list(raw) for raw in store.read()]
        installed = [open_trust_list(raw) for raw in seeds]
        known = {version.sequence for version in stored}
        later = [version for version in installed if version.sequence not in known]
        self._history = check_history([*stored, *later], pinned).require_complete()
        for version in installed:
            self._history.require_same(version)
        for version in later:
            store.append(version, by="configuration", at=now)

    @property
    def history(self) -> TrustListHistory:
        """The versions held at this moment."""
        return self._history

    @property
    def current(self) -> SignedTrustList:
        """The newest version."""
        return self._history.current

    def of(self, at: datetime) -> TrustList:
        """Return the list in force at an instant; see `TrustListHistory.of`."""
        return self._history.of(at)

    def add(self, raw: bytes, *, by: str, now: datetime) -> bool:
        """Put the next version into force, at once.

        Args:
            raw: its container.
            by: who brings it; its signature alone says whether it is believed.
            now: UTC.

        Returns:
            Whether it is new; False for the very version that is in force.

        Raises:
            TrustError: `trust.trust_list_invalid`, `trust.trust_list_untrusted`,
                `trust.trust_list_not_next`, `trust.trust_list_forked`, `trust.trust_list_rolled_back`, or
                `trust.algorithm_not_allowed` for a weak certificate in it.
        """
        version = open_trust_list(raw)
        self.refresh()
        with self._lock:
            longer = self._history.extended(version)
            if longer is self._history:
                return False
            rules.check_age(version, now)
            rules.check_certificates(version)
            self._store.append(version, by=by, at=now)
            self._history = longer
        _logger.info("trust_list.in_force", sequence=version.sequence, sha256=version.sha256, by=by)
        return True

    def refresh(self) -> bool:
        """Take over what another process added to the store; tell whether there was anything.

        Raises:
            TrustError: what was added does not follow.
        """
        with self._lock:
            history = self._history
            for raw in self._store.read(after=history.current.sequence):
                history = history.extended(open_trust_list(raw))
            is_new = history is not self._history
            self._history = history
        return is_new

    def watch(self, now: datetime, alarms: AlarmSink) -> None:
        """Raise the alarm of a list whose next version is overdue, or end it."""
        document = self.current.document
        if now >= document.next_update:
            until = document.next_update + rules.GRACE
            detail = (
                f"version {document.sequence}: the next one was due at {document.next_update.isoformat()}"
            )
            alarms.raise_alarm(_ALARM, _SUBJECT, f"{detail}; it is relied on until {until.isoformat()}")
        else:
            alarms.clear(_ALARM, _SUBJECT)
