# SPDX-License-Identifier: Apache-2.0
"""Findings: every code is used, every used code is there, and every word of it can be said."""

from __future__ import annotations

import ast
import socket
import string
from pathlib import Path

import pytest

from adapters.addresses import AddressGuard
from adapters.probing import joined, reach, reach_all
from adapters.sources import (
    Operation,
    Severity,
    Shape,
    Source,
    SourceFinding,
    finding_kinds,
    found,
    read_source,
)
from hub.errors import Language
from tests.adapters.running import free_port

ADAPTERS = Path(__file__).parents[2] / "adapters"
FAMILIES = {code.split(".")[0] for code in finding_kinds()}


def used_codes() -> set[str]:
    """Return every text of the adapters' source."""
    texts: set[str] = set()
    for file in ADAPTERS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    return texts


def called_codes() -> set[str]:
    codes: set[str] = set()
    for file in ADAPTERS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "found":
                [first, *_] = node.args
                if isinstance(first, ast.Constant):
                    codes.add(str(first.value))
    return codes


def test_every_code_of_the_table_is_found_somewhere() -> None:
    assert set(finding_kinds()) - used_codes() == set()


def test_every_code_that_is_found_stands_in_the_table() -> None:
    assert called_codes() - set(finding_kinds()) == set()


@pytest.mark.parametrize("code", sorted(finding_kinds()))
def test_both_languages_say_the_same_facts(code: str) -> None:
    kind = finding_kinds()[code]
    for texts in (kind.message, kind.cure):
        facts = {
            language: {name for _, name, _, _ in string.Formatter().parse(text) if name}
            for language, text in texts.items()
        }
        assert facts[Language.ZH] == facts[Language.EN]
        assert all(text.endswith((".", "。")) for text in texts.values())


def test_a_finding_says_its_facts_shortened_and_without_control_characters() -> None:
    finding = found("source.unreadable", "a.wsdl:1", reason="\x1b[31m" + "x" * 5000)

    text = finding.message[Language.EN]
    assert text.isprintable()
    assert len(text) < 400
    assert finding.as_json()["severity"] == "error"


def test_a_finding_that_lacks_a_fact_is_not_said() -> None:
    with pytest.raises(KeyError):
        found("source.unreadable", "a.wsdl:1")


@pytest.mark.parametrize(
    ("of_source", "of_operation", "is_usable"),
    [(None, None, True), (Severity.WARNING, Severity.WARNING, True), (None, Severity.ERROR, False)],
)
def test_a_source_is_usable_with_one_operation_without_errors(
    of_source: Severity | None, of_operation: Severity | None, *, is_usable: bool
) -> None:
    def findings(severity: Severity | None) -> tuple[SourceFinding, ...]:
        return () if severity is None else (found("source.unreadable", "x", severity=severity, reason="y"),)

    shape = Shape("x", "text")
    operation = Operation("ask", "", shape, shape, {}, findings(of_operation))
    source = Source("soap", "x", (operation,), findings(of_source))

    assert source.is_usable is is_usable
    assert source.as_json()["is_usable"] is is_usable


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "source.unreadable"), (b" \n", "source.unreadable"), (b"x" * 11, "source.too_large")],
)
def test_a_file_that_cannot_be_read_is_told_without_its_place(
    tmp_path: Path, content: bytes | None, code: str
) -> None:
    file = tmp_path / "a.wsdl"
    if content is not None:
        file.write_bytes(content)

    finding = read_source(file, most_bytes=10)

    assert isinstance(finding, SourceFinding)
    assert (finding.code, finding.at) == (code, "a.wsdl")


def test_a_file_that_can_be_read_is(tmp_path: Path) -> None:
    (tmp_path / "a.wsdl").write_bytes(b"0123456789")

    assert read_source(tmp_path / "a.wsdl", most_bytes=10) == b"0123456789"


def test_a_port_that_nobody_listens_on_is_told() -> None:
    port = free_port()
    probe = reach("127.0.0.1", port, 2.0, at="x", guard=AddressGuard(own=[("127.0.0.1", port)]))

    assert not probe.is_reachable
    assert [finding.code for finding in probe.findings] == ["probe.unreachable"]


def test_a_try_reaches_no_further_than_a_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        probe = reach("127.0.0.1", port, 2.0, at="x", guard=AddressGuard(own=[("127.0.0.1", port + 1)]))
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()

    assert [finding.code for finding in probe.findings] == ["probe.forbidden"]


def test_a_name_that_is_none_is_told() -> None:
    assert not reach("a..b", 80, 2.0, at="x", guard=AddressGuard(own=[("a..b", 80)])).is_reachable


def test_several_addresses_are_reached_when_all_are() -> None:
    port = free_port()
    guard = AddressGuard(own=[("127.0.0.1", port)])
    probe = reach_all([f"http://127.0.0.1:{port}/x"], 1.0, at="x", guard=guard)

    assert not joined([probe]).is_reachable
    assert joined([]).is_reachable
