# SPDX-License-Identifier: Apache-2.0
"""The last steps: the connection and the contract are tested, the version is switched on or proposed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from adapters.console.problems import status_of
from adapters.wizard.pages import Call, Desk, Page
from adapters.wizard.samples import Samples
from hub.errors import AdapterError, HubError
from hub.identifiers import ContractId, ServiceId

if TYPE_CHECKING:
    from starlette.responses import Response

    from adapters.console import Workbench
    from adapters.ports import JsonObject
    from adapters.register import AdapterVersion
    from adapters.wizard.drafts import Draft, KeptDraft
    from adapters.wizard.ports import ContractTest

_LONGEST_NOTE = 500
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class EndPages:
    """The pages of the tests and of switching on."""

    desk: Desk
    bench: Workbench
    contract_test: ContractTest | None

    def pages(self) -> tuple[Page, ...]:
        """Return the pages."""
        return (
            Page(path="/drafts/{draft}/tests", answer=self.show_tests),
            Page(path="/drafts/{draft}/tests", answer=self.test, method="POST"),
            Page(path="/drafts/{draft}/activation", answer=self.show_activation),
            Page(path="/drafts/{draft}/activation", answer=self.activate, method="POST"),
        )

    def show_tests(self, call: Call) -> Response:
        """Show what was tested."""
        return self._tests(call, self.desk.find(call))

    def test(self, call: Call) -> Response:
        """Run one of the tests."""
        kept = self.desk.find_as_seen(call)
        which = call.form.get("do", "")
        try:
            draft = self._tested(kept.draft, which)
        except HubError as error:
            return self._tests(call, kept, error)
        kept = self.desk.keep(call, kept, draft, step="tests")
        return self.desk.lead_to(call, kept, "tests", f"#{'probe' if which == 'probe' else 'trial'}")

    def show_activation(self, call: Call) -> Response:
        """Show what would change."""
        return self._activation(call, self.desk.find(call))

    def activate(self, call: Call) -> Response:
        """Keep the description as a version, and let it answer unless somebody else has to agree first."""
        kept = self.desk.find_as_seen(call)
        note = " ".join(call.form.get("note", "").split())
        try:
            if not note or len(note) > _LONGEST_NOTE:
                raise AdapterError("adapter.description_incomplete", "note: say in one line what it is for")
            version = self._kept(kept.draft, note, call.signed_in.name)
            if call.form.get("do") == "activate":
                base = call.form.get("base", "")
                version = self.bench.register.activate(
                    version.service, version.number, call.signed_in.name, base=base
                )
        except HubError as error:
            return self._activation(call, kept, error)
        self.desk.drafts.drop(kept.id)
        return call.lead_to(f"/adapters/{version.service}/versions#version-{version.number}")

    def _kept(self, draft: Draft, note: str, by: str) -> AdapterVersion:
        version = self.bench.register.save(draft.text, by, note)
        trial = draft.tested.trial
        if trial is not None:
            cases = trial["cases"]
            passed = [case for case in cases if case["passed"]]
            self.bench.register.note_test(
                version.service,
                version.number,
                by,
                has_passed=bool(trial["passed"]),
                note=f"{len(passed)}/{len(cases)}",
            )
        return version

    def _tested(self, draft: Draft, which: str) -> Draft:
        if which == "probe" or self.contract_test is None:
            return draft.checked(probe=dict(self.bench.probe(draft.text).as_json()))
        configured = self.bench.register.try_out(draft.text)
        try:
            contract = self.bench.contracts[ContractId(draft.contract)]
            return draft.checked(trial=self.contract_test(configured, contract, self._sample(draft)))
        finally:
            configured.adapter.close()

    @staticmethod
    def _sample(draft: Draft) -> JsonObject | None:
        value = Samples.read(draft.sample_request)
        return value if isinstance(value, dict) and draft.sample_answer else None

    def _tests(self, call: Call, kept: KeptDraft, error: HubError | None = None) -> Response:
        checks = kept.draft.tested
        return call.render(
            "tests.html",
            status=status_of(error) if error else 200,
            error=error,
            kept=kept,
            step="tests",
            probe=checks.probe,
            trial=checks.trial,
            has_contract_test=self.contract_test is not None,
            is_outdated=bool(kept.draft.checks.digest) and not checks.digest,
        )

    def _activation(self, call: Call, kept: KeptDraft, error: HubError | None = None) -> Response:
        draft, diff, is_new = kept.draft, "", True
        running = ""
        try:
            [change] = self.bench.register.plan(f"services:\n{_indented(draft.text)}").changes
            diff, is_new = change.diff, change.kind == "added"
            running = self.bench.register.running_text(ServiceId(draft.service))
        except HubError as problem:
            error = error or problem
        return call.render(
            "activation.html",
            status=status_of(error) if error else 200,
            error=error,
            kept=kept,
            step="activation",
            diff=diff.splitlines(),
            is_new=is_new,
            base=hashlib.sha256(running.encode()).hexdigest() if running else "",
            four_eyes=self.bench.register.has_four_eyes,
            checks=draft.tested,
            note=call.form.get("note", ""),
        )


def _indented(text: str) -> str:
    first, *others = text.splitlines()
    return "\n".join([f"  - {first}", *(f"    {line}" for line in others)]) + "\n"
