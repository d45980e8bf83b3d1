# SPDX-License-Identifier: Apache-2.0
"""A contract: which parts a request and an answer have, and whether given ones keep to it.

Everything here is pure; the folder it comes from is read in `store`.

Source: contracts/README.md; JSON Schema 2020-12.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from hub.contracts.payloads import PayloadSyntaxError, parse_json
from hub.contracts.promotion import Side
from hub.contracts.secrecy import encrypted_violations
from hub.contracts.violations import MAX_SHOWN, Violation, pointer_of, summarise
from hub.errors import ContractError, Language

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import jsonschema_rs

    from hub.contracts.payloads import JsonObject, JsonValue
    from hub.contracts.promotion import BusinessKey, Promotion
    from hub.contracts.retention import Retention
    from hub.identifiers import ContractId

# What a file of this type starts with; a wrong label is caught before anybody opens the file.
_MAGIC = {"application/pdf": b"%PDF-"}


class DataClass(StrEnum):
    """How closely the law protects what a contract carries.

    Source: Personal Information Protection Law articles 4 and 28.
    """

    NONE = "none"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"


class Pattern(StrEnum):
    """What follows a message."""

    REQUEST = "request"
    """An answer."""
    ONE_WAY = "one-way"
    """Nothing but the recipient's receipt."""
    EVENT = "event"
    """The receipts of all who subscribed."""


