# SPDX-License-Identifier: Apache-2.0
"""When a file in an inbox is finished: four rules, of which each intake follows one.

    rename     it has its final name: its writer used another one until it was complete
    done-file  an empty file, or one with its digest and count, stands beside it
    manifest   a list names it, with its digest
    stable     its size and time have not changed for a while

Whatever the rule, a file is taken only when it has looked the same for a moment. Times are compared with
each other and never with a clock of this machine: the server's may be an hour off.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.entry import ConnectionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from adapters.sftp.protocol import Attributes
    from adapters.sftp.session import Session

_LISTED = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_MANIFEST_BYTES = 4_000_000


class FinishRule(StrEnum):
    """How a finished file is known."""

    RENAME = "rename"
    DONE_FILE = "done-file"
    MANIFEST = "manifest"
    STABLE = "stable"


class SidecarRule(StrEnum):
    """Whether a file's digest has to stand beside it."""

    REQUIRED = "required"
    IF_THERE = "if-there"
    NEVER = "never"


def _pattern(text: str) -> str:
    if not text or "/" in text:
        raise ValueError("a pattern for names holds no folder")
    return text


NamePattern = Annotated[str, AfterValidator(_pattern)]
"""A pattern for file names, with `*`, `?` and `[…]`."""


class FinishSettings(ConnectionSettings):
    """How a finished file is known.

    Attributes:
        unfinished: names that are never taken, whatever the rule: what writers use meanwhile.
        done: of the rule `done-file`: what the file beside it is called; `{name}` is the file's own name.
        manifest: of the rule `manifest`: what lists are called.
        calm_seconds: how long a file has to look the same; of the rule `stable`, this is the rule.
    """

    by: Annotated[FinishRule, Field(strict=False)] = FinishRule.RENAME
    unfinished: tuple[NamePattern, ...] = Field(
        default=(".*", "~*", "*.part", "*.tmp", "*.filepart"), strict=False
    )
    done: NamePattern = "{name}.done"
    manifest: NamePattern = "*.manifest"
    calm_seconds: Annotated[float, Field(ge=0, le=86_400)] = 1.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "{name}" not in self.done or self.done == "{name}":
            raise ValueError("done holds {name} and something else")
        return self

    def done_name(self, name: str) -> str:
        """Return what the done-file of a file is called."""
        return self.done.replace("{name}", name)


@dataclass(frozen=True)
class Stated:
    """What stands beside a file about it; None for what does not."""

    sha256: str | None = None
    bytes: int | None = None
    rows: int | None = None

    def problem(self, *, sha256: str, size: int, rows: int | None) -> str | None:
        """Return in which way a file is other than stated; None when it is not."""
        if self.bytes is not None and self.bytes != size:
            return f"it has {size} bytes, not {self.bytes}"
        if self.sha256 is not None and self.sha256 != sha256:
            return f"SHA-256 is {sha256}, not {self.sha256}"
        if self.rows is not None and rows is not None and self.rows != rows:
            return f"it has {rows} rows, not {self.rows}"
        return None


@dataclass(frozen=True)
class Finished:
    """A file that may be taken.

    Attributes:
        companions: files about it that go where it goes.
    """

    name: str
    attributes: Attributes
    stated: Stated
    companions: tuple[str, ...]


@dataclass(frozen=True)
class Sighting:
    """What one look into an inbox has shown.

    Attributes:
        waiting: names of files that are not finished, with the seconds since when they look as they do.
        spent: manifests of which nothing is left to be taken.
    """

    finished: tuple[Finished, ...]
    waiting: Mapping[str, float]
    spent: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Scene:
    """A folder as one look finds it."""

    session: Session
    folder: str
    present: Mapping[str, Attributes]
    lists: Mapping[str, Stated]

    def read(self, name: str) -> bytes:
        return self.session.read_small(f"{self.folder}/{name}") or b""


