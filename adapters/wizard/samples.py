# SPDX-License-Identifier: Apache-2.0
"""Samples: the contract's own example of a request, and what the system answers to it.

A sample call goes through the adapter as production does; only the mapping of its answer is left out, so that
the answer can be seen in the system's own words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.contracts import PayloadSyntaxError, parse_json
from hub.errors import AdapterError
from hub.identifiers import ContractId

if TYPE_CHECKING:
    from pathlib import Path

    from adapters.console import Administrator, Workbench
    from adapters.ports import JsonObject, JsonValue
    from adapters.sources import Operation
    from adapters.wizard.drafts import Draft
    from adapters.wizard.library import Library

MOST_SAMPLE_BYTES = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Finds, reads and makes samples.

    Attributes:
        contracts_folder: where the contracts' examples lie.
    """

    library: Library
    bench: Workbench
    contracts_folder: Path

    def request_of(self, contract: str) -> str:
        """Return the contract's first example of a request; an empty object where it has none."""
        file = self.contracts_folder / contract / "examples" / "request.json"
        if ContractId(contract) not in self.bench.contracts or not file.is_file():
            return "{}"
        return file.read_text(encoding="utf-8")

    @staticmethod
    def read(text: str) -> JsonValue:
        """Read a sample; None for one that is no JSON."""
        try:
            return parse_json(text.encode())
        except PayloadSyntaxError:
            return None

    def operation_of(self, draft: Draft) -> Operation | None:
        """Return the operation a draft has chosen; None for one that was described by hand."""
        if not draft.source or not draft.operation:
            return None
        operations = self.library.read(draft.kind, draft.source).operations
        return next((each for each in operations if each.name == draft.operation), None)

    def ask(self, draft: Draft, who: Administrator) -> str:
        """Ask the system, and return its answer as JSON text.

        Raises:
            AdapterError: whatever an adapter may raise; `adapter.sample_invalid`: the sample is no object.
            DeferredError: it will answer later.
        """
        request = self.require_object(draft.sample_request)
        answer = self.bench.ask_once(draft.text, request, who)
        return json.dumps(answer, ensure_ascii=False, indent=2)

    @staticmethod
    def require_object(text: str) -> JsonObject:
        """Read a sample that has to be an object.

        Raises:
            AdapterError: `adapter.sample_invalid`.
        """
        try:
            value = parse_json(text.encode())
        except PayloadSyntaxError as exc:
            raise AdapterError("adapter.sample_invalid", str(exc)) from exc
        if not isinstance(value, dict):
            raise AdapterError("adapter.sample_invalid", "not a JSON object")
        return value