@dataclass(frozen=True)
class Part:
    """One payload of a message.

    Args:
        schema: the JSON Schema it keeps to, for JSON parts; None for documents.
        validator: the compiled schema; present exactly when `schema` is.
    """

    file_name: str
    media_type: str
    is_required: bool
    max_bytes: int
    schema: JsonObject | None = None
    validator: jsonschema_rs.Draft202012Validator | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Contract:
    """What two departments have agreed to exchange, in one major version.

    Args:
        retention: how long the hub keeps messages under it; None leaves that to the hub's settings.
        promoted: the business keys its messages are found by.
        pattern: what follows a message.
        is_ordered: whether the messages of one conversation are delivered one after the other, as they came.
        is_end_to_end: whether payloads are encrypted to the recipient, so that the hub cannot read them.
    """

    id: ContractId
    titles: Mapping[Language, str]
    data_class: DataClass
    sources: tuple[str, ...]
    request: tuple[Part, ...]
    response: tuple[Part, ...]
    retention: Retention | None = None
    promoted: tuple[Promotion, ...] = ()
    pattern: Pattern = Pattern.REQUEST
    is_ordered: bool = False
    is_end_to_end: bool = False

    def promote(self, side: Side, documents: Mapping[str, JsonValue]) -> tuple[BusinessKey, ...]:
        """Return the business keys of a request or an answer.

        Args:
            side: which of the two.
            documents: its JSON parts, read, by file name.
        """
        return tuple(
            dict.fromkeys(
                key
                for promotion in self.promoted
                if promotion.side is side and promotion.file_name in documents
                for key in promotion.find(documents[promotion.file_name])
            )
        )

    def check_request(
        self,
        parts: Mapping[str, bytes],
        media_types: Mapping[str, str] | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> dict[str, JsonValue]:
        """Refuse a request that breaks this contract.

        Args:
            parts: every payload of the message, by file name.
            media_types: the types the message states for them, where it states any.
            sizes: of the payloads that are too large to be here, by file name; their content is not looked
                at.

        Returns:
            the JSON parts, read, by file name.

        Raises:
            ContractError: `contract.request_invalid`, the detail being the first violations.
        """
        return _check("contract.request_invalid", self.request, parts, media_types, sizes)

    def check_response(
        self,
        parts: Mapping[str, bytes],
        media_types: Mapping[str, str] | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> dict[str, JsonValue]:
        """Refuse an answer that breaks this contract; otherwise like `check_request`.

        Raises:
            ContractError: `contract.response_invalid`, the detail being the first violations.
        """
        return _check("contract.response_invalid", self.response, parts, media_types, sizes)

    def check_encrypted(self, side: Side, sizes: Mapping[str, int]) -> None:
        """Refuse encrypted payloads that are not those of this contract, by all that can be seen of them.

        Args:
            side: request or answer.
            sizes: bytes of every payload's content, by file name.

        Raises:
            ContractError: `contract.request_invalid` or `contract.response_invalid`.
        """
        is_request = side is Side.REQUEST
        agreed = self.request if is_request else self.response
        violations = list(encrypted_violations(agreed, sizes))
        if violations:
            code = "contract.request_invalid" if is_request else "contract.response_invalid"
            raise ContractError(code, summarise(violations))


def find_violations(part: Part, value: JsonValue, *, most: int = MAX_SHOWN + 1) -> tuple[Violation, ...]:
    """List where a JSON value breaks its part's schema, in document order.

    Args:
        part: a JSON part of a contract.
        value: its content, read.
        most: how many are looked for; by default one more than an error shows.
    """
    if part.validator is None or part.validator.is_valid(value):
        return ()
    found = [
        Violation(
            part.file_name, pointer_of(error.instance_path), error.kind.name, _limit(error.kind.as_dict())
        )
        for error in islice(part.validator.iter_errors(value), most)
    ]
    return tuple(sorted(found, key=lambda violation: (violation.pointer, violation.keyword)))


def _check(
    code: str,
    agreed: tuple[Part, ...],
    parts: Mapping[str, bytes],
    media_types: Mapping[str, str] | None,
    sizes: Mapping[str, int] | None,
) -> dict[str, JsonValue]:
    violations = list(_part_violations(agreed, parts, media_types or {}, sizes or {}))
    values: dict[str, JsonValue] = {}
    # Content is read only when every part is the one agreed on, and within its size.
    for part in agreed if not violations else ():
        if part.schema is None or part.file_name not in parts:
            continue
        try:
            values[part.file_name] = parse_json(parts[part.file_name])
        except PayloadSyntaxError as exc:
            violations.append(Violation(part.file_name, "", "json", str(exc)))
        else:
            violations.extend(find_violations(part, values[part.file_name]))
    if violations:
        raise ContractError(code, summarise(violations))
    return values


def _part_violations(
    agreed: tuple[Part, ...],
    parts: Mapping[str, bytes],
    media_types: Mapping[str, str],
    sizes: Mapping[str, int],
) -> Iterator[Violation]:
    for part in agreed:
        content = parts.get(part.file_name)
        # What is read must be here, however large it is.
        is_elsewhere = part.schema is None and part.file_name in sizes
        if content is None and not is_elsewhere:
            if part.is_required or part.file_name in sizes:
                yield Violation(part.file_name, "", "part-missing")
            continue
        stated = media_types.get(part.file_name, part.media_type)
        is_other = content is not None and not content.startswith(_MAGIC.get(part.media_type, b""))
        if stated != part.media_type or is_other:
            yield Violation(part.file_name, "", "part-media-type", part.media_type)
        if (sizes[part.file_name] if content is None else len(content)) > part.max_bytes:
            yield Violation(part.file_name, "", "part-size", str(part.max_bytes))
    unexpected = len((parts.keys() | sizes.keys()) - {part.file_name for part in agreed})
    # The name of an unknown part is the sender's own text and is not repeated.
    yield from [Violation("", "", "part-unexpected")] * min(unexpected, 1)


def _limit(kind: dict[str, object]) -> str:
    """Say what the schema asks; never an `unexpected` name, which comes from the message."""
    for name in ("property", "format", "limit", "expected_value"):
        if name in kind:
            return str(kind[name])
    for name in ("types", "options"):
        wanted = kind.get(name)
        if isinstance(wanted, list):
            return ", ".join("null" if one is None else str(one) for one in wanted)
    return ""
