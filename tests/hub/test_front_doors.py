# SPDX-License-Identifier: Apache-2.0
"""A slice is used through its front door only: what its `__init__` exports."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
SLICES = frozenset(folder.name for folder in (PROJECT / "hub").iterdir() if (folder / "__init__.py").exists())
ASSEMBLED = frozenset({"cli", "demo"})
"""Folders that are no slices: they wire, and nobody but they themselves uses their modules."""

# Whoever stands here needs a module that its slice cannot export, for the reason beside it.
ALLOWED = {
    # Verifying loads pyHanko; the command line imports it only when it verifies.
    ("hub.cli", "hub.evidence.signers"),
    ("hub.demo", "hub.evidence.verification"),
    # Importing an ETSI list loads the library for XML signatures; nothing but that command needs it.
    ("hub.cli", "hub.trustlist.etsi"),
}


def imported(source: Path) -> Iterator[tuple[str, int]]:
    """Name every module a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{source}: a relative import"
            module = node.module or ""
            yield module, node.lineno
            for alias in node.names:
                if (PROJECT / module.replace(".", "/") / f"{alias.name}.py").exists():
                    yield f"{module}.{alias.name}", node.lineno


def slice_of(module: str) -> str:
    """Return the slice a module of the hub belongs to; the module itself where it stands alone."""
    return ".".join(module.split(".")[:2])


def module_of(source: Path) -> str:
    return ".".join(source.relative_to(PROJECT).with_suffix("").parts)


def side_entrances(source: Path) -> list[str]:
    """List what a file imports past the front door of a slice that is not its own."""
    own = slice_of(module_of(source))
    return [
        f"{source.relative_to(PROJECT)}:{line} imports {module}"
        for module, line in imported(source)
        if module.startswith("hub.")
        and module.count(".") > 1
        and slice_of(module).removeprefix("hub.") in SLICES
        and slice_of(module) != own
        and (own, module) not in ALLOWED
    ]


@pytest.mark.parametrize("folder", ["hub", "adapters"])
def test_a_slice_is_used_through_its_front_door_only(folder: str) -> None:
    found = [line for source in sorted((PROJECT / folder).rglob("*.py")) for line in side_entrances(source)]
    assert found == []


def test_a_side_entrance_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hub/trust/__init__.py", "hub/trust/rules.py", "hub/registry/service.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    monkeypatch.setattr(f"{__name__}.PROJECT", tmp_path)
    monkeypatch.setattr(f"{__name__}.SLICES", frozenset({"trust", "registry"}))
    source = tmp_path / "hub" / "registry" / "service.py"
    source.write_text(
        "from hub.trust import rules\n"
        "def late():\n"
        "    import hub.trust.rules\n"
        "    from hub.trust.rules import check_form\n"
        "from hub.trust import Validator\n"
        "from hub.registry.model import Member\n",
        encoding="utf-8",
    )
    assert [line.rsplit(":", 1)[1] for line in side_entrances(source)] == [
        "1 imports hub.trust.rules",
        "3 imports hub.trust.rules",
        "4 imports hub.trust.rules",
    ]


@pytest.mark.parametrize("name", sorted(SLICES - ASSEMBLED))
def test_a_front_door_opens_only_what_is_there(name: str) -> None:
    module = __import__(f"hub.{name}", fromlist=["__all__"])
    missing = [each for each in module.__all__ if not hasattr(module, each)]
    assert missing == []
    assert sorted(set(module.__all__)) == sorted(module.__all__)


def test_the_exceptions_are_still_needed() -> None:
    used = {
        (slice_of(module_of(source)), module)
        for source in (PROJECT / "hub").rglob("*.py")
        for module, _ in imported(source)
    }
    assert used >= ALLOWED
