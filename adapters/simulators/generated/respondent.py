# SPDX-License-Identifier: Apache-2.0
"""What a generated stand-in knows: an answer to every question its contract allows, whatever protocol asks.

A recorded sample or an example of the contract answers the question it belongs to. Any other question gets
an invented answer that keeps to the contract and is about what was asked, the same for the same seed. Nobody
of the reserved area is known (`people.is_nobody`): a question about such people only finds "no record".
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from adapters.invention import Inventor, NothingFitsError, asked, is_nobody
from hub.contracts import FORMATS, PayloadSyntaxError, parse_json
from hub.errors import AdapterError, ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from adapters.ports import JsonObject, JsonValue
    from hub.clock import Clock
    from hub.contracts import Contract

REQUEST_FILE, RESPONSE_FILE = "request.json", "response.json"
_REQUEST_END, _ANSWER_END = ".request.json", ".answer.json"


class Outcome(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    NOT_FOUND = "not-found"
    INVALID = "invalid"


@dataclass(frozen=True)
class Said:
    """What a stand-in says to a question.

    Attributes:
        data: the answer in the contract's words; empty where there is none.
        reason: why the question was refused; places and rules, no values.
    """

    outcome: Outcome
    data: JsonObject
    reason: str = ""


class Samples:
    """Questions with their answers, as files `NAME.request.json` and `NAME.answer.json` of a folder.

    Args:
        known: questions and answers that need no file, such as a contract's examples.
        folder: where recorded ones lie; None for none.
        is_recording: whether what is answered is added to the folder.

    Raises:
        AdapterError: `adapter.configuration_invalid`, a sample cannot be read or has no answer.
    """

    def __init__(
        self,
        known: Mapping[str, JsonObject] | None = None,
        *,
        folder: Path | None = None,
        is_recording: bool = False,
    ) -> None:
        self._answers = dict(known or {})
        self._folder = folder
        self._is_recording = is_recording and folder is not None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.glob(f"*{_REQUEST_END}")):
                answer = file.with_name(file.name.removesuffix(_REQUEST_END) + _ANSWER_END)
                self._answers[key_of(_read_object(file))] = _read_object(answer)

    def find(self, question: JsonObject) -> JsonObject | None:
        """Return the recorded answer to a question."""
        return self._answers.get(key_of(question))

    def record(self, question: JsonObject, answer: JsonObject) -> None:
        """Keep a question and its answer, where they are to be recorded."""
        if not self._is_recording or self._folder is None:
            return
        name = key_of(question)[:16]
        for end, content in ((_ANSWER_END, answer), (_REQUEST_END, question)):
            file = self._folder / f"{name}{end}"
            partial = self._folder / f".{name}{end}.part"
            # What is recorded may be about people of a real system some day, so it is the owner's alone.
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as written:
                json.dump(content, written, ensure_ascii=False, indent=1)
            partial.replace(file)


def example_samples(folder: Path) -> dict[str, JsonObject]:
    """Return a contract's examples as samples: `request<x>.json` is answered by `response<x>.json`.

    Args:
        folder: the contract's, with `examples` in it.
    """
    samples: dict[str, JsonObject] = {}
    for file in sorted((folder / "examples").glob("request*.json")):
        answer = file.with_name("response" + file.name.removeprefix("request"))
        if answer.exists():
            samples[key_of(_read_object(file))] = _read_object(answer)
    return samples


@dataclass(frozen=True, kw_only=True)
class Respondent:
    """Answers the questions of one contract.

    Args:
        contract: what question and answer keep to.
        samples: what is answered as it was recorded.
        seed: decides every invented answer.
        clock: says what instants say.
    """

    contract: Contract
    samples: Samples
    seed: str
    clock: Clock

    def answer(self, question: JsonValue) -> Said:
        """Answer a question, refuse what breaks the contract, and know nobody of the reserved area."""
        content = json.dumps(question, ensure_ascii=False).encode("utf-8", "surrogatepass")
        try:
            parts = self.contract.check_request({REQUEST_FILE: content})
        except ContractError as error:
            return Said(Outcome.INVALID, {}, error.detail)
        request = parts[REQUEST_FILE]
        if not isinstance(request, dict):
            return Said(Outcome.INVALID, {}, "the request is no object")
        recorded = self.samples.find(request)
        if recorded is not None:
            return Said(Outcome.ANSWERED, recorded)
        if asks_for_nobody(request):
            return Said(Outcome.NOT_FOUND, {})
        data = self.invent(request)
        self.samples.record(request, data)
        return Said(Outcome.ANSWERED, data)

    def invent(self, request: JsonObject) -> JsonObject:
        """Return an answer to a request that keeps to the contract.

        Raises:
            AdapterError: `adapter.configuration_invalid`, no answer can be invented for this contract.
        """
        part = next((each for each in self.contract.response if each.schema is not None), None)
        if part is None or part.schema is None:
            return {}
        inventor = Inventor(
            root=part.schema, seed=f"{self.seed}/{key_of(request)}", now=self.clock.now(), formats=FORMATS
        )
        try:
            data = inventor.invent(part.schema, asked(request, FORMATS))
        except NothingFitsError as exc:
            detail = f"no answer can be invented for {self.contract.id}: {exc}"
            raise AdapterError("adapter.configuration_invalid", detail) from exc
        return data if isinstance(data, dict) else {}


def asks_for_nobody(request: JsonValue) -> bool:
    """Tell whether every person and company a question names is of the reserved area, and it names some."""
    known = asked(request, FORMATS).by_format
    named = [*known.get("resident-id", ()), *known.get("uscc", ())]
    return bool(named) and all(is_nobody(each) for each in named)


def key_of(value: JsonObject) -> str:
    """Return what two equal questions have in common, in whatever order their members stand."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read_object(file: Path) -> JsonObject:
    try:
        value = parse_json(file.read_bytes())
    except (OSError, PayloadSyntaxError) as exc:
        raise AdapterError("adapter.configuration_invalid", f"{file}: {exc}") from exc
    if not isinstance(value, dict):
        raise AdapterError("adapter.configuration_invalid", f"{file}: is no JSON object")
    return value
