# SPDX-License-Identifier: Apache-2.0
"""One real call to a legacy system, to see what it answers before any answer is mapped.

The description's own request mapping and connection are used; its answer is handed on as it is. It has
whatever effect the system's operation has, so a person decides on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from adapters.descriptions import canonical_text, parse_description
from adapters.ports import Call
from adapters.register.rules import split
from hub.envelope import Purpose
from hub.errors import AdapterError
from hub.identifiers import new_message_id, subsystem_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import JsonObject, JsonValue
    from hub.clock import Clock

_AS_IT_IS = {"object": {"answer": {"from": "answer", "type": "any", "nullable": True, "absent": []}}}


def sample_answer(
    text: str,
    request: JsonObject,
    *,
    build: Callable[[str], ConfiguredAdapter],
    by: str,
    clock: Clock,
) -> JsonValue:
    """Ask the system a description describes, once, and return its answer in its own words.

    Args:
        text: the description of one service; its answer's mapping may be missing.
        request: a `request.json` of the contract.
        build: builds an adapter of a description, as `AdapterRegister.try_out` does.
        by: who asks; stands in the call as the official.
        clock: makes the message id.

    Raises:
        AdapterError: the description cannot be used, or the system does not answer.
        DeferredError: it will answer later.
    """
    entries = split(text)
    if len(entries) != 1:
        raise AdapterError("adapter.configuration_invalid", "services: one at a time is asked")
    [(service, canonical)] = entries.items()
    entry = parse_description(canonical, at="description")
    entry |= {"response": _AS_IT_IS, "outcomes": []}
    configured = build(yaml.safe_dump({"services": [yaml.safe_load(canonical_text(entry))]}))
    message_id = new_message_id(clock.now())
    purpose = Purpose(
        item="000000000000", case="SAMPLE", legal_basis="connection test", official=by, post="administrator"
    )
    call = Call(message_id, message_id, service, subsystem_of(service), purpose, configured.timeout_seconds)
    try:
        return configured.adapter.answer(request, call).data.get("answer")
    finally:
        configured.adapter.close()
