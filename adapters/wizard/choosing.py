# SPDX-License-Identifier: Apache-2.0
"""Which operation of the source is asked; for which service and contract, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from adapters.console.problems import status_of
from adapters.wizard.drafts import Draft, KeptDraft, read_members, write_members
from adapters.wizard.pages import Call, Desk, Page
from adapters.wizard.places import places_of_shape
from adapters.wizard.rows import node_of
from adapters.wizard.skeletons import ADDRESS_OF
from adapters.wizard.suggesting import paths_of, suggested
from hub.errors import AdapterError
from hub.identifiers import is_service_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from adapters.console import Workbench
    from adapters.ports import JsonValue
    from adapters.sources import Operation
    from adapters.wizard.library import Library
    from adapters.wizard.samples import Samples
    from hub.identifiers import SubsystemId

_LONGEST_SECONDS = 3600
_USUAL_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class ChoicePages:
    """The pages that choose the operation, and the service."""

    desk: Desk
    library: Library
    bench: Workbench
    subsystems: frozenset[SubsystemId]
    samples: Samples

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/drafts/{draft}/operation", answer=self.show_operations),
            Page(path="/drafts/{draft}/operation", answer=self.choose_operation, method="POST"),
            Page(path="/drafts/{draft}/service", answer=self.show_service),
            Page(
                path="/drafts/{draft}/service", answer=self.choose_service, method="POST", most_bytes=300_000
            ),
        )

    def show_operations(self, call: Call) -> Response:
        """Show what was found in the source, and the operations it offers."""
        return self._operations(call, self.desk.find(call))

    def choose_operation(self, call: Call) -> Response:
        """Take an operation's connection into the description."""
        kept = self.desk.find_as_seen(call)
        source = self.library.read(kept.draft.kind, kept.draft.source)
        chosen = next(
            (
                each
                for each in source.operations
                if each.name == call.form.get("operation") and each.is_usable
            ),
            None,
        )
        if chosen is None:
            return self._operations(call, kept, AdapterError("adapter.source_refused", "no operation"))
        kept = self.desk.keep(call, kept, self._taken(kept.draft, chosen), step="operation")
        return self.desk.lead_to(call, kept, "service")

    def show_service(self, call: Call) -> Response:
        """Ask for whom the adapter answers, and where its system is."""
        return self._service(call, self.desk.find(call))

    def choose_service(self, call: Call) -> Response:
        """Take service, contract, address and the other settings into the description."""
        kept = self.desk.find_as_seen(call)
        try:
            draft = self._with_service(call.form, kept.draft)
        except AdapterError as error:
            return self._service(call, kept, error)
        draft = self._with_question(draft)
        kept = self.desk.keep(call, kept, draft, step="service")
        return self.desk.lead_to(call, kept, "question")

    def _operations(self, call: Call, kept: KeptDraft, error: AdapterError | None = None) -> Response:
        return call.render(
            "operation.html",
            status=422 if error else 200,
            error=error,
            kept=kept,
            step="operation",
            source=self.library.read(kept.draft.kind, kept.draft.source),
        )

    @staticmethod
    def _taken(draft: Draft, chosen: Operation) -> Draft:
        """Take an operation into a draft; what was decided about the former one's data does not fit it."""
        if chosen.name == draft.operation:
            return draft
        fresh = replace(draft, operation=chosen.name, sample_answer="")
        main = {"wsdl": draft.source} if draft.kind == "soap" else {}
        return fresh.described(connection={**chosen.connection, **main}, request=None, response=None)

    def _service(self, call: Call, kept: KeptDraft, error: AdapterError | None = None) -> Response:
        connection = dict(kept.draft.description.get("connection", {}))
        address = str(connection.pop(ADDRESS_OF.get(kept.draft.kind, ""), ""))
        _, _, code = kept.draft.service.rpartition("/")
        shown = {
            "subsystem": kept.draft.service.removesuffix(f"/{code}"),
            "code": code,
            "contract": kept.draft.contract,
            "address": address,
            "seconds": str(kept.draft.description.get("timeout_seconds", _USUAL_SECONDS)),
            "repeatable": "" if kept.draft.description.get("repeatable") is False else "yes",
            "connection": write_members(connection),
        }
        if error is not None:
            shown |= {name: call.form.get(name, "") for name in shown}
        return call.render(
            "service.html",
            status=status_of(error) if error else 200,
            error=error,
            kept=kept,
            step="service",
            shown=shown,
            subsystems=sorted(self.subsystems),
            contracts=sorted(self.bench.contracts.values(), key=lambda each: each.id),
        )

    def _with_service(self, form: Mapping[str, str], draft: Draft) -> Draft:
        service = f"{form.get('subsystem', '')}/{form.get('code', '').strip()}"
        if form.get("subsystem") not in self.subsystems or not is_service_id(service):
            raise AdapterError("adapter.description_incomplete", "code: the service has no such id")
        if form.get("contract") not in self.bench.contracts:
            raise AdapterError("adapter.description_incomplete", "contract: none was chosen")
        connection: dict[str, Any] = read_members(form.get("connection", ""), at="connection")
        address = form.get("address", "").strip()
        if address:
            connection = {ADDRESS_OF.get(draft.kind, "url"): address, **connection}
        changed = draft.described(
            service=service,
            contract=form["contract"],
            timeout_seconds=_seconds(form.get("seconds", "")),
            repeatable=None if form.get("repeatable") else False,
            connection=connection,
        )
        if changed.contract != draft.contract:
            changed = replace(changed, sample_request=self.samples.request_of(changed.contract))
        return changed

    def _with_question(self, draft: Draft) -> Draft:
        """Suggest how the system is asked, where nobody has said yet."""
        if draft.description.get("request") or not draft.operation:
            return draft
        operation = self.samples.operation_of(draft)
        if operation is None:
            return draft
        scope: Mapping[str, JsonValue] = {"request": self.samples.read(draft.sample_request) or {}}
        places = places_of_shape(operation.request)
        return draft.described(request=node_of(places, suggested(places, paths_of(scope))))


def _seconds(text: str) -> int | float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise AdapterError("adapter.description_incomplete", "seconds: not a number from 0 to 3600")
    return int(seconds) if seconds.is_integer() else seconds
