# SPDX-License-Identifier: Apache-2.0
"""An interface description as bytes, read into plain values with their lines; defects become findings.

YAML is read by its core schema (YAML 1.2, section 10.3): no dates, no `yes` and `no`, and every key is text,
so that `NO:` and `200:` mean what they say. JSON that is none is read as YAML, which forgives what people do.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from adapters.sources import found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.ports import JsonValue
    from adapters.sources import SourceFinding

MOST_BYTES = 30_000_000
MOST_DEPTH = 400
"""Of nested values; deeper ones are no description and would exhaust the parser's stack."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_RUN = re.compile(rb"[\x80-\xff]+")
_LEADING = re.compile(r"[ \-?:]*", re.ASCII)


@dataclass(frozen=True)
class Page:
    """One file as read.

    Attributes:
        name: the file's, for findings.
        text: as decoded.
        value: what stands in it; None where nothing could be read.
        findings: what is wrong with its writing.
    """

    name: str
    text: str
    value: JsonValue
    findings: tuple[SourceFinding, ...] = ()
    _places: dict[str, yaml.Node | None] = field(default_factory=dict, repr=False, compare=False)

    def at(self, steps: tuple[str, ...] = ()) -> str:
        """Say where a value stands: `file:line#/json/pointer`, without the line where it is not known."""
        pointer = "#" + "".join(f"/{_escaped(step)}" for step in steps) if steps else ""
        line = self._line(steps)
        return f"{self.name}:{line}{pointer}" if line else f"{self.name}{pointer}"

    def _line(self, steps: tuple[str, ...]) -> int | None:
        if "root" not in self._places:
            self._places["root"] = _composed(self.text)
        node, line = self._places["root"], None
        for step in steps:
            mark, node = _child(node, step)
            if mark is None:
                break
            line = mark
        return line


def _escaped(step: str) -> str:
    """Escape one step of a JSON pointer (RFC 6901 section 3)."""
    return step.replace("~", "~0").replace("/", "~1")