@dataclass
class Watch:
    """Looks for finished files, and remembers what was seen.

    Attributes:
        pattern: names of files that are wanted.
        sidecar_suffix: what a file's digest is called, behind its name.
    """

    finish: FinishSettings
    pattern: str
    sidecar: SidecarRule
    sidecar_suffix: str
    monotonic: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[int | None, int | None, float]] = field(default_factory=dict)

    def look(self, session: Session, folder: str) -> Sighting:
        """Look once; what is not calm yet is found by a later look.

        Raises:
            AdapterError: the folder cannot be read.
        """
        present = dict(session.list_folder(folder))
        lists, spent = self._manifests(session, folder, present)
        scene = _Scene(session, folder, present, lists)
        finished: list[Finished] = []
        waiting: dict[str, float] = {}
        for name, attributes in present.items():
            if not self._is_wanted(name):
                continue
            calm = self._calm_seconds(name, attributes)
            found = None
            if calm >= self.finish.calm_seconds:
                found = self._finished(scene, name)
            if found is None:
                waiting[name] = calm
            else:
                finished.append(found)
        self._seen = {name: seen for name, seen in self._seen.items() if name in present}
        return Sighting(tuple(finished), waiting, spent)

    def _is_wanted(self, name: str) -> bool:
        if not fnmatchcase(name, self.pattern):
            return False
        others = list(self.finish.unfinished)
        if self.sidecar is not SidecarRule.NEVER:
            others += [f"*{self.sidecar_suffix}", "*.count"]
        if self.finish.by is FinishRule.DONE_FILE:
            others.append(self.finish.done_name("*"))
        if self.finish.by is FinishRule.MANIFEST:
            others.append(self.finish.manifest)
        return not any(fnmatchcase(name, other) for other in others)

    def _calm_seconds(self, name: str, attributes: Attributes) -> float:
        now = self.monotonic()
        state = (attributes.size, attributes.modified_at)
        seen = self._seen.get(name)
        if seen is None or seen[:2] != state:
            self._seen[name] = (*state, now)
            return 0.0
        return now - seen[2]

    def _finished(self, scene: _Scene, name: str) -> Finished | None:
        stated: Stated | None = Stated()
        companions: list[str] = []
        if self.finish.by is FinishRule.DONE_FILE:
            done = self.finish.done_name(name)
            stated = read_stated(scene.read(done)) if done in scene.present else None
            companions.append(done)
        elif self.finish.by is FinishRule.MANIFEST:
            stated = scene.lists.get(name)
        if stated is not None and self.sidecar is not SidecarRule.NEVER:
            stated = self._beside(scene, name, stated, companions)
        if stated is None:
            return None
        return Finished(name, scene.present[name], stated, tuple(companions))

    def _beside(self, scene: _Scene, name: str, stated: Stated, companions: list[str]) -> Stated | None:
        """Add what sidecars say; None where one is missing or incomplete."""
        sidecar, count = f"{name}{self.sidecar_suffix}", f"{name}.count"
        if sidecar in scene.present:
            companions.append(sidecar)
            digest = scene.session.read_digest(f"{scene.folder}/{sidecar}")
            if digest is None:
                return None
            stated = replace(stated, sha256=digest)
        elif self.sidecar is SidecarRule.REQUIRED and stated.sha256 is None:
            return None
        if count in scene.present:
            companions.append(count)
            stated = replace(stated, rows=read_stated(scene.read(count)).rows)
        return stated

    def _manifests(
        self, session: Session, folder: str, present: Mapping[str, Attributes]
    ) -> tuple[Mapping[str, Stated], tuple[str, ...]]:
        lists: dict[str, Stated] = {}
        spent: list[str] = []
        if self.finish.by is not FinishRule.MANIFEST:
            return lists, ()
        for name, attributes in present.items():
            is_list = fnmatchcase(name, self.finish.manifest)
            if not is_list or any(fnmatchcase(name, other) for other in self.finish.unfinished):
                continue
            if self._calm_seconds(name, attributes) < self.finish.calm_seconds:
                continue
            listed = read_manifest(session.read_small(f"{folder}/{name}", _MOST_MANIFEST_BYTES) or b"")
            if listed and not any(each in present for each in listed):
                spent.append(name)
            lists.update(listed)
        return lists, tuple(spent)


def read_stated(content: bytes) -> Stated:
    """Read a done-file: JSON with `sha256`, `bytes` and `rows`, or a digest, a number of rows, or nothing."""
    text = content.decode("utf-8-sig", "replace").strip()
    listed = _LISTED.fullmatch(text)
    if listed:
        return Stated(sha256=listed[1].lower())
    if _SHA256.fullmatch(text.lower()):
        return Stated(sha256=text.lower())
    if text.isascii() and text.isdigit() and len(text) < 16:
        return Stated(rows=int(text))
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return Stated()
    return _stated(said) if isinstance(said, dict) else Stated()


def read_manifest(content: bytes) -> Mapping[str, Stated]:
    """Read a list of files: JSON with `files`, or lines as of `sha256sum`; empty while it is neither."""
    text = content.decode("utf-8-sig", "replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
        matches = [_LISTED.fullmatch(line.rstrip()) for line in lines]
        listed = {match[2]: Stated(sha256=match[1].lower()) for match in matches if match}
        return listed if len(listed) == len(lines) and text.endswith("\n") else {}
    files = said.get("files") if isinstance(said, dict) else said
    return {} if not isinstance(files, list) else _listed(files)


def _listed(files: Sequence[object]) -> Mapping[str, Stated]:
    listed: dict[str, Stated] = {}
    for each in files:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str) or "/" in each["name"]:
            return {}
        listed[each["name"]] = _stated(each)
    return listed


def _stated(said: Mapping[str, object]) -> Stated:
    digest = str(said.get("sha256", "")).lower()
    return Stated(
        sha256=digest if _SHA256.fullmatch(digest) else None,
        bytes=_count(said.get("bytes")),
        rows=_count(said.get("rows")),
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
