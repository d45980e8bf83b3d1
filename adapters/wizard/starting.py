# SPDX-License-Identifier: Apache-2.0
"""The first page, and where a registration begins: with a file, by hand, or with a version there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.console.problems import status_of
from adapters.descriptions import parse_description
from adapters.wizard.drafts import Draft
from adapters.wizard.pages import STEPS, Call, Desk, Page
from adapters.wizard.skeletons import KINDS_BY_HAND, SKELETONS
from hub.errors import AdapterError, HubError

if TYPE_CHECKING:
    from starlette.responses import Response

    from adapters.console import Workbench
    from adapters.register import AdapterVersion
    from adapters.wizard.library import Library
    from adapters.wizard.ports import Watch
    from hub.identifiers import ServiceId

MOST_SOURCE_BYTES = 25_000_000


@dataclass(frozen=True, kw_only=True)
class StartPages:
    """The list of adapters and drafts, and what begins, takes back and drops a draft."""

    desk: Desk
    bench: Workbench
    library: Library
    watch: Watch | None

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/", answer=self.show),
            Page(path="/new", answer=self.ask),
            Page(
                path="/new", answer=self.begin, method="POST", takes_files=True, most_bytes=MOST_SOURCE_BYTES
            ),
            Page(path="/changes", answer=self.begin_change, method="POST"),
            Page(path="/drafts/{draft}", answer=self.go_on),
            Page(path="/drafts/{draft}/source", answer=self.show_source),
            Page(
                path="/drafts/{draft}/source",
                answer=self.replace_source,
                method="POST",
                takes_files=True,
                most_bytes=MOST_SOURCE_BYTES,
            ),
            Page(path="/drafts/{draft}/undo", answer=self.undo, method="POST"),
            Page(path="/drafts/{draft}/end", answer=self.drop, method="POST"),
        )

    def show(self, call: Call) -> Response:
        """Show every adapter, how it fares, and the drafts."""
        rows = [
            (
                service,
                *_shown(self.bench.register.versions(service)),
                self.watch(service) if self.watch else None,
                self.bench.problem_of(service),
            )
            for service in self.bench.register.services()
        ]
        return call.render(
            "home.html", rows=rows, drafts=self.desk.drafts.all(), four_eyes=self.bench.register.has_four_eyes
        )

    def ask(self, call: Call) -> Response:
        """Ask what the system comes with."""
        return self._asked(call)

    def begin(self, call: Call) -> Response:
        """Begin a draft with a source."""
        try:
            draft = self._with_source(call, Draft())
        except AdapterError as error:
            return self._asked(call, error)
        kept = self.desk.drafts.begin(draft, call.signed_in.name)
        return self.desk.lead_to(call, kept, "operation" if draft.source else "service")

    def begin_change(self, call: Call) -> Response:
        """Begin a draft with what answers now, or with one version."""
        service, number = call.form.get("service", ""), call.form.get("number", "")
        known = {str(each): each for each in self.bench.register.services()}
        if service not in known:
            raise AdapterError("adapter.version_unknown", "no such service")
        text = self._text(known[service], number)
        description = parse_description(text, at=service)
        draft = Draft(kind=str(description.get("kind", "")), description=description)
        kept = self.desk.drafts.begin(draft, call.signed_in.name)
        return self.desk.lead_to(call, kept, "service")

    def go_on(self, call: Call) -> Response:
        """Lead to where the draft has got to."""
        kept = self.desk.find(call)
        return self.desk.lead_to(call, kept, next_step(kept.draft))

    def show_source(self, call: Call) -> Response:
        """Show the source, and ask for another one."""
        kept = self.desk.find(call)
        return self._asked(call, draft=kept)

    def replace_source(self, call: Call) -> Response:
        """Put another source in the place of the draft's."""
        kept = self.desk.find_as_seen(call)
        try:
            draft = self._with_source(call, kept.draft)
        except AdapterError as error:
            return self._asked(call, error, draft=kept)
        kept = self.desk.keep(call, kept, draft, step="source")
        return self.desk.lead_to(call, kept, "operation" if draft.source else "service")

    def undo(self, call: Call) -> Response:
        """Take the last step back, and show the page it was taken on."""
        kept = self.desk.find_as_seen(call)
        step = kept.undoes if kept.undoes in STEPS else "source"
        return self.desk.lead_to(call, self.desk.drafts.undo(kept), step)

    def drop(self, call: Call) -> Response:
        """Forget a draft."""
        self.desk.drafts.drop(self.desk.find_as_seen(call).id)
        return call.lead_to("/")

    def _asked(self, call: Call, error: HubError | None = None, draft: object = None) -> Response:
        status = status_of(error) if error else 200
        return call.render(
            "source.html",
            status=status,
            error=error,
            kept=draft,
            step="source",
            by_hand=KINDS_BY_HAND,
            by_file=self.library.readers,
        )

    def _with_source(self, call: Call, draft: Draft) -> Draft:
        """Return the draft with the source that a form brings.

        Raises:
            AdapterError: `adapter.source_refused`.
        """
        way, _, kind = call.form.get("way", "").partition("-")
        if way == "file" and kind in self.library.readers:
            path = self.library.keep(kind, [file for file in call.files if file.chosen_in == kind])
            fresh = Draft(kind=kind, source=path, description=dict(draft.description))
            return fresh.described(kind=kind)
        if way == "hand" and kind in KINDS_BY_HAND:
            fresh = Draft(kind=kind, description=dict(draft.description))
            return fresh.described(kind=kind, connection=dict(SKELETONS[kind]))
        raise AdapterError("adapter.source_refused", "nothing was chosen")

    def _text(self, service: ServiceId, number: str) -> str:
        if not number:
            return self.bench.register.running_text(service)
        if not number.isascii() or not number.isdecimal() or len(number) > 9:
            raise AdapterError("adapter.version_unknown", "not a version's number")
        return self.bench.register.version(service, int(number)).text


def next_step(draft: Draft) -> str:
    """Return the first step that is not done."""
    description = draft.description
    has_answer = bool(description.get("response"))
    done = {
        "source": bool(draft.kind),
        "operation": not draft.source or bool(draft.operation) or bool(description.get("connection")),
        "service": bool(draft.service and draft.contract),
        "question": bool(description.get("request")),
        "sample": has_answer or bool(draft.sample_answer),
        "answer": has_answer,
        "tests": draft.tested.probe is not None,
    }
    return next((step for step in STEPS if not done.get(step)), STEPS[-1])


def _shown(
    versions: tuple[AdapterVersion, ...],
) -> tuple[AdapterVersion | None, AdapterVersion | None]:
    """Return the version that answers, and the newest one where that is another."""
    active = next((each for each in versions if each.state == "active"), None)
    newest = versions[-1] if versions else None
    return active, newest if newest is not active else None
