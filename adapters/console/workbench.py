# SPDX-License-Identifier: Apache-2.0
"""What administrators work with: the API and the pages both use exactly this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.descriptions import parse_description
from adapters.register import Preview, preview
from adapters.register.rules import split
from adapters.register.sampling import sample_answer
from adapters.trials import Case, CaseKind, contract_cases, trial
from hub.errors import AdapterError
from hub.identifiers import ContractId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from adapters.console.administrators import Administrator, Administrators
    from adapters.ports import JsonObject, JsonValue
    from adapters.register import AdapterRegister, AdapterVersion, LiveServices
    from adapters.register.files import SourceFiles
    from adapters.sources import Operation, Probe
    from adapters.trials import Trial
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.identifiers import MemberId, ServiceId

PROBE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """A gateway's register and what surrounds it.

    Attributes:
        member: whose gateway it is.
        administrators: check who calls.
        live: what answers now.
        contracts: those this gateway has.
        files: what descriptions name is kept here.
        contracts_folder: where the contracts lie, with the examples that adapters are tested with.
    """

    member: MemberId
    register: AdapterRegister
    administrators: Administrators
    live: LiveServices
    contracts: Mapping[ContractId, Contract]
    files: SourceFiles
    clock: Clock
    contracts_folder: Path | None = None

    def apply(
        self,
        text: str,
        who: Administrator,
        *,
        note: str = "",
        is_whole: bool = False,
        bases: Mapping[str, str] | None = None,
    ) -> tuple[AdapterVersion, ...]:
        """Make what answers as a file says: save what differs, and activate it where nobody has to approve.

        Every change is checked before the first is made. With four eyes or a test that is needed, what is not
        ready stays saved and waits.

        Args:
            text: YAML with `services:`.
            who: decides it.
            note: why.
            is_whole: whether registered services that the text leaves out are retired.
            bases: by service, the digest of what answered when the person looked at the plan.

        Raises:
            AdapterError: as `AdapterRegister.plan`, `save` and `activate`; `adapter.version_conflict`: the
                plan is another one by now.
        """
        plan = self.register.plan(text, is_whole=is_whole)
        if bases is not None and {each.service: each.base for each in plan.changes} != bases:
            raise AdapterError("adapter.version_conflict", "what answers has changed since the plan")
        texts = split(text)
        done = []
        for change in plan.changes:
            if change.kind == "same":
                continue
            if change.kind == "removed":
                done.append(self.register.retire(change.service, who.name))
                continue
            version = self.register.save(texts[change.service], who.name, note)
            if self.register.is_ready(version):
                version = self.register.activate(version.service, version.number, who.name, base=change.base)
            done.append(version)
        return tuple(done)

    def preview(
        self,
        text: str,
        *,
        sample_request: JsonObject | None = None,
        sample_answer: JsonValue = None,
        operation: Operation | None = None,
    ) -> Preview:
        """Try a description's mappings on samples; see `adapters.register.preview`."""
        return preview(
            text,
            contract=self.contract_of(text),
            sample_request=sample_request,
            sample_answer=sample_answer,
            operation=operation,
            clock=self.clock,
        )

    def contract_of(self, text: str) -> Contract:
        """Return the contract a description keeps to.

        Raises:
            AdapterError: `adapter.configuration_invalid`, this gateway does not have it.
        """
        [canonical, *others] = split(text).values()
        named = parse_description(canonical, at="description").get("contract")
        contract = self.contracts.get(ContractId(named)) if isinstance(named, str) else None
        if contract is None or others:
            raise AdapterError("adapter.configuration_invalid", "contract: unknown at this gateway")
        return contract

    def probe(self, text: str, seconds: float = PROBE_SECONDS) -> Probe:
        """Try whether the system a description describes can be reached, without any effect there.

        Raises:
            AdapterError: `adapter.configuration_invalid`.
        """
        configured = self.register.try_out(text)
        try:
            return configured.adapter.probe(seconds)
        finally:
            configured.adapter.close()

    def test(
        self,
        service: ServiceId,
        number: int,
        who: Administrator,
        *,
        samples: Sequence[JsonObject] = (),
        may_act: bool = False,
    ) -> Trial:
        """Put a version and the real system behind it to its contract's test, and note what that gave.

        Args:
            service: whose.
            number: of the version.
            who: asks for it.
            samples: questions about records the system has.
            may_act: whether messages that make it do something may be sent.

        Raises:
            AdapterError: `adapter.version_unknown`, `adapter.configuration_invalid`.
        """
        version = self.register.version(service, number)
        contract = self.contract_of(version.text)
        cases: list[Case] = []
        if self.contracts_folder is not None:
            cases += contract_cases(self.contracts_folder, contract)
        cases += [Case(f"{place}", CaseKind.SAMPLE, each) for place, each in enumerate(samples, start=1)]
        configured = self.register.try_out(version.text)
        try:
            found = trial(configured, contract, cases, clock=self.clock, may_act=may_act)
        finally:
            configured.adapter.close()
        passed = sum(case.passed for case in found.cases)
        note = f"{passed}/{len(found.cases)}"
        self.register.note_test(service, number, who.name, has_passed=found.passed, note=note)
        return found

    def ask_once(self, text: str, request: JsonObject, who: Administrator) -> JsonValue:
        """Ask the described system once, for real; see `adapters.register.sampling`."""
        return sample_answer(text, request, build=self.register.try_out, by=who.name, clock=self.clock)

    def problem_of(self, service: ServiceId) -> AdapterError | None:
        """Return why an active version cannot answer; None where it can."""
        return self.live.problem_of(service)
