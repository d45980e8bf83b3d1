# SPDX-License-Identifier: Apache-2.0
"""The contract test: what an adapter and the real system behind it have to show before they are switched on.

Questions are the contract's examples and the department's own samples. Each answer is held against the
contract by the code that checks every message. No record of somebody who does not exist may be made up, a
repetition must be answered alike, calls at the same time must not mix, the caller's time must be kept. The
test asks the real system; messages that make it do something (one-way, events) are sent only if they may be.

Source: docs/protocols/exchange.md sections 4 and 12 (what a gateway owes); contracts/README.md.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from adapters.ports import Call, DeferredError
from adapters.trials.cases import CaseKind, knows_nobody
from hub.clock import SystemClock
from hub.contracts import FORMATS, Pattern
from hub.envelope import Purpose
from hub.errors import AdapterError, ContractError, HubError
from hub.identifiers import SubsystemId, member_of, new_message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from adapters.configuration import ConfiguredAdapter
    from adapters.ports import Answer, JsonObject, JsonValue
    from adapters.trials.cases import Case
    from hub.clock import Clock
    from hub.contracts import Contract
    from hub.identifiers import MessageId

_logger = structlog.get_logger(__name__)

_AT_ONCE = 4
_PROBE_SECONDS = 10.0
_SHORT_SECONDS = 0.3
_GRACE_SECONDS = 3.0
"""What an adapter may take beyond its time until it has noticed; a machine may be busy."""


@dataclass(frozen=True)
class TrialCase:
    """What became of one case.

    Attributes:
        code: the stable code of a refusal, expected or not; empty for an answer.
        detail: the facts, without a person's values.
    """

    name: str
    passed: bool
    code: str
    detail: str
    seconds: float
    kind: CaseKind = CaseKind.EXAMPLE


@dataclass(frozen=True)
class Trial:
    """What a test found.

    Attributes:
        started_at: UTC.
    """

    service: str
    contract: str
    adapter_kind: str
    started_at: datetime
    cases: tuple[TrialCase, ...]

    @property
    def passed(self) -> bool:
        """Tell whether the adapter may be switched on."""
        return bool(self.cases) and all(case.passed for case in self.cases)


@dataclass(frozen=True)
class _Asked:
    """A question that was asked, and what came back."""

    case: Case
    result: TrialCase
    message_id: MessageId
    answer: JsonObject | None = None


def trial(  # noqa: PLR0913 - each by its name
    configured: ConfiguredAdapter,
    contract: Contract,
    cases: Sequence[Case],
    *,
    clock: Clock | None = None,
    may_act: bool = False,
    on_case: Callable[[int, int], None] = lambda _done, _of: None,
) -> Trial:
    """Put an adapter, and the real system behind it, to the test.

    Args:
        configured: the adapter, built as the gateway builds it.
        contract: what its service keeps to.
        cases: as `contract_cases` gathers them.
        clock: dates the test and its message ids.
        may_act: whether messages that make the system do something (one-way, events) may be sent.
        on_case: told how many steps are done, and of how many.
    """
    run = _Run(configured, contract, clock or SystemClock(), may_act=may_act)
    steps: list[Callable[[], list[TrialCase]]] = [
        run.connect,
        *(lambda case=case: [run.put(case)] for case in cases),
        run.has_answered,
        run.repeat,
        run.at_once,
        run.keep_time,
    ]
    found: list[TrialCase] = []
    started_at = run.clock.now()
    for number, step in enumerate(steps, start=1):
        found += step()
        on_case(number, len(steps))
    return Trial(configured.service, contract.id, configured.kind, started_at, tuple(found))


@dataclass
class _Run:
    """One test on its way."""

    configured: ConfiguredAdapter
    contract: Contract
    clock: Clock
    may_act: bool
    asked: list[_Asked] = field(default_factory=list)

    @property
    def _only_says(self) -> bool:
        return self.contract.pattern is Pattern.REQUEST

    def connect(self) -> list[TrialCase]:
        """Try whether the system is there."""
        start = time.monotonic()
        try:
            probe = self.configured.adapter.probe(min(_PROBE_SECONDS, self.configured.timeout_seconds))
        except HubError as error:
            return [_case("", CaseKind.CONNECTION, start, error=error)]
        reasons = "; ".join(finding.code for finding in probe.findings)
        code = "" if probe.is_reachable else "adapter.system_unreachable"
        return [replace(_case("", CaseKind.CONNECTION, start, reasons, code=code), passed=probe.is_reachable)]

    def put(self, case: Case) -> TrialCase:
        """Put one case, and judge it by what its kind expects."""
        start = time.monotonic()
        try:
            request = self._checked(case.request)
        except ContractError as error:
            return replace(
                _case(case.name, case.kind, start, error=error), passed=case.kind is CaseKind.INVALID
            )
        if case.kind is CaseKind.INVALID:
            return replace(_case(case.name, case.kind, start, "the contract allows it"), passed=False)
        if not (self._only_says or self.may_act):
            return _case(case.name, case.kind, start, "not sent: it would have an effect")
        told = self._ask(replace(case, request=request), new_message_id(self.clock.now()))
        result = told.result
        # A system need not know the invented people of an example; its department's samples it has to know.
        if result.code == "adapter.record_not_found":
            result = replace(result, passed=case.kind is not CaseKind.SAMPLE)
        elif told.answer is not None and case.kind is CaseKind.UNKNOWN and knows_nobody(told.answer):
            result = replace(
                result, passed=False, detail="a record was made up for somebody who does not exist"
            )
        if case.kind is not CaseKind.UNKNOWN:
            self.asked.append(replace(told, result=result))
        return result

    def has_answered(self) -> list[TrialCase]:
        """Hold that something was answered at all: a system that never finds anything shows nothing."""
        start = time.monotonic()
        if not self._only_says:
            return []
        count = len(self._answered)
        detail = f"{count} of {len(self.asked)}"
        is_promised = any(told.result.passed and told.result.detail == _DEFERRED for told in self.asked)
        return [replace(_case("", CaseKind.ANSWERED, start, detail), passed=count > 0 or is_promised)]

    def repeat(self) -> list[TrialCase]:
        """Ask the first answered question once more as the same message."""
        if not self._answered or not self.configured.is_repeatable:
            return []
        first = self._answered[0]
        again = self._ask(first.case, first.message_id)
        result = replace(again.result, kind=CaseKind.REPEATED)
        if again.answer is not None and _lasting(again.answer) != _lasting(first.answer):
            result = replace(result, passed=False, detail="the same message is answered otherwise")
        return [result]

    def at_once(self) -> list[TrialCase]:
        """Ask several questions at the same time; each has to get its own answer."""
        if not self._answered:
            return []
        start = time.monotonic()
        chosen = [self._answered[number % len(self._answered)] for number in range(_AT_ONCE)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            told = list(pool.map(lambda each: self._ask(each.case, new_message_id(self.clock.now())), chosen))
        case = _case(f"{_AT_ONCE}", CaseKind.AT_ONCE, start)
        for before, now in zip(chosen, told, strict=True):
            if now.answer is None:
                return [replace(case, passed=False, code=now.result.code, detail=now.result.detail)]
            if _lasting(now.answer) != _lasting(before.answer):
                return [replace(case, passed=False, detail=f"{before.case.name}: another answer than alone")]
        return [case]

    def keep_time(self) -> list[TrialCase]:
        """Give the system very little time: there has to be an answer or a refusal when it is over."""
        if not self._answered:
            return []
        first = self._answered[0]
        told = self._ask(first.case, new_message_id(self.clock.now()), seconds=_SHORT_SECONDS)
        is_kept = told.result.seconds <= _SHORT_SECONDS + _GRACE_SECONDS
        is_told = told.answer is not None or told.result.code == "adapter.system_timeout"
        result = replace(told.result, name=f"{_SHORT_SECONDS} s", kind=CaseKind.TIME_LIMIT)
        return [replace(result, passed=is_kept and is_told)]

    @property
    def _answered(self) -> list[_Asked]:
        return [told for told in self.asked if told.answer is not None and told.result.passed]

    def _checked(self, request: JsonValue) -> JsonObject:
        content = json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass")
        data = self.contract.check_request({"request.json": content})["request.json"]
        if not isinstance(data, dict):
            raise ContractError("contract.request_invalid", "request.json: type object")
        return data

    def _ask(self, case: Case, message_id: MessageId, *, seconds: float | None = None) -> _Asked:
        limit = self.configured.timeout_seconds if seconds is None else seconds
        start = time.monotonic()
        try:
            answer = self.configured.adapter.answer(_object(case.request), self._call(message_id, limit))
            if self._only_says:
                self._check(answer)
        except DeferredError:
            return _Asked(case, _case(case.name, case.kind, start, _DEFERRED), message_id)
        except HubError as error:
            return _Asked(case, _case(case.name, case.kind, start, error=error), message_id)
        except Exception as exc:
            # The gateway answers such a failure by a fault, and so does the test; the log has the trace.
            _logger.exception("trial.failed_unforeseen", service=self.configured.service)
            failed = AdapterError("adapter.system_fault", f"the adapter failed: {type(exc).__name__}")
            return _Asked(case, _case(case.name, case.kind, start, error=failed), message_id)
        result = _case(case.name, case.kind, start)
        if result.seconds > limit + _GRACE_SECONDS:
            late = AdapterError("adapter.system_timeout", f"answered only after {result.seconds:.1f} s")
            result = _case(case.name, case.kind, start, error=late)
        return _Asked(case, result, message_id, answer.data)

    def _check(self, answer: Answer) -> None:
        """Hold an answer against the contract as the gateway does."""
        parts = {"response.json": json.dumps(dict(answer.data), ensure_ascii=False).encode()}
        media_types = {"response.json": "application/json"}
        sizes: dict[str, int] = {}
        for document in answer.documents:
            media_types[document.name] = document.media_type
            if document.file is None:
                parts[document.name] = document.content
            else:
                sizes[document.name] = document.file.stat().st_size
        self.contract.check_response(parts, media_types, sizes)

    def _call(self, message_id: MessageId, seconds: float) -> Call:
        member = member_of(self.configured.service)
        return Call(
            message_id=message_id,
            conversation=message_id,
            service=self.configured.service,
            sender=SubsystemId(f"{member}/contract-test"),
            purpose=_PURPOSE,
            timeout_seconds=seconds,
            topic="contract-test" if self.contract.pattern is Pattern.EVENT else None,
        )


_DEFERRED = "the system will answer later"
_PURPOSE = Purpose(
    item="contract-test",
    case="contract-test",
    legal_basis="接口联调测试，不涉及真实业务 / contract test before activation",
    official="heliograph adapters test",
    post="contract-test",
)


def _case(  # noqa: PLR0913 - each by its name
    name: str,
    kind: CaseKind,
    start: float,
    detail: str = "",
    *,
    code: str = "",
    error: HubError | None = None,
) -> TrialCase:
    seconds = time.monotonic() - start
    if error is not None:
        return TrialCase(name, passed=False, code=error.code, detail=error.detail, seconds=seconds, kind=kind)
    return TrialCase(name, passed=True, code=code, detail=detail, seconds=seconds, kind=kind)


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _lasting(value: JsonValue) -> JsonValue:
    """Return an answer without what rightly differs from call to call: instants, and the file it came in."""
    if isinstance(value, dict):
        return {name: _lasting(member) for name, member in value.items() if name != "file"}
    if isinstance(value, list):
        return [_lasting(member) for member in value]
    return "instant" if isinstance(value, str) and FORMATS["instant"](value) else value
