# SPDX-License-Identifier: Apache-2.0
"""Reads the folders of `contracts/`, and proves every contract on its own examples before it is used.

Two independent validators look at each example: jsonschema-rs, which checks every message, and jsonschema,
which checks jsonschema-rs. Where they disagree the contract is refused, because then its words are ambiguous.

Source: contracts/README.md; JSON Schema 2020-12.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Never

import jsonschema
import jsonschema_rs
from jsonschema import FormatChecker
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.contracts.formats import FORMATS
from hub.contracts.model import Contract, DataClass, Part, Pattern, find_violations
from hub.contracts.payloads import JsonValue, PayloadSyntaxError, parse_json
from hub.contracts.promotion import KEY_NAME, LONGEST_VALUE, POINTER, KeyKind, Promotion, Side
from hub.contracts.retention import Retention, RetentionPeriod
from hub.contracts.secrecy import MOST_SECRET_BYTES, RESERVED_MEDIA_TYPE, RESERVED_SUFFIX
from hub.contracts.violations import pointer_of
from hub.errors import ContractError, Language
from hub.identifiers import ContractId, is_contract_id
from hub.yamlfile import YamlFileError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_STRICT = ConfigDict(extra="forbid", frozen=True)
_FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"


class _TitleRow(BaseModel):
    model_config = _STRICT
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class _PartRow(BaseModel):
    model_config = _STRICT
    file: str = Field(pattern=_FILE_NAME)
    media_type: str = Field(pattern=r"^[a-z]+/[a-z0-9.+-]+$")
    schema_file: str | None = Field(default=None, pattern=_FILE_NAME)
    required: bool
    max_bytes: int = Field(gt=0)


class _RetentionRow(BaseModel):
    model_config = _STRICT
    period: str
    basis: str = Field(min_length=1)


class _PromotedRow(BaseModel):
    model_config = _STRICT
    name: str = Field(pattern=f"^{KEY_NAME.pattern}$")
    where: Side
    pointer: str = Field(pattern=f"^{POINTER.pattern}$")
    kind: KeyKind


class _ContractRow(BaseModel):
    model_config = _STRICT
    id: str
    title: _TitleRow
    personal_data: DataClass
    sources: tuple[str, ...] = Field(min_length=1)
    request: tuple[_PartRow, ...]
    response: tuple[_PartRow, ...] = ()
    retention: _RetentionRow | None = None
    promoted: tuple[_PromotedRow, ...] = ()
    pattern: Pattern = Pattern.REQUEST
    order: Literal["none", "conversation"] = "none"
    end_to_end: bool = False


class _CounterExample(BaseModel):
    model_config = _STRICT
    why: str
    pointer: str
    keyword: str
    data: object


def load_contracts(folder: Path) -> Mapping[ContractId, Contract]:
    """Read every contract of a folder and try it on its examples.

    Args:
        folder: holds `<name>/v<N>/contract.yaml` with schemas and examples beside it.

    Raises:
        ContractError: `contract.folder_invalid`; the detail names the file and what is wrong with it.
    """
    files = sorted(folder.glob("*/v*/contract.yaml"))
    if not files:
        _refuse(folder, "holds no contract")
    contracts = [_load_contract(file) for file in files]
    _require_one_kind(folder, contracts)
    return {contract.id: contract for contract in contracts}


def _load_contract(file: Path) -> Contract:
    try:
        row = _ContractRow.model_validate(read_yaml(file))
    except (YamlFileError, ValidationError) as exc:
        _refuse(file, str(exc), exc)
    place = f"{file.parent.parent.name}/{file.parent.name}"
    if row.id != place or not is_contract_id(row.id):
        _refuse(file, f"says it is {row.id}, but stands in {place}")
    contract = Contract(
        id=ContractId(row.id),
        titles={Language.ZH: row.title.zh, Language.EN: row.title.en},
        data_class=row.personal_data,
        sources=row.sources,
        request=_load_parts(file, row.request),
        response=_load_parts(file, row.response),
        retention=_load_retention(file, row),
        pattern=row.pattern,
        is_ordered=row.order == "conversation",
        is_end_to_end=row.end_to_end,
    )
    if (contract.pattern is Pattern.REQUEST) != bool(contract.response):
        _refuse(file, "has a response exactly when its pattern is request")
    if contract.is_end_to_end:
        _require_secrecy(file, row, contract)
    promoted = tuple(_load_promotion(file, contract, each) for each in row.promoted)
    contract = replace(contract, promoted=promoted)
    _prove(contract, file.parent / "examples")
    return contract


def _require_secrecy(file: Path, row: _ContractRow, contract: Contract) -> None:
    """Refuse what cannot be kept from the hub, or cannot be done with what only one recipient opens."""
    if row.promoted:
        _refuse(file, "promotes values of payloads the hub cannot read")
    if contract.pattern is Pattern.EVENT:
        _refuse(file, "encrypts end to end what has many recipients")
    for part in (*contract.request, *contract.response):
        if part.max_bytes > MOST_SECRET_BYTES:
            _refuse(file, f"{part.file_name}: max_bytes of an encrypted part is at most {MOST_SECRET_BYTES}")


def _load_promotion(file: Path, contract: Contract, row: _PromotedRow) -> Promotion:
    parts = contract.request if row.where is Side.REQUEST else contract.response
    documents = [part.file_name for part in parts if part.schema is not None]
    if len(documents) != 1:
        _refuse(file, f"promotes {row.name} from the {row.where}, which has not exactly one JSON part")
    return Promotion(row.name, row.where, documents[0], row.pointer, row.kind)


def _require_one_kind(folder: Path, contracts: list[Contract]) -> None:
    """Who searches gives a name and a value; the name alone must say how it is compared."""
    kinds: dict[str, KeyKind] = {}
    for contract in contracts:
        for each in contract.promoted:
            if kinds.setdefault(each.name, each.kind) is not each.kind:
                _refuse(folder, f"{contract.id} promotes {each.name} as another kind than other contracts")


def _load_retention(file: Path, row: _ContractRow) -> Retention | None:
    if row.retention is None:
        if row.personal_data is not DataClass.NONE:
            _refuse(file, "carries personal data and does not say how long it is kept")
        return None
    try:
        return Retention(RetentionPeriod(row.retention.period), row.retention.basis)
    except ValueError as exc:
        _refuse(file, f"retention: {exc}", exc)


def _load_parts(file: Path, rows: tuple[_PartRow, ...]) -> tuple[Part, ...]:
    if len({row.file for row in rows}) != len(rows):
        _refuse(file, "names a part twice")
    return tuple(_load_part(file.parent, row) for row in rows)


def _load_part(folder: Path, row: _PartRow) -> Part:
    if row.file.endswith(RESERVED_SUFFIX) and row.media_type == RESERVED_MEDIA_TYPE:
        _refuse(folder / row.file, "has the name of an encrypted payload; `end_to_end` encrypts")
    part = Part(row.file, row.media_type, is_required=row.required, max_bytes=row.max_bytes)
    if row.schema_file is None:
        return part
    file = folder / row.schema_file
    schema = _read_json(file)
    if (
        not isinstance(schema, dict)
        or schema.get("$schema") != "https://json-schema.org/draft/2020-12/schema"
    ):
        _refuse(file, "is not a JSON Schema 2020-12")
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema_rs.Draft202012Validator(
            schema, formats=dict(FORMATS), validate_formats=True, ignore_unknown_formats=False, offline=True
        )
    except (jsonschema.SchemaError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as exc:
        _refuse(file, str(exc), exc)
    return Part(
        row.file,
        row.media_type,
        is_required=row.required,
        max_bytes=row.max_bytes,
        schema=schema,
        validator=validator,
    )


def _prove(contract: Contract, examples: Path) -> None:
    """Refuse a contract whose examples do not show what they should."""
    sides: tuple[tuple[Literal["request", "response"], tuple[Part, ...]], ...] = (
        ("request", contract.request),
        ("response", contract.response),
    )
    for side, parts in sides:
        for part in parts:
            if part.schema is None:
                continue
            good = sorted(examples.glob(f"{side}*.json"))
            bad = sorted((examples / "invalid").glob(f"{side}-*.json"))
            if not good or not bad:
                _refuse(examples, f"lacks a valid or an invalid example of the {side}")
            for file in good:
                _prove_accepted(part, file)
            for file in bad:
                _prove_refused(part, file)
    for each in contract.promoted:
        _prove_promoted(each, examples)


def _prove_promoted(promotion: Promotion, examples: Path) -> None:
    """Refuse a key that no example has, or whose values cannot be compared."""
    side = "request" if promotion.side is Side.REQUEST else "response"
    files = sorted(examples.glob(f"{side}*.json"))
    values = [key.normalised() for file in files for key in promotion.find(_read_json(file))]
    if not values:
        _refuse(examples, f"no example has the promoted key {promotion.name} at {promotion.pointer}")
    if any(not 0 < len(value) <= LONGEST_VALUE for value in values):
        _refuse(examples, f"a value of the promoted key {promotion.name} is empty or too long")


def _prove_accepted(part: Part, file: Path) -> None:
    value = _read_json(file)
    ours = [str(violation) for violation in find_violations(part, value)]
    theirs = sorted(cross_check(part, value))
    if ours or theirs:
        _refuse(file, f"should be valid, but {ours or theirs}")


def _prove_refused(part: Part, file: Path) -> None:
    try:
        example = _CounterExample.model_validate(_read_json(file))
    except ValidationError as exc:
        _refuse(file, str(exc), exc)
    data: JsonValue = _read_json(file, inside="data")
    ours = {(violation.pointer, violation.keyword) for violation in find_violations(part, data)}
    theirs = cross_check(part, data)
    if ours != {(example.pointer, example.keyword)} or theirs != ours:
        wanted = (example.pointer, example.keyword)
        said = f"jsonschema-rs says {sorted(ours)[:3]} and jsonschema {sorted(theirs)[:3]}"
        _refuse(file, f"should break only {wanted}, but {said}")


def cross_check(part: Part, value: JsonValue) -> set[tuple[str, str]]:
    """Ask the other validator: the places and keywords it objects to."""
    checker = FormatChecker(formats=())
    for name, holds in FORMATS.items():
        checker.checks(name)(lambda text, holds=holds: not isinstance(text, str) or holds(text))
    validator = jsonschema.Draft202012Validator(part.schema or {}, format_checker=checker)
    return {
        (pointer_of(list(error.absolute_path)), str(error.validator))
        for error in validator.iter_errors(value)
    }


def _read_json(file: Path, *, inside: str | None = None) -> JsonValue:
    try:
        value = parse_json(file.read_bytes())
    except (OSError, PayloadSyntaxError) as exc:
        _refuse(file, str(exc), exc)
    return value[inside] if inside is not None and isinstance(value, dict) else value


def _refuse(file: Path, reason: str, cause: Exception | None = None) -> Never:
    place = "/".join(file.parts[-4:])
    raise ContractError("contract.folder_invalid", f"{place}: {reason}") from cause
