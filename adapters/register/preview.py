# SPDX-License-Identifier: Apache-2.0
"""A mapping tried on a sample: what production would give, field by field, and what is wrong with it.

The result is what `adapters.entry.Translation` gives, the code that answers real messages; a second, observed
run of the same mapping tells of each field. Nothing is asked and nothing is kept: samples may be people's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.configuration import read_entries
from adapters.descriptions import parse_description
from adapters.expressions import Expression
from adapters.ports import Call, DeferredError
from adapters.register.observing import MappedField, Notes, ObservedMapping
from adapters.register.reading import Places
from adapters.register.required import unfilled_of_schema, unfilled_of_shape
from adapters.register.rules import split
from hub.clock import SystemClock
from hub.contracts import PayloadSyntaxError, Violation, find_violations, parse_json
from hub.envelope import Purpose
from hub.errors import AdapterError, Language
from hub.identifiers import ServiceId, new_message_id, subsystem_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.entry import ServiceEntry, Translation
    from adapters.ports import JsonObject, JsonValue
    from adapters.register.observing import Loss
    from adapters.sources import Operation
    from hub.clock import Clock
    from hub.contracts import Contract, Part

_MOST_VIOLATIONS = 200
_SAMPLE_PURPOSE = Purpose(
    item="000000000000", case="SAMPLE", legal_basis="sample", official="sample", post="sample"
)


@dataclass(frozen=True)
class Refusal:
    """Why production would give no result.

    Attributes:
        code: of the error; `deferred` where the system says that it answers later.
    """

    code: str
    detail: str


@dataclass(frozen=True)
class Side:
    """One direction of a mapping.

    Attributes:
        result: what production would give; None where it would refuse or nothing was tried.
        refusal: why it would refuse.
        fields: every field of the result, in order, tried one by one.
        unmapped: what the other side requires and nothing fills: of the contract for an answer, of the
            legacy operation for a request.
        unread: places of the sample that nothing looks at.
        lossy: places where something is dropped.
        violations: where the contract's own part is broken: the sample of a request, the result of an answer.
        is_tried: whether there was a sample.
    """

    result: JsonValue = None
    refusal: Refusal | None = None
    fields: tuple[MappedField, ...] = ()
    unmapped: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    lossy: tuple[Loss, ...] = ()
    violations: tuple[Violation, ...] = ()
    is_tried: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether production would give a result that keeps to the contract."""
        return self.is_tried and self.refusal is None and not self.violations and not self.unmapped

    def as_json(self) -> JsonObject:
        """Return it as the API and `--json` show it."""
        return {
            "is_tried": self.is_tried,
            "is_sound": self.is_sound,
            "result": self.result,
            "refusal": None if self.refusal is None else vars(self.refusal),
            "fields": [vars(each) for each in self.fields],
            "unmapped": list(self.unmapped),
            "unread": list(self.unread),
            "lossy": [{**vars(each), "reason": each.reason.value} for each in self.lossy],
            "violations": [_violation(each) for each in self.violations],
        }


@dataclass(frozen=True)
class Preview:
    """Both directions of a service's mapping."""

    request: Side
    answer: Side

    @property
    def is_sound(self) -> bool:
        """Whether what was tried holds."""
        tried = [side for side in (self.request, self.answer) if side.is_tried]
        return bool(tried) and all(side.is_sound for side in tried)

    def as_json(self) -> JsonObject:
        """Return it as the API and `--json` show it."""
        return {"request": self.request.as_json(), "answer": self.answer.as_json()}


def preview(  # noqa: PLR0913 - each by its name
    text: str,
    *,
    contract: Contract,
    sample_request: JsonObject | None = None,
    sample_answer: JsonValue = None,
    operation: Operation | None = None,
    clock: Clock | None = None,
    call: Call | None = None,
) -> Preview:
    """Try a description's mappings on samples.

    Args:
        text: the description of one service.
        contract: what the service keeps to.
        sample_request: a `request.json` of the contract; the answer's mapping sees it too.
        sample_answer: what the legacy system answers, as its adapter reads it; None tries no answer.
        operation: of the legacy system, where it is known what it requires.
        clock: says when the answer was retrieved.
        call: who asks; somebody made up without it.

    Raises:
        AdapterError: `adapter.configuration_invalid`: the description cannot be read, is of another contract,
            or has no mappings.
    """
    clock = clock or SystemClock()
    entry = _entry(text, contract, clock)
    translation = entry.translation
    call = call or _sample_call(entry, clock)
    asked: JsonObject = sample_request or {}
    return Preview(
        _request_side(entry, translation, sample_request, call, contract, operation),
        _answer_side(translation, sample_answer, asked, call, contract),
    )


