# SPDX-License-Identifier: Apache-2.0
"""The revocation answers of the day: by which of them the hub believed whoever signed what passed.

Authorities forget: their responders speak of today only. So what they said about a signer when a message
passed is kept, each answer once, and each set of answers that made a certificate believed.

Source: ETSI EN 319 102-1 clause 5.5 (validation data for the long term).
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy import BindParameter, Column, LargeBinary, String, Table, Text, bindparam, insert, select

from hub.clock import format_instant, parse_instant
from hub.database import keep_append_only, metadata
from hub.errors import TrustError
from hub.trust import OCSP_AGE_WITHOUT_NEXT_UPDATE, AnswerKind, RevocationAnswer

if TYPE_CHECKING:
    from concurrent.futures import Future
    from datetime import datetime

    from cryptography import x509
    from sqlalchemy import Connection, Engine

    from hub.database import Writer
    from hub.trust import ValidatedPath

_answers = Table(
    "revocation_answers",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("kind", String(4), nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("this_update", String(24), nullable=False),
    Column("next_update", String(24)),
    Column("first_used_at", String(24), nullable=False),
)
_beliefs = Table(
    "revocation_beliefs",
    metadata,
    Column("certificate_sha256", String(64), primary_key=True),
    Column("used_at", String(24), primary_key=True),
    # Digests of the answers, separated by spaces.
    Column("answers", Text, nullable=False),
)
for _table in (_answers, _beliefs):
    keep_append_only(_table)

_MOST_PATHS = 4096
_MOST_DIGESTS = 65_536
_logger = structlog.get_logger(__name__)

_WANTED: BindParameter[str] = bindparam("wanted", expanding=True)
_NAMES = (
    select(_answers.c.sha256, _answers.c.kind, _answers.c.this_update, _answers.c.next_update)
    .where(_answers.c.sha256.in_(_WANTED))
    .order_by(_answers.c.sha256)
)
_ANSWER = select(_answers).where(_answers.c.sha256 == bindparam("wanted"))
_HAS_ANSWER = select(_answers.c.sha256).where(_answers.c.sha256 == bindparam("wanted"))
_HAS_BELIEF = select(_beliefs.c.used_at).where(
    _beliefs.c.certificate_sha256 == bindparam("certificate"), _beliefs.c.used_at == bindparam("used_at")
)
_LAST_BELIEF = (
    select(_beliefs.c.answers, _beliefs.c.used_at)
    .where(_beliefs.c.certificate_sha256 == bindparam("certificate"), _beliefs.c.used_at <= bindparam("at"))
    .order_by(_beliefs.c.used_at.desc())
    .limit(1)
)
_NEXT_BELIEF = (
    select(_beliefs.c.answers, _beliefs.c.used_at)
    .where(_beliefs.c.certificate_sha256 == bindparam("certificate"), _beliefs.c.used_at > bindparam("at"))
    .order_by(_beliefs.c.used_at)
    .limit(1)
)


class AnswerName(NamedTuple):
    """One kept answer, without its bytes.

    Attributes:
        sha256: of its bytes, lower-case hex.
        kind: OCSP response or CRL.
        usable_until: UTC; the instant from which it is too old.
    """

    sha256: str
    kind: AnswerKind
    usable_until: datetime


class Belief(NamedTuple):
    """The answers that speak for an instant, and for which other instants the same do.

    Attributes:
        answers: about a certificate and its issuers.
        begins: UTC; the first of these instants, None for the beginning of time.
        ends: UTC; the first instant after them, None for no end so far.
    """

    answers: tuple[AnswerName, ...]
    begins: datetime | None
    ends: datetime | None

    def holds(self, at: datetime) -> bool:
        """Tell whether the same answers speak for another instant."""
        return (self.begins is None or self.begins <= at) and (self.ends is None or at < self.ends)


class RevocationAnswers:
    """The answers the hub relied on, by the certificate they made it believe and the instant.

    Safe to use from several threads.

    Args:
        engine: opened by `hub.database.open_database`.
        writer: the engine's writer.
    """

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer
        self._lock = threading.Lock()
        self._taken: OrderedDict[x509.Certificate, ValidatedPath] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def take(self, path: ValidatedPath) -> Future[None] | None:
        """Keep the answers of a path, unless this very path was taken before; does not wait.

        The writer does its units in their order: what is taken before a message is logged is durable when the
        message is. Returns the unit's future, or None where there was nothing to do.
        """
        with self._lock:
            if self._taken.get(path.leaf) is path:
                return None
            self._taken[path.leaf] = path
            _shorten(self._taken, _MOST_PATHS)
        future = self._writer.submit(lambda connection: self._keep(connection, path))
        future.add_done_callback(lambda done: self._look_back(path, done))
        return future

    def of(self, certificate: x509.Certificate, at: datetime) -> tuple[RevocationAnswer, ...]:
        """Return the answers that `belief` names."""
        return tuple(self.read(name.sha256) for name in self.belief(certificate, at).answers)

    def belief(self, certificate: x509.Certificate, at: datetime) -> Belief:
        """Tell which answers about a certificate and its issuers speak for an instant.

        Those by which it was last believed at that instant; where one of them was due to be replaced by then,
        or it had not been believed yet, also those of the next time. None when it was never believed.
        """
        wanted = {"certificate": _digest_of(certificate), "at": format_instant(at)}
        with self._engine.connect() as connection:
            last = connection.execute(_LAST_BELIEF, wanted).one_or_none()
            following = connection.execute(_NEXT_BELIEF, wanted).one_or_none()
            found = _read_names(connection, last.answers) if last else []
            ends = [parse_instant(following.used_at)] if following else []
            stale = [each.usable_until for each in found if each.usable_until <= at]
            if last and found and not stale:
                begins: datetime | None = parse_instant(last.used_at)
                ends += [each.usable_until for each in found]
            else:
                begins = min(stale, default=None)
                found += _read_names(connection, following.answers) if following else []
        return Belief(tuple(dict.fromkeys(found)), begins, min(ends, default=None))

    def read(self, sha256: str) -> RevocationAnswer:
        """Return a kept answer by its digest.

        Raises:
            TrustError: `trust.revocation_unknown`: it is not here.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_ANSWER, {"wanted": sha256}).one_or_none()
        if row is None:
            raise TrustError("trust.revocation_unknown", f"no kept answer {sha256}")
        return RevocationAnswer(
            AnswerKind(row.kind), row.der, parse_instant(row.this_update), _instant(row.next_update)
        )

    def _keep(self, connection: Connection, path: ValidatedPath) -> None:
        digests = [hashlib.sha256(answer.der).hexdigest() for answer in path.revocation]
        used_at = format_instant(path.checked_at)
        for digest, answer in zip(digests, path.revocation, strict=True):
            if digest in self._known or connection.scalar(_HAS_ANSWER, {"wanted": digest}):
                continue
            connection.execute(
                insert(_answers),
                {
                    "sha256": digest,
                    "kind": answer.kind.value,
                    "der": answer.der,
                    "this_update": format_instant(answer.this_update),
                    "next_update": format_instant(answer.next_update) if answer.next_update else None,
                    "first_used_at": used_at,
                },
            )
        key = {"certificate": _digest_of(path.leaf), "used_at": used_at}
        if connection.scalar(_HAS_BELIEF, key) is None:
            connection.execute(
                insert(_beliefs),
                {
                    "certificate_sha256": key["certificate"],
                    "used_at": used_at,
                    "answers": " ".join(dict.fromkeys(digests)),
                },
            )

    def _look_back(self, path: ValidatedPath, done: Future[None]) -> None:
        """Remember what is durable now; what failed is tried again with the next message."""
        error = None if done.cancelled() else done.exception()
        with self._lock:
            if error is None:
                self._known.update(
                    dict.fromkeys(hashlib.sha256(each.der).hexdigest() for each in path.revocation)
                )
                _shorten(self._known, _MOST_DIGESTS)
            elif self._taken.get(path.leaf) is path:
                del self._taken[path.leaf]
        if error is not None:
            _logger.error("revocation.answers_not_kept", exc_info=error)


def _read_names(connection: Connection, digests: str) -> list[AnswerName]:
    rows = connection.execute(_NAMES, {"wanted": digests.split()})
    return [
        AnswerName(
            row.sha256,
            AnswerKind(row.kind),
            _instant(row.next_update) or parse_instant(row.this_update) + OCSP_AGE_WITHOUT_NEXT_UPDATE,
        )
        for row in rows
    ]


def _instant(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None


def _digest_of(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(SHA256()).hex()


def _shorten(kept: OrderedDict[x509.Certificate, ValidatedPath] | OrderedDict[str, None], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
