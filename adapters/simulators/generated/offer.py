# SPDX-License-Identifier: Apache-2.0
"""What a stand-in offers: how an adapter reaches it, and the description that maps it to the contract.

The description is written as a department would write its own, into the stand-in's folder, so that "simulate"
and "register" are one step apart. Secrets stand in files beside it that only their owner may read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from adapters.ports import JsonObject, JsonValue
    from hub.contracts import Contract
    from hub.identifiers import ServiceId

DESCRIPTION_FILE = "description.yaml"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """How a running stand-in is described to a gateway.

    Attributes:
        kind: of the adapter: `rest`, `soap`, `sftp`.
        port: where it listens on 127.0.0.1.
        connection: the adapter's settings.
        request: the node that maps the contract's request to the stand-in's words.
        response: the node of the way back; None where no answer follows.
        outcomes: which answers of it are none.
        secrets: contents of the files its connection refers to, by name.
        code_lists: of the mapping.
    """

    kind: str
    port: int
    connection: JsonObject
    request: JsonObject
    response: JsonObject | None = None
    outcomes: tuple[JsonObject, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    code_lists: JsonObject = field(default_factory=dict)


def describe(offer: Offer, contract: Contract, service: ServiceId, *, timeout_seconds: float = 20) -> str:
    """Return the adapter's description as YAML."""
    entry: dict[str, JsonValue] = {
        "service": service,
        "contract": contract.id,
        "kind": offer.kind,
        "timeout_seconds": timeout_seconds,
        "connection": offer.connection,
        "request": offer.request,
    }
    if offer.response is not None:
        entry["response"] = offer.response
    if offer.outcomes:
        entry["outcomes"] = list(offer.outcomes)
    if offer.code_lists:
        entry["code_lists"] = offer.code_lists
    text: str = yaml.safe_dump({"services": [entry]}, allow_unicode=True, sort_keys=False, width=100)
    return f"# A generated stand-in of {contract.id}, on this machine only.\n{text}"


def publish(folder: Path, name: str, content: str) -> Path:
    """Write a file for its owner alone, complete from the first moment it is seen."""
    folder.mkdir(parents=True, exist_ok=True)
    partial, file = folder / f".{name}.part", folder / name
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(content)
    partial.replace(file)
    return file


def same_members(schema: Mapping[str, object] | None, source: str) -> JsonObject:
    """Return the node that takes every member of a contract's object over under its own name.

    Args:
        schema: of the object, as the contract has it.
        source: the expression of the object it comes from, such as `request` or `answer`.
    """
    properties = (schema or {}).get("properties")
    required = (schema or {}).get("required") or []
    members: dict[str, JsonValue] = {}
    for name, rule in (properties if isinstance(properties, dict) else {}).items():
        node: dict[str, JsonValue] = {"from": f"{source}.{name}", "type": "any", "absent": []}
        if not isinstance(required, list) or name not in required:
            node["optional"] = True
        elif _may_be_null(rule):
            node["nullable"] = True
        members[name] = node
    return {"object": members}


def _may_be_null(rule: object) -> bool:
    named = rule.get("type") if isinstance(rule, dict) else None
    return named == "null" or (isinstance(named, list) and "null" in named)
