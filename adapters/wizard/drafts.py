# SPDX-License-Identifier: Apache-2.0
"""A registration under way: what is known of it so far, every step of it kept until it is done.

The description is the one a version will be made of; whatever the pages show is worked out from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import yaml

from adapters.descriptions import canonical_text, digest_of, parse_description
from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_FIELDS = ("kind", "source", "operation", "description", "sample_request", "sample_answer", "checks")


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What tests gave, and of which description.

    Attributes:
        digest: of the description that was tested.
        probe: what the connection test gave, as JSON; None where there was none.
        trial: likewise of the contract test.
    """

    digest: str = ""
    probe: Mapping[str, Any] | None = None
    trial: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is known of an adapter that is being registered.

    Attributes:
        kind: `soap`, `rest`, `sftp` or `table`; empty while nobody has said.
        source: the path of the source's main file within the library; empty for none.
        operation: the name of the operation that was chosen.
        description: an entry of `services:`; what is not decided is missing.
        sample_request: JSON in the contract's words, as it was typed.
        sample_answer: JSON in the system's words, as it came or was given.
    """

    kind: str = ""
    source: str = ""
    operation: str = ""
    description: Mapping[str, Any] = field(default_factory=dict)
    sample_request: str = ""
    sample_answer: str = ""
    checks: Checks = field(default_factory=Checks)

    @property
    def service(self) -> str:
        """Whose adapter it is; empty while nobody has said."""
        return str(self.description.get("service", ""))

    @property
    def contract(self) -> str:
        """The contract's id; empty while nobody has said."""
        return str(self.description.get("contract", ""))

    @property
    def text(self) -> str:
        """The description in its canonical form."""
        return canonical_text(self.description)

    @property
    def tested(self) -> Checks:
        """What tests gave for the description as it is now."""
        return self.checks if self.checks.digest == digest_of(self.text) else Checks()

    def described(self, **members: Any) -> Draft:
        """Return the draft with other members of its description; None takes one out."""
        merged = {**self.description, **members}
        return replace(self, description={name: each for name, each in merged.items() if each is not None})

    def checked(self, **results: Mapping[str, Any]) -> Draft:
        """Return the draft with what a test of its present description gave."""
        return replace(self, checks=replace(self.tested, digest=digest_of(self.text), **results))

    def as_json(self) -> str:
        """Write it down."""
        members = {name: getattr(self, name) for name in _FIELDS[:-1]}
        checks = {"digest": self.checks.digest, "probe": self.checks.probe, "trial": self.checks.trial}
        # The order of members is part of a description, so nothing is sorted.
        return json.dumps({**members, "checks": checks}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Draft:
        """Read what `as_json` wrote."""
        members = json.loads(text)
        return cls(**{**members, "checks": Checks(**members["checks"])})


@dataclass(frozen=True, kw_only=True)
class KeptDraft:
    """A draft as it is kept.

    Attributes:
        revision: counts its changes; a form of an older one is refused.
        by: who changed it last.
        changed_at: UTC.
        undoes: what the last change was about, so that it can be taken back; empty for none.
    """

    id: str
    draft: Draft
    revision: int
    by: str
    changed_at: datetime
    undoes: str = ""


def read_members(text: str, *, at: str) -> dict[str, Any]:
    """Read YAML that has to be a mapping; nothing at all is an empty one.

    Raises:
        AdapterError: `adapter.configuration_invalid`.
    """
    content = parse_description(text, at=at) if text.strip() else {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise AdapterError("adapter.configuration_invalid", f"{at}: is not a mapping with names")
    return content


def write_members(members: object) -> str:
    """Write part of a description for people to change."""
    return (
        yaml.safe_dump(members, allow_unicode=True, sort_keys=False, width=100, default_flow_style=False)
        if members
        else ""
    )
