# SPDX-License-Identifier: Apache-2.0
"""Mapping, both ways: a table beside what a sample gives and what the contract says of it, or YAML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from adapters.console.problems import status_of
from adapters.descriptions import parse_description
from adapters.values import ValueType
from adapters.wizard.drafts import Draft, KeptDraft, read_members, write_members
from adapters.wizard.pages import Call, Desk, Page
from adapters.wizard.rows import Missing, NotATableError, node_of, rows_of
from adapters.wizard.suggesting import paths_of, suggested
from adapters.wizard.tables import (
    lines_of,
    places_of_contract,
    places_of_question,
    report_of,
    rows_of_form,
)
from hub.errors import AdapterError, ContractError
from hub.identifiers import ContractId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from adapters.console import Workbench
    from adapters.register import Preview
    from adapters.sources import Operation
    from adapters.wizard.places import Place
    from adapters.wizard.rows import Row
    from adapters.wizard.samples import Samples

MOST_TABLE_BYTES = 600_000
MOST_TABLE_FIELDS = 4_000


@dataclass(frozen=True, kw_only=True)
class _Direction:
    """One of the two mappings, as its page needs it.

    Attributes:
        step: the last part of its page's address.
        node: which member of a description has it.
        after: the step that follows.
    """

    step: str
    node: str
    after: str


_QUESTION = _Direction(step="question", node="request", after="sample")
_ANSWER = _Direction(step="answer", node="response", after="tests")


@dataclass(frozen=True, kw_only=True)
class MappingPages:
    """The pages that map a question and an answer, and the one that shows the whole description."""

    desk: Desk
    samples: Samples
    bench: Workbench

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        ways = [
            (_QUESTION, self.show_question, self.take_question),
            (_ANSWER, self.show_answer, self.take_answer),
        ]
        return (
            *(Page(path=f"/drafts/{{draft}}/{way.step}", answer=show) for way, show, _ in ways),
            *(
                Page(
                    path=f"/drafts/{{draft}}/{way.step}",
                    answer=take,
                    method="POST",
                    most_bytes=MOST_TABLE_BYTES,
                    most_fields=MOST_TABLE_FIELDS,
                )
                for way, _, take in ways
            ),
            *(
                Page(
                    path=f"/drafts/{{draft}}/{way.step}/preview",
                    answer=try_out,
                    method="POST",
                    most_bytes=MOST_TABLE_BYTES,
                    most_fields=MOST_TABLE_FIELDS,
                )
                for way, try_out in ((_QUESTION, self.try_question), (_ANSWER, self.try_answer))
            ),
            Page(path="/drafts/{draft}/text", answer=self.show_text),
            Page(
                path="/drafts/{draft}/text", answer=self.take_text, method="POST", most_bytes=MOST_TABLE_BYTES
            ),
        )

    def show_question(self, call: Call) -> Response:
        """Show how the system is asked."""
        return self._show(call, self.desk.find(call), _QUESTION)

    def take_question(self, call: Call) -> Response:
        """Keep how the system is asked."""
        return self._take(call, _QUESTION)

    def show_answer(self, call: Call) -> Response:
        """Show how its answer is put into the contract's words."""
        return self._show(call, self.desk.find(call), _ANSWER)

    def take_answer(self, call: Call) -> Response:
        """Keep how its answer is put into the contract's words."""
        return self._take(call, _ANSWER)

    def try_question(self, call: Call) -> Response:
        """Show what the question's form would give, and keep nothing."""
        return self._try(call, _QUESTION)

    def try_answer(self, call: Call) -> Response:
        """Show what the answer's form would give, and keep nothing."""
        return self._try(call, _ANSWER)

    def show_text(self, call: Call) -> Response:
        """Show the whole description."""
        kept = self.desk.find(call)
        return call.render("text.html", error=None, kept=kept, step="text", text=kept.draft.text)

    def take_text(self, call: Call) -> Response:
        """Keep a description that was changed as a whole."""
        kept = self.desk.find_as_seen(call)
        text = call.form.get("text", "")
        try:
            description = read_members(text, at="description")
        except AdapterError as error:
            status = status_of(error)
            return call.render("text.html", status=status, error=error, kept=kept, step="text", text=text)
        draft = Draft(
            kind=str(description.get("kind", kept.draft.kind)),
            source=kept.draft.source,
            operation=kept.draft.operation,
            description=description,
            sample_request=kept.draft.sample_request,
            sample_answer=kept.draft.sample_answer,
        )
        kept = self.desk.keep(call, kept, draft, step="text")
        return self.desk.lead_to(call, kept, "text")

    def _take(self, call: Call, way: _Direction) -> Response:
        kept = self.desk.find_as_seen(call)
        try:
            draft = self._taken(call.form, kept.draft, way)
        except AdapterError as error:
            return self._show(call, kept, way, error)
        kept = self.desk.keep(call, kept, draft, step=way.step)
        if call.form.get("do") == "on":
            return self.desk.lead_to(call, kept, way.after)
        return self.desk.lead_to(call, kept, way.step, "#preview")

    def _try(self, call: Call, way: _Direction) -> Response:
        kept = self.desk.find_as_seen(call)
        try:
            draft = self._taken(call.form, kept.draft, way)
        except AdapterError as error:
            return self._show(call, kept, way, error)
        return self._show(call, replace(kept, draft=draft), way)

    def _taken(self, form: Mapping[str, str], draft: Draft, way: _Direction) -> Draft:
        if way is _ANSWER and "code_lists" in form:
            lists = read_members(form["code_lists"], at="code_lists")
            outcomes = parse_description(form.get("outcomes", "") or "[]", at="outcomes")
            draft = draft.described(code_lists=lists or None, outcomes=outcomes or None)
        if "node" in form:
            return draft.described(**{way.node: read_members(form["node"], at=way.node)})
        places = self._places(draft, way)
        return draft.described(**{way.node: node_of(places, rows_of_form(places, form))})

    def _show(
        self, call: Call, kept: KeptDraft, way: _Direction, error: AdapterError | None = None
    ) -> Response:
        draft = kept.draft
        if draft.contract not in self.bench.contracts:
            return self.desk.lead_to(call, kept, "service")
        try:
            places = self._places(draft, way)
            rows = self._rows(draft, way, places)
        except NotATableError:
            places, rows = (), None
        if error is not None and rows is not None:
            rows = rows_of_form(places, call.form)
        shown, mistake = self._previewed(draft, way, places, rows)
        mistake = error or mistake
        side = None if shown is None else (shown.request if way is _QUESTION else shown.answer)
        about = {"result_violations": way is _ANSWER}
        return call.render(
            "mapping.html",
            status=status_of(error) if error else 200,
            error=mistake,
            kept=kept,
            step=way.step,
            is_table=rows is not None,
            lines=lines_of(places, rows or {}, side, call.language, **about),
            report=report_of(side, places, call.language, **about),
            node=call.form.get("node") or write_members(draft.description.get(way.node)),
            code_lists=call.form.get("code_lists") or write_members(draft.description.get("code_lists")),
            outcomes=call.form.get("outcomes") or write_members(draft.description.get("outcomes")),
            paths=paths_of(self._scope(draft, way)),
            types=list(ValueType),
            missings=list(Missing),
            lists=sorted(draft.description.get("code_lists") or {}),
        )

    def _previewed(
        self, draft: Draft, way: _Direction, places: Sequence[Place], rows: Mapping[str, Row] | None
    ) -> tuple[Preview | None, AdapterError | None]:
        """Try the mappings on the samples, with what the page shows in place of what is kept."""
        if rows is not None:
            draft = draft.described(**{way.node: node_of(places, rows)})
        draft = draft.described(
            **{name: draft.description.get(name) or {"object": {}} for name in ("request", "response")}
        )
        try:
            return (
                self.bench.preview(
                    draft.text,
                    sample_request=self.samples.require_object(draft.sample_request or "{}"),
                    sample_answer=self.samples.read(draft.sample_answer) if draft.sample_answer else None,
                    operation=self._operation(draft),
                ),
                None,
            )
        except (AdapterError, ContractError) as error:
            return None, AdapterError(error.code, error.detail)

    def _places(self, draft: Draft, way: _Direction) -> tuple[Place, ...]:
        if way is _ANSWER:
            return places_of_contract(self.bench.contracts[ContractId(draft.contract)])
        return places_of_question(self._operation(draft), draft.description.get("request"))

    def _rows(self, draft: Draft, way: _Direction, places: Sequence[Place]) -> Mapping[str, Row]:
        """Return what the description says, or where it says nothing what could be meant."""
        node: Any = draft.description.get(way.node)
        if not node:
            return suggested(places, paths_of(self._scope(draft, way)))
        rows = rows_of(node)
        if not {place.pointer for place in places} >= rows.keys():
            raise NotATableError(way.node)
        return rows

    def _operation(self, draft: Draft) -> Operation | None:
        return self.samples.operation_of(draft)

    def _scope(self, draft: Draft, way: _Direction) -> dict[str, Any]:
        request = {"request": self.samples.read(draft.sample_request)}
        if way is _QUESTION:
            return request
        return {"answer": self.samples.read(draft.sample_answer), **request}
