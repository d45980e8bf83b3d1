# SPDX-License-Identifier: Apache-2.0
"""A policy file's lines: which are allowed, and what each defines.

Names are octets and nothing more: they are compared as they are, whatever Unicode makes of them.

Source: C2SP tlog-policy, "Policy file syntax and structure".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.errors import LogError
from hub.tlog.verifierkeys import SignatureType, VerifierKey

if TYPE_CHECKING:
    from collections.abc import Callable

NO_WITNESS = "none"
"""The quorum of a policy that asks for no cosignature."""

MOST_POLICY_BYTES = 1_000_000
MOST_DEFINITIONS = 1_000
"""Of each kind; the specification asks for 32."""

# Tab, newline, and from space on all but DEL; octets with the high bit are free.
_OTHER_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_WHITESPACE = re.compile(r"[ \t]+")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,5}")
_LOG_TYPES = (SignatureType.ED25519, SignatureType.ML_DSA_44)
_WITNESS_TYPES = (SignatureType.ED25519_COSIGNATURE, SignatureType.ML_DSA_44)


@dataclass(frozen=True)
class PolicyLog:
    """A log that is trusted to sign; its key's name is its origin."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class PolicyWitness:
    """A witness.

    Attributes:
        name: what this policy calls it.
        key: whose cosignatures count; its name is the witness's own.
        url: where checkpoints are submitted, `/add-checkpoint` not included.
    """

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class PolicyGroup:
    """Witnesses or groups of which at least `threshold` must have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class PolicyText:
    """What a policy file defines."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str


def read_policy(text: str | bytes) -> PolicyText:
    """Read a policy file.

    Raises:
        LogError: `log.policy_invalid` names the line.
    """
    # What is not UTF-8 stays as it is, so that two spellings never become one name.
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(raw) > MOST_POLICY_BYTES or _OTHER_CONTROL.search(raw):
        raise LogError("log.policy_invalid", "the policy is too long or has control characters")
    *lines, rest = raw.decode("utf-8", "surrogateescape").split("\n")
    if rest:
        # The file may have been cut off, and half a quorum is another quorum.
        raise LogError("log.policy_invalid", "the last line does not end in a newline")
    reading = _Reading()
    for number, line in enumerate(lines, start=1):
        items = [item for item in _WHITESPACE.split(line) if item]
        if items and not items[0].startswith("#"):
            try:
                reading.take(items)
            except ValueError as exc:
                raise LogError("log.policy_invalid", f"line {number}: {_readable(str(exc))}") from exc
    if reading.quorum is None:
        raise LogError("log.policy_invalid", "the policy has no quorum line")
    return PolicyText(tuple(reading.logs), tuple(reading.witnesses), tuple(reading.groups), reading.quorum)


def write_policy(policy: PolicyText) -> str:
    """Write a policy as `read_policy` reads it."""
    lines = [_joined("log", log.key.encode(), log.url) for log in policy.logs]
    lines += [_joined("witness", each.name, each.key.encode(), each.url) for each in policy.witnesses]
    lines += [_joined("group", each.name, str(each.threshold), *each.members) for each in policy.groups]
    return "".join(f"{line}\n" for line in (*lines, f"quorum {policy.quorum}"))


@dataclass
class _Reading:
    """What the lines up to here defined."""

    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: list[PolicyWitness] = field(default_factory=list)
    groups: list[PolicyGroup] = field(default_factory=list)
    quorum: str | None = None
    _names: set[str] = field(default_factory=set)
    _members: set[str] = field(default_factory=set)

    def take(self, items: list[str]) -> None:
        """Take over one line; ValueError says what is wrong with it."""
        kinds: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
        }
        kind = kinds.get(items[0])
        if kind is None:
            raise ValueError("it starts with none of log, witness, group and quorum")
        kind(items[1:])

    def _log(self, items: list[str]) -> None:
        if not 1 <= len(items) <= 2:
            raise ValueError("log <vkey> [<url>]")
        key = _key(items[0], _LOG_TYPES)
        _require_new(key, [each.key for each in self.logs])
        self.logs.append(PolicyLog(key, items[1] if len(items) == 2 else None))

    def _witness(self, items: list[str]) -> None:
        if not 2 <= len(items) <= 3:
            raise ValueError("witness <name> <vkey> [<url>]")
        key = _key(items[1], _WITNESS_TYPES)
        _require_new(key, [each.key for each in self.witnesses])
        self._define(items[0])
        self.witnesses.append(PolicyWitness(items[0], key, items[2] if len(items) == 3 else None))

    def _group(self, items: list[str]) -> None:
        if len(items) < 3:
            raise ValueError("group <name> all|any|<k> <name>...")
        name, how_many, *members = items
        for member in members:
            if member not in self._names:
                raise ValueError(f"{member} is not defined before")
            if member in self._members:
                raise ValueError(f"{member} is a group's member already")
            self._members.add(member)
        threshold = {"any": 1, "all": len(members)}.get(how_many) or _number(how_many)
        if threshold > len(members):
            raise ValueError(f"{threshold} of {len(members)} members can never be")
        self._define(name)
        self.groups.append(PolicyGroup(name, threshold, tuple(members)))

    def _quorum(self, items: list[str]) -> None:
        if len(items) != 1:
            raise ValueError("quorum <name>")
        if self.quorum is not None:
            raise ValueError("a policy has one quorum line")
        if items[0] != NO_WITNESS and items[0] not in self._names:
            raise ValueError(f"{items[0]} is not defined before")
        self.quorum = items[0]

    def _define(self, name: str) -> None:
        if name == NO_WITNESS or name in self._names:
            raise ValueError(f"the name {name} is taken")
        self._names.add(name)


def _key(vkey: str, types: tuple[SignatureType, ...]) -> VerifierKey:
    try:
        key = VerifierKey.decode(vkey)
    except LogError as exc:
        raise ValueError(exc.detail) from exc
    if key.signature_type not in types:
        raise ValueError("the key is of a type that signs something else")
    return key


def _require_new(key: VerifierKey, others: list[VerifierKey]) -> None:
    if len(others) == MOST_DEFINITIONS:
        raise ValueError(f"more than {MOST_DEFINITIONS} of one kind")
    # Two names for one key would let one witness count as two.
    if any(key.public_key == other.public_key for other in others):
        raise ValueError("this public key is listed already")


def _number(text: str) -> int:
    if not _THRESHOLD.fullmatch(text):
        raise ValueError("how many members must be all, any or a decimal number from 1 on")
    return int(text)


def _joined(*items: str | None) -> str:
    return " ".join(item for item in items if item is not None)


def _readable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
