# SPDX-License-Identifier: Apache-2.0
"""Lines of log: one JSON object each, with the message they are about.

What a line is about is not handed from function to function: it is bound to the context in which a message is
worked on, and every line written there carries it, whoever writes it. Threads that work for a message have to
be given its context (`carrying`).
"""

from __future__ import annotations

import contextvars
import logging
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog

from hub.telemetry.tracing import current_trace_id
from hub.telemetry.withholding import withhold_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from structlog.typing import EventDict, Processor, WrappedLogger

    from hub.identifiers import MessageId

P = ParamSpec("P")
T = TypeVar("T")


def configure_logging(process: str) -> None:
    """Write this process's lines to standard output, those of its libraries included.

    Lines carry ids, codes and causes, never content.

    Args:
        process: what writes: `hub`, `worker`, `gateway`.
    """

    def name_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name_process,
        _name_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    as_json = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(processors=[*shared, withhold_credentials, as_json])
    # What libraries say through the standard library's logging becomes lines of the same form.
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                withhold_credentials,
                as_json,
            ],
        )
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(lines)
    root.setLevel(logging.WARNING)


@contextmanager
def about_message(message_id: MessageId) -> Iterator[None]:
    """Let every line written inside carry a message's id."""
    with structlog.contextvars.bound_contextvars(message_id=message_id):
        yield


def note_message(message_id: MessageId) -> None:
    """Let every line carry a message's id from here on, as long as this task or thread works on it."""
    structlog.contextvars.bind_contextvars(message_id=message_id)


def carrying(work: Callable[P, T]) -> Callable[P, T]:
    """Return work that runs, in whichever thread, in the context of who called this: its log, its trace."""
    return partial(contextvars.copy_context().run, work)


def _name_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace_id = current_trace_id()
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event