def _child(node: yaml.Node | None, step: str) -> tuple[int | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == step:
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        element = node.value[int(step)]
        return element.start_mark.line + 1, element
    return None, None


def read_page(name: str, content: bytes) -> Page:
    """Read a file; never raises for what stands in it."""
    if len(content) > MOST_BYTES:
        return Page(name, "", None, (found("source.too_large", name, limit=MOST_BYTES),))
    text, findings = _decoded(name, content)
    if text is None:
        return Page(name, "", None, findings)
    if not text.strip():
        return Page(name, text, None, (*findings, found("source.unreadable", name, reason="it is empty")))
    if text.lstrip().startswith("<"):
        kind = "HTML" if re.search(r"<(?:!doctype\s+)?html", text[:2000], re.IGNORECASE) else "XML"
        return Page(name, text, None, (*findings, found("openapi.other_format", name, format=kind)))
    if _is_deep(text):
        return Page(name, text, None, (*findings, found("openapi.too_deep", name, limit=MOST_DEPTH)))
    value, defects = _parsed(name, text)
    return Page(name, text, value, (*findings, *defects))


def _decoded(name: str, content: bytes) -> tuple[str | None, tuple[SourceFinding, ...]]:
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    findings: list[SourceFinding] = []
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        if b"\0" in content[:4000]:
            return None, (found("openapi.other_format", name, format="binary"),)
        # Two bytes a character are Chinese text; single ones stand in Western words.
        is_chinese = all(len(run) % 2 == 0 for run in _RUN.findall(content))
        encoding = "gb18030" if is_chinese else "cp1252"
        text = content.decode(encoding, errors="replace")
        findings.append(found("openapi.encoding", name, encoding=encoding))
    strange = _FOREIGN.search(text)
    if strange is not None:
        line = text.count("\n", 0, strange.start()) + 1
        findings.append(
            found("openapi.control_character", f"{name}:{line}", character=f"U+{ord(strange[0]):04X}")
        )
        text = _FOREIGN.sub(" ", text)
    return text, tuple(findings)


def _is_deep(text: str) -> bool:
    """Tell whether values are nested too deep; the exact answer is asked for only where it could be so."""
    depth = deepest = 0
    for letter in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if letter in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    indented = max((_LEADING.match(line).end() for line in text.splitlines()), default=0)  # type: ignore[union-attr]  # matches always
    if max(deepest, indented) < MOST_DEPTH // 2:
        return False
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_PlainLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MOST_DEPTH:
                    return True
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        # What is wrong with it is told by the reading itself; it stops at the same place, and no deeper.
        return False
    return False


def _parsed(name: str, text: str) -> tuple[JsonValue, tuple[SourceFinding, ...]]:
    stripped = text.lstrip()
    wrong: SourceFinding | None = None
    if stripped.startswith(("{", "[")):
        try:
            value, is_doubled = _read_json(text)
        except json.JSONDecodeError as exc:
            wrong = found("openapi.json_repaired", f"{name}:{exc.lineno}", reason=exc.msg)
        else:
            root = _composed(text) if is_doubled else None
            return value, tuple(_doubled(name, root))
    try:
        root = _compose(text)
        loader = _PlainLoader("")
        try:
            value = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        return None, (_broken(name, exc),)
    return value, (*((wrong,) if wrong else ()), *_doubled(name, root))


def _read_json(text: str) -> tuple[JsonValue, bool]:
    doubled = []

    def gathered(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        members = dict(pairs)
        if len(members) != len(pairs):
            doubled.append(True)
        return members

    return json.loads(text, object_pairs_hook=gathered), bool(doubled)


def _broken(name: str, exc: Exception) -> SourceFinding:
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    reason = getattr(exc, "problem", None) or getattr(exc, "reason", None) or type(exc).__name__
    return found("openapi.syntax", f"{name}:{mark.line + 1}" if mark else name, reason=reason)


def _compose(text: str) -> yaml.Node | None:
    # Tabs may not stand in YAML's indentation, and mean nothing in it where they are met.
    loader = _PlainLoader(text.replace("\t", " "))
    try:
        root: yaml.Node | None = loader.get_single_node()
        return root
    finally:
        loader.dispose()


def _composed(text: str) -> yaml.Node | None:
    """Return the nodes with their lines, or None: a finding does without its line then."""
    try:
        return _compose(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _doubled(name: str, root: yaml.Node | None) -> Iterator[SourceFinding]:
    pending, met = [root], set()
    while pending:
        node = pending.pop()
        if node is None or id(node) in met:
            continue
        met.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        elif isinstance(node, yaml.MappingNode):
            names = set()
            for key, value in node.value:
                pending.append(value)
                if not isinstance(key.value, str) or key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.value in names:
                    place = f"{name}:{key.start_mark.line + 1}"
                    yield found("openapi.key_twice", place, key=key.value)
                names.add(key.value)


class _PlainLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C parser where it is there
    """Plain values only: what YAML 1.1 makes of dates, `yes`, `010` and `1:30` is left as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        self.flatten_mapping(node)
        return {
            key.value if isinstance(key, yaml.ScalarNode) else str(number): self.construct_object(value, deep)
            for number, (key, value) in enumerate(node.value)
        }


def _any_tag(loader: _PlainLoader, _tag: str, node: yaml.Node) -> Any:
    """Read a value with a tag of somebody's own as if it had none."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_PlainLoader.yaml_implicit_resolvers = {}
for _tag, _form, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,18})", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:[0-9]{1,18}\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_form})\Z"), _first)
_PlainLoader.yaml_constructors = {
    tag: build
    for tag, build in yaml.SafeLoader.yaml_constructors.items()
    if str(tag).rpartition(":")[2] in {"null", "bool", "int", "float", "str", "seq", "map"}
}
_PlainLoader.add_multi_constructor("", _any_tag)
