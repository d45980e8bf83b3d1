# SPDX-License-Identifier: Apache-2.0
"""Having the log's checkpoints cosigned by witnesses, in the background, whatever becomes of them.

Nothing waits for a witness: messages are logged and exchanged while none answers. Each is asked in a thread
of its own for the largest checkpoint, which covers all entries below it.

    the witness                                 what is done                        alarm
    cosigns                                     the line is kept                    none; both are cleared
    knows the log at a smaller size             asked again with a proof from there none
    knows it at a larger size than was signed,  asked again, ever more slowly       log.witness_disagrees
      or says that it does not grow out of it
    does not answer, or unusably                likewise                            log.witness_unreachable

A witness that disagrees is how a log learns that its own database was rolled back or forked. It is asked
once at every start, even about a checkpoint it has cosigned: a database put back to an older state believes
that all is well.

Source: C2SP tlog-witness.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from hub.errors import LogError
from hub.messagelog import cosignatures, store
from hub.messagelog.cosignatures import Cosignature
from hub.messagelog.rounds import LOOK_SECONDS, Rounds
from hub.messagelog.witnessclient import OtherSizeError, WitnessClient
from hub.witness import Submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from hub.alarms import AlarmSink
    from hub.database import Writer
    from hub.messagelog.service import MessageLog
    from hub.tlog import PolicyWitness, TrustPolicy

_MOST_TRIES = 4
_logger = structlog.get_logger(__name__)


class WitnessAsker:
    """Has checkpoints cosigned by one witness; `run` in a thread of its own.

    Args:
        log: whose checkpoints; proves consistency.
        engine: the log's.
        writer: the engine's.
        witness: who is asked.
        alarms: are told when it does not answer, or disagrees.
        client: asks it; one over HTTP when left out.
    """

    def __init__(  # noqa: PLR0913 (its dependencies)
        self,
        *,
        log: MessageLog,
        engine: Engine,
        writer: Writer,
        witness: PolicyWitness,
        alarms: AlarmSink,
        client: WitnessClient | None = None,
    ) -> None:
        self._log = log
        self._engine = engine
        self._writer = writer
        self._witness = witness
        self._alarms = alarms
        self._client = client or WitnessClient(witness)
        self._rounds = Rounds()
        # What it was asked about since this process began.
        self._asked_size = -1

    @property
    def name(self) -> str:
        """What the policy calls the witness, and the alarms with it."""
        return self._witness.name

    def run(self) -> None:
        """Have cosigned what is signed, until `stop`."""
        self._rounds.run(self.work, "log.not_cosigned", witness=self.name)

    def end(self) -> None:
        """Let `run` end with what it is at."""
        self._rounds.end()

    def stop(self) -> None:
        """Let `run` end, and give the connections back."""
        self._rounds.stop()
        self._client.close()

    def work(self) -> float:
        """Have the largest checkpoint cosigned, if it was not.

        Returns:
            After how many seconds to call again: soon, or after a failure ever later, never twice the same.
        """
        with self._engine.connect() as connection:
            largest = store.read_largest(connection)
        if largest == self._asked_size or largest < 0:
            return LOOK_SECONDS
        try:
            self._ask()
        except LogError as exc:
            return self._put_off(exc)
        self._rounds.succeed()
        self._alarms.clear("log.witness_unreachable", self.name)
        self._alarms.clear("log.witness_disagrees", self.name)
        return LOOK_SECONDS

    def _ask(self) -> None:
        with self._engine.connect() as connection:
            last = cosignatures.read_last_cosignature(connection, self._witness.key)
        known = last.size if last else 0
        for _ in range(_MOST_TRIES):
            # Read anew each time: another process of this hub may have signed and asked meanwhile.
            size, note = self._largest()
            if known > size:
                detail = f"it knows {known} entries, and no more than {size} were ever signed here"
                raise LogError("log.witness_disagrees", detail)
            proof = self._log.consistency_proof(known, size)
            submission = Submission(known, proof, note).encode()
            try:
                line, cosigned_at = self._client.submit(submission, note)
            except OtherSizeError as other:
                if other.size < known:
                    _logger.warning("log.witness_forgot", witness=self.name, knew=known, knows=other.size)
                known = other.size
            else:
                self._keep(Cosignature(size, line, cosigned_at))
                return
        raise LogError("log.witness_unreachable", "it knows another size whenever it is asked")

    def _largest(self) -> tuple[int, str]:
        with self._engine.connect() as connection:
            size = store.read_largest(connection)
            note = store.read_note(connection, size)
        if note is None:
            raise RuntimeError(f"the checkpoint of {size} entries is gone")
        return size, note

    def _keep(self, cosignature: Cosignature) -> None:
        key = self._witness.key
        self._writer.run(lambda connection: cosignatures.keep_cosignature(connection, key, cosignature))
        self._asked_size = cosignature.size

    def _put_off(self, refusal: LogError) -> float:
        if refusal.code == "log.witness_disagrees":
            self._alarms.raise_alarm("log.witness_disagrees", self.name, refusal.detail)
        else:
            self._alarms.raise_alarm(
                "log.witness_unreachable", self.name, f"{refusal.code}: {refusal.detail}"
            )
        return self._rounds.put_off()


class Witnessing:
    """All witnesses of a log, each asked by itself.

    Args:
        askers: one for each.
    """

    def __init__(self, askers: Sequence[WitnessAsker]) -> None:
        self._askers = tuple(askers)

    @classmethod
    def of(
        cls, policy: TrustPolicy | None, *, log: MessageLog, engine: Engine, writer: Writer, alarms: AlarmSink
    ) -> Witnessing:
        """Ask every witness of a policy; nobody without one."""
        return cls(
            [
                WitnessAsker(log=log, engine=engine, writer=writer, witness=witness, alarms=alarms)
                for witness in (policy.witnesses if policy else ())
            ]
        )

    def start(self) -> None:
        """Begin asking, in threads that hold up neither each other nor the end."""
        for asker in self._askers:
            threading.Thread(target=asker.run, name=f"witness-{asker.name[:40]}", daemon=True).start()

    def stop(self) -> None:
        """End asking."""
        for asker in self._askers:
            asker.end()
        for asker in self._askers:
            asker.stop()