def _entry(text: str, contract: Contract, clock: Clock) -> ServiceEntry:
    entries = split(text)
    if len(entries) != 1:
        raise AdapterError("adapter.configuration_invalid", "services: one at a time is tried")
    [canonical] = entries.values()
    content = {"services": [parse_description(canonical, at="description")]}
    [(entry, _kind)] = read_entries(
        content, at="description", folder=Path("/nonexistent"), clock=clock, environment={}
    )
    if entry.contract != contract.id:
        raise AdapterError("adapter.configuration_invalid", f"{entry.at}.contract: is not {contract.id}")
    return entry


def _request_side(  # noqa: PLR0913, PLR0917 - what a request is made of
    entry: ServiceEntry,
    translation: Translation,
    sample: JsonObject | None,
    call: Call,
    contract: Contract,
    operation: Operation | None,
) -> Side:
    root = translation.request.root
    unmapped = () if operation is None else unfilled_of_shape(operation.request, root)
    if sample is None:
        return Side(unmapped=unmapped)
    result, refusal = _tried(lambda: _words(entry, translation, sample, call))
    places, notes = Places(sample), Notes()
    observed = replace(translation, request=ObservedMapping(translation.request, places, notes))
    copy = places.sample if isinstance(places.sample, dict) else {}
    items = _items_source(entry)
    if items is not None:
        places.note_elements(items, {"request": copy})
    _tried(lambda: _words(entry, observed, copy, call))
    return Side(
        result,
        refusal,
        tuple(notes.fields),
        unmapped,
        places.unread,
        notes.all_losses,
        _violations(_json_part(contract.request), sample),
        is_tried=True,
    )


def _answer_side(
    translation: Translation, sample: JsonValue, asked: JsonObject, call: Call, contract: Contract
) -> Side:
    part = _json_part(contract.response)
    root = translation.response.root
    unmapped = () if part is None else unfilled_of_schema(part.schema or {}, root)
    if sample is None:
        return Side(unmapped=unmapped)
    result, refusal = _tried(lambda: translation.to_contract(sample, asked, call))
    places, notes = Places(sample), Notes()
    observed = replace(translation, response=ObservedMapping(translation.response, places, notes))
    for outcome in translation.outcomes:
        places.note(outcome.when, {"answer": places.sample, "request": asked})
    _tried(lambda: observed.to_contract(places.sample, asked, call))
    return Side(
        result,
        refusal,
        tuple(notes.fields),
        unmapped,
        places.unread,
        notes.all_losses,
        () if refusal is not None else _violations(part, result),
        is_tried=True,
    )


def _tried(work: Callable[[], JsonValue]) -> tuple[JsonValue, Refusal | None]:
    try:
        return work(), None
    except DeferredError as error:
        return None, Refusal("deferred", str(error))
    except AdapterError as error:
        return None, Refusal(error.code, error.detail)


def _words(entry: ServiceEntry, translation: Translation, request: JsonObject, call: Call) -> JsonValue:
    """Return the request in the system's words, once for each element where it is asked once for each."""
    source = _items_source(entry)
    if source is None:
        return translation.to_system(request, call)
    elements = source.evaluate({"request": request}, at="for_each")
    if not isinstance(elements, list):
        raise AdapterError("adapter.mapping_failed", "for_each: is not an array")
    return [translation.to_system(request, call, item=element) for element in elements]


def _items_source(entry: ServiceEntry) -> Expression | None:
    """Return the array over which a REST service is asked element by element."""
    source = entry.connection.get("for_each")
    try:
        return Expression(source) if isinstance(source, str) else None
    except ValueError as error:
        raise AdapterError("adapter.configuration_invalid", f"{entry.at}.connection.for_each") from error


def _json_part(parts: tuple[Part, ...]) -> Part | None:
    return next((part for part in parts if part.schema is not None), None)


def _violations(part: Part | None, value: JsonValue) -> tuple[Violation, ...]:
    if part is None:
        return ()
    try:
        # As it would travel: text that is not UTF-8 and numbers out of range show here.
        read = parse_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except PayloadSyntaxError as error:
        return (Violation(part.file_name, "", "json", str(error)),)
    return find_violations(part, read, most=_MOST_VIOLATIONS)


def _violation(violation: Violation) -> dict[str, Any]:
    return {
        "pointer": violation.pointer,
        "keyword": violation.keyword,
        "limit": violation.limit,
        "message": {language.value: violation.describe(language) for language in Language},
    }


def _sample_call(entry: ServiceEntry, clock: Clock) -> Call:
    message_id = new_message_id(clock.now())
    sender = subsystem_of(ServiceId(entry.service))
    return Call(message_id, message_id, entry.service, sender, _SAMPLE_PURPOSE, entry.timeout_seconds)
