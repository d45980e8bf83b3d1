# SPDX-License-Identifier: Apache-2.0
"""Places in a description and what they refer to: in the same file or beside it, never on the network.

Source: RFC 6901 (JSON pointers); OpenAPI 3.0.4 section 4.7.23 (Reference Object).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from adapters.openapi.text import MOST_BYTES, Page, read_page
from adapters.sources import found

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from adapters.ports import JsonValue
    from adapters.sources import SourceFinding

_MOST_FILES = 200
_MOST_HOPS = 32
_SCHEMA_HOMES = (("components", "schemas"), ("definitions",), ("components", "responses"), ("responses",))


@dataclass(frozen=True)
class Spot:
    """A value and where it stands."""

    page: Page
    steps: tuple[str, ...]
    value: JsonValue

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What tells this place from every other."""
        return self.page.name, self.steps

    @property
    def at(self) -> str:
        """The place for people: `file:line#/pointer`."""
        return self.page.at(self.steps)

    def get(self, *names: str) -> Spot | None:
        """Return the value below, or None where there is none."""
        spot: Spot = self
        for name in names:
            if not isinstance(spot.value, dict) or name not in spot.value:
                return None
            spot = Spot(spot.page, (*spot.steps, name), spot.value[name])
        return spot

    def members(self) -> Iterator[tuple[str, Spot]]:
        """Yield what an object has; nothing of any other value."""
        if isinstance(self.value, dict):
            for name, value in self.value.items():
                yield name, Spot(self.page, (*self.steps, name), value)

    def elements(self) -> Iterator[Spot]:
        """Yield what an array has; nothing of any other value."""
        if isinstance(self.value, list):
            for number, value in enumerate(self.value):
                yield Spot(self.page, (*self.steps, str(number)), value)

    def text(self, name: str) -> str:
        """Return a member that is text, without space around it; empty where it is none."""
        value = self.value.get(name) if isinstance(self.value, dict) else None
        return value.strip() if isinstance(value, str) else ""

    def is_set(self, name: str) -> bool:
        """Tell whether a member is true; people write it as text as well."""
        value = self.value.get(name) if isinstance(self.value, dict) else None
        return value is True or (isinstance(value, str) and value.lower() == "true")

    def without_value(self) -> Spot:
        """Return the place as if it said nothing."""
        return Spot(self.page, self.steps, {})


class Documents:
    """A description and the files beside it that it refers to.

    Args:
        path: the description; files outside its folder are not read.
    """

    def __init__(self, path: Path, page: Page) -> None:
        self._folder = path.parent.resolve()
        self._pages: dict[str, Page] = {path.name: page}
        self._targets: dict[tuple[str, str], Spot | None] = {}
        self._findings: dict[tuple[str, str], SourceFinding] = {}
        self.root = Spot(page, (), page.value)

    @property
    def findings(self) -> tuple[SourceFinding, ...]:
        """What was found on the way, each once."""
        return tuple(self._findings.values())

    def report(self, finding: SourceFinding) -> None:
        """Keep a finding, once for each place."""
        self._findings.setdefault((finding.code, finding.at), finding)

    def resolve(self, spot: Spot) -> Spot:
        """Return the place a `$ref` leads to, or the same place; a broken one leads to an empty object."""
        for _ in range(_MOST_HOPS):
            value = spot.value
            reference = value.get("$ref") if isinstance(value, dict) else None
            if not isinstance(reference, str):
                return spot
            target = self._target(spot, reference)
            if target is None:
                return spot.without_value()
            spot = target
        self.report(found("openapi.reference_broken", spot.at, reference="$ref"))
        return spot.without_value()

    def _target(self, spot: Spot, reference: str) -> Spot | None:
        key = (spot.page.name, reference)
        if key not in self._targets:
            self._targets[key] = self._look_up(spot, reference.strip())
        return self._targets[key]

    def _look_up(self, spot: Spot, reference: str) -> Spot | None:
        address, _, fragment = reference.partition("#")
        if ":" in address.split("/", maxsplit=1)[0] or address.startswith("//"):
            self.report(found("openapi.reference_remote", spot.at, reference=reference))
            return None
        path = self._path(spot, address) if address else None
        if path is not None and not path.is_relative_to(self._folder):
            self.report(found("openapi.reference_outside", spot.at, reference=reference))
            return None
        page = self._page(path) if path is not None else None if address else spot.page
        target = _walk(Spot(page, (), page.value), fragment) if page is not None else None
        if target is None and (page is None or not address):
            target = self._meant(spot, reference)
        if target is None:
            self.report(found("openapi.reference_broken", spot.at, reference=reference))
        return target

    def _meant(self, spot: Spot, reference: str) -> Spot | None:
        """Look where such a name usually stands: files change from one version of the format to another."""
        name = _unescaped(reference.rpartition("/")[2])
        for home in _SCHEMA_HOMES:
            target = Spot(spot.page, (), spot.page.value).get(*home, name)
            if target is not None:
                shown = "#/" + "/".join((*home, name))
                self.report(found("openapi.reference_repaired", spot.at, reference=reference, instead=shown))
                return target
        return None

    def _path(self, spot: Spot, address: str) -> Path | None:
        try:
            return ((self._folder / spot.page.name).parent / unquote(address)).resolve()
        except (OSError, ValueError):
            # No path at all; the caller says that this reference leads nowhere.
            return None

    def _page(self, path: Path) -> Page | None:
        name = path.relative_to(self._folder).as_posix()
        if name not in self._pages and len(self._pages) < _MOST_FILES:
            try:
                with path.open("rb") as file:
                    content = file.read(MOST_BYTES + 1)
            except (OSError, ValueError):
                # The caller says that this reference leads nowhere.
                return None
            page = read_page(name, content)
            for finding in page.findings:
                self.report(finding)
            self._pages[name] = page
        return self._pages.get(name)


def _walk(root: Spot, fragment: str) -> Spot | None:
    if fragment in {"", "/"}:
        return root
    if not fragment.startswith("/"):
        return _anchored(root, fragment)
    spot: Spot | None = root
    for part in fragment[1:].split("/"):
        if spot is None:
            return None
        step = _unescaped(part)
        if isinstance(spot.value, list):
            spot = next((each for each in spot.elements() if each.steps[-1] == step), None)
        else:
            spot = spot.get(step) or spot.get(part)
    return spot


def _anchored(root: Spot, name: str) -> Spot | None:
    """Return the schema of the components that has this `$anchor` (OpenAPI 3.1)."""
    schemas = root.get("components", "schemas")
    if schemas is None:
        return None
    return next((spot for _, spot in schemas.members() if spot.text("$anchor") == name), None)


def _unescaped(step: str) -> str:
    return unquote(step).replace("~1", "/").replace("~0", "~")
