# SPDX-License-Identifier: Apache-2.0
"""What `bundle.json` claims, in its one form. Nothing here is believed; the steps hold it to what is signed.

Source: docs/protocols/evidence-bundle.md section 4.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from hub.canonical import encode_canonical
from hub.clock import parse_instant
from hub.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = "heliograph-evidence/1"
MOST_MESSAGES = 10_000
PARTS = ("request", "answer", "receipt")

_STRICT = ConfigDict(extra="forbid", strict=True)
_Instant = Annotated[
    datetime, BeforeValidator(lambda value: parse_instant(value) if isinstance(value, str) else value)
]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
_Count = Annotated[int, Field(ge=0, lt=2**53)]


@dataclass(frozen=True, config=_STRICT)
class FileLine:
    """Digest and size of a member."""

    sha256: _Sha256
    bytes: _Count


@dataclass(frozen=True, config=_STRICT)
class Hub:
    """Who made the bundle."""

    subsystem: str
    log_origin: str


@dataclass(frozen=True, config=_STRICT)
class Containers:
    """Paths of the three containers, None for one that is not there."""

    request: str | None
    answer: str | None
    receipt: str | None


@dataclass(frozen=True, config=_STRICT)
class EntryLine:
    """Where a log entry and its proof are."""

    index: _Count
    leaf: str
    proof: str | None


@dataclass(frozen=True, config=_STRICT)
class MessageLine:
    """One exchange."""

    id: _Id
    conversation: _Id
    sender: str
    recipient: str
    service: str
    state: Literal["processed", "refused", "in_progress", "queued", "deferred"]
    code: str | None
    received_at: _Instant
    concluded_at: _Instant | None
    containers: Containers
    entries: Annotated[tuple[EntryLine, ...], Field(strict=False)]

    def path(self, part: str) -> str | None:
        """Return where the container of a part is."""
        return {
            "request": self.containers.request,
            "answer": self.containers.answer,
            "receipt": self.containers.receipt,
        }[part]

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield each path it names, beside the one that section 3 gives it."""
        folder = f"messages/{self.id}"
        for part in PARTS:
            path = self.path(part)
            if path is not None:
                yield path, f"{folder}/{part}.asice"
        for entry in self.entries:
            yield entry.leaf, f"{folder}/entry-{entry.index}.json"
            if entry.proof is not None:
                yield entry.proof, f"{folder}/entry-{entry.index}.tlog-proof"


@dataclass(frozen=True, config=_STRICT)
class MissingLine:
    """What should be there and is not."""

    what: str
    why: str
    zh: str
    en: str


@dataclass(frozen=True, config=_STRICT)
class BundleIndex:
    """`bundle.json`."""

    format: Literal["heliograph-evidence/1"]
    created_at: _Instant
    hub: Hub
    selection: dict[str, str | None]
    messages: Annotated[tuple[MessageLine, ...], Field(strict=False, max_length=MOST_MESSAGES)]
    checkpoint: Literal["log/checkpoint.txt"] | None
    checkpoint_record: Literal["log/checkpoint.ers"] | None
    policy: Literal["log/policy.txt"]
    trust_lists: Annotated[tuple[str, ...], Field(strict=False)]
    certificates: Annotated[tuple[str, ...], Field(strict=False)]
    revocation: Annotated[tuple[str, ...], Field(strict=False)]
    missing: Annotated[tuple[MissingLine, ...], Field(strict=False)]
    files: dict[str, FileLine]


_INDEX = TypeAdapter(BundleIndex)


def read_index(raw: bytes) -> BundleIndex:
    """Read `bundle.json`, refusing every form but the canonical one.

    Raises:
        BundleError: `bundle.index_invalid`.
    """
    try:
        canonical = encode_canonical(json.loads(raw))
        index = _INDEX.validate_json(raw)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError("bundle.index_invalid", f"{where}: {first['msg']}"[:300]) from exc
    except (ValueError, RecursionError, TypeError) as exc:
        raise BundleError("bundle.index_invalid", f"bundle.json is not JSON: {exc}"[:200]) from exc
    if canonical != raw:
        raise BundleError("bundle.index_invalid", "bundle.json is not canonical JSON")
    _check_order(index)
    return index


def _check_order(index: BundleIndex) -> None:
    """Hold lists to their order, in which nothing occurs twice, and paths to the places of section 3."""
    messages = [(line.received_at, line.id) for line in index.messages]
    if messages != sorted(messages) or len({line.id for line in index.messages}) != len(messages):
        raise BundleError("bundle.index_invalid", "messages are out of order, or one occurs twice")
    for name, paths in (
        ("trust_lists", index.trust_lists),
        ("certificates", index.certificates),
        ("revocation", index.revocation),
    ):
        if list(paths) != sorted(set(paths)):
            raise BundleError("bundle.index_invalid", f"{name} is out of order, or a path occurs twice")
    for line in index.messages:
        indexes = [entry.index for entry in line.entries]
        if indexes != sorted(set(indexes)):
            raise BundleError("bundle.index_invalid", f"entries of {line.id} are out of order")
        for path, expected in line.files():
            if path != expected:
                raise BundleError("bundle.index_invalid", f"{path} stands where {expected} should")
